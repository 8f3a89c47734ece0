"""Why: the answer to "is it listed, as what, since when, until when, and on what evidence?"

Pure: listings, events, a judgement and a table of observations come in; an `Explanation` goes out, whose JSON schema
is published (`docs/why.schema.json`).  Never shown: recipients and their domains (they would tell a trap), message
text, and what other hosts did.  A target that is not listed gets the same answer: what is known, and how far it is.
"""

import ipaddress
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from math import log
from typing import Any, Final, Literal

import msgspec
import pyarrow as pa

from whimbrel.listings.settings import Settings
from whimbrel.listings.state import Judgement
from whimbrel.model.address import host_of, network_of, parse_address
from whimbrel.model.listing import MEANING, Event, Listing

# LISTING.md: up to five examples.
EXAMPLES: Final = 5

# Days, sensors, campaigns and families told; more would be a log, not a reason.
MOST_DAYS: Final = 31
MOST_NAMES: Final = 20

# MD5, SHA-1 and SHA-256 in hexadecimal.
_HASH_DIGITS: Final = frozenset({32, 40, 64})

_ODDS_LIMIT: Final = 1e-300  # below it a probability's logit is of no more interest to a reader

TargetKind = Literal["address", "network", "domain", "hash"]


class Count(msgspec.Struct, frozen=True):
    """How many messages (or other observations) of one kind, sensor or day."""

    name: str
    count: int


class Example(msgspec.Struct, frozen=True):
    """One observation, as far as it may be shown."""

    id: str
    seen_at: datetime
    sensor: str
    kind: str
    label: str
    helo: str | None
    campaign: str | None
    family: str | None
    recipients: str


class Change(msgspec.Struct, frozen=True):
    """One line of the ledger: of the target, or of the network it lies in."""

    at: datetime
    target: str
    change: str
    actor: str
    why: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """The answer; `distance_to_q` is how many logits of evidence are missing (0 or less: none)."""

    target: str
    target_kind: TargetKind
    now: datetime
    is_listed: bool
    sentence: str
    listed_target: str | None
    code: str | None
    role: str | None
    since: datetime | None
    until: datetime | None
    next_review: datetime | None
    times_listed: int
    probability_legitimate: float | None
    score: float | None
    prior_logit: float | None
    distance_to_q: float | None
    q: float
    profile: str
    rule_version: str
    scope: str
    by_label: tuple[Count, ...]
    by_kind: tuple[Count, ...]
    by_sensor: tuple[Count, ...]
    by_day: tuple[Count, ...]
    hosts: int
    examples: tuple[Example, ...]
    campaigns: tuple[str, ...]
    families: tuple[str, ...]
    link_verdict: str
    history: tuple[Change, ...]
    removal: str


def target_of(text: str) -> tuple[str, TargetKind] | None:
    """Return what the user asks about in canonical form and its kind, or None where it is none of the four."""
    bare = text.strip()
    head, slash, _ = bare.partition("/")
    address = parse_address(head)
    if address is not None:
        try:
            network = ipaddress.ip_network(bare, strict=False) if slash else None
        except ValueError:
            return None
        if network is None or network.prefixlen == network.max_prefixlen:
            return host_of(address), "address"
        is_host = network.version == 6 and network.prefixlen >= 64
        return (host_of(address), "address") if is_host else (str(network), "network")
    lower = bare.lower().rstrip(".")
    if len(lower) in _HASH_DIGITS and all(digit in "0123456789abcdef" for digit in lower):
        return lower, "hash"
    is_name = "." in lower and " " not in lower and "/" not in lower and "@" not in lower
    return (lower, "domain") if is_name else None


def covering_names(target: str, kind: TargetKind) -> list[str]:
    """Return the targets whose listing covers a target (of `target_of`): itself, and the network it lies in."""
    if kind not in {"address", "network"}:
        return [target]
    network = network_of(target)
    within = kind == "address" or ipaddress.ip_network(target).prefixlen > ipaddress.ip_network(network).prefixlen
    return [target, network] if within else [target]


def explain(
    target: str,
    kind: TargetKind,
    now: datetime,
    *,
    settings: Settings,
    listings: Sequence[Listing],
    history: Sequence[Event],
    judged: Judgement | None,
    observations: pa.Table,
) -> Explanation:
    """Return why a target (of `target_of`) is listed or not.

    `listings` may be any: those in force that cover the target count; `history` is the ledger's for the target (and
    its network); `judged` is `Decider.judge`, for an address; `observations` are those of the target: of its host,
    of the network's hosts, or of the hosts that sent messages with this domain or hash, in any order.
    """
    listing = _covering(target, kind, now, listings)
    rows = sorted(observations.to_pylist(), key=lambda row: (row["seen_at"], row["id"]))
    probability = judged.probability_legitimate if judged is not None else None
    if probability is None and listing is not None:
        probability = listing.probability_legitimate
    return Explanation(
        target=target,
        target_kind=kind,
        now=now,
        is_listed=listing is not None,
        sentence=_sentence(target, kind, listing=listing, rows=rows, probability=probability, settings=settings),
        listed_target=None if listing is None else listing.target,
        code=None if listing is None else f"127.0.0.{int(listing.code)}",
        role=None if listing is None else listing.role,
        since=None if listing is None else listing.since,
        until=None if listing is None else listing.until,
        next_review=None if listing is None else listing.until,
        times_listed=0 if listing is None else listing.times_listed,
        probability_legitimate=probability,
        score=None if judged is None else judged.score,
        prior_logit=None if judged is None else judged.prior_logit,
        distance_to_q=None if probability is None else _logit(probability) - _logit(settings.q),
        q=settings.q,
        profile=settings.profile,
        rule_version=settings.rule_version if listing is None else listing.rule_version,
        scope=_scope(target, kind, listing),
        by_label=_counts(rows, "label"),
        by_kind=_counts(rows, "kind"),
        by_sensor=_counts(rows, "sensor"),
        by_day=_days(rows),
        hosts=len({row["host"] for row in rows}),
        examples=_examples(rows, listing),
        campaigns=_names(rows, "campaign"),
        families=_names(rows, "family"),
        link_verdict="not assessed",
        history=tuple(Change(event.at, event.target, event.change, event.actor, event.why) for event in history),
        removal=_removal(listing),
    )


def schema() -> dict[str, Any]:
    """Return the JSON schema of an explanation, as `docs/why.schema.json` publishes it."""
    return msgspec.json.schema(Explanation)


def _covering(target: str, kind: TargetKind, now: datetime, listings: Sequence[Listing]) -> Listing | None:
    if kind not in {"address", "network"}:
        return None
    names = covering_names(target, kind)
    live = {listing.target: listing for listing in listings if listing.since <= now < listing.until}
    return next((live[name] for name in names if name in live), None)


def _sentence(
    target: str,
    kind: TargetKind,
    *,
    listing: Listing | None,
    rows: Sequence[dict[str, Any]],
    probability: float | None,
    settings: Settings,
) -> str:
    bad = sum(row["count"] for row in rows if row["label"] == "spam" or row["kind"] == "infection")
    ham = sum(row["count"] for row in rows if row["label"] == "ham")
    seen = f"{_plural(bad, 'bad message')} and {_plural(ham, 'legitimate one')} seen"
    if listing is not None:
        through = "" if listing.target == target else f" through {listing.target}"
        return f"{target} is listed{through}: {MEANING[listing.code]}; {seen}."
    if kind in {"domain", "hash"}:
        hosts = len({row["host"] for row in rows})
        return f"{target} is not listed (this version lists no {kind}); {seen}, from {_plural(hosts, 'host')}."
    if not rows:
        return f"{target} is not listed; nothing is known of it."
    if probability is None:
        return f"{target} is not listed; {seen}."
    if probability <= settings.q:
        reach = "little enough to list it, but it is allowed, or too few sensors saw it, or its term is over"
    else:
        reach = f"listed is who has {settings.q:g} or less"
    return f"{target} is not listed; {seen}; P(legitimate) is {probability:.2g}, and {reach}."


def _scope(target: str, kind: TargetKind, listing: Listing | None) -> str:
    if listing is None:
        return (
            "nothing is listed"
            if kind in {"address", "network"}
            else f"a {kind}; only addresses and networks are listed"
        )
    if listing.target != target or kind == "network":
        return f"the whole network {listing.target}"
    return f"the /64 {target}" if ":" in target else f"the address {target} alone"


def _counts(rows: Sequence[dict[str, Any]], column: str) -> tuple[Count, ...]:
    counts: Counter[str] = Counter()
    for row in rows:
        counts[row[column]] += row["count"]
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Count(name, count) for name, count in ranked[:MOST_NAMES])


def _days(rows: Sequence[dict[str, Any]]) -> tuple[Count, ...]:
    counts: Counter[str] = Counter()
    for row in rows:
        counts[row["seen_at"].date().isoformat()] += row["count"]
    return tuple(Count(day, count) for day, count in sorted(counts.items())[-MOST_DAYS:])


def _names(rows: Sequence[dict[str, Any]], column: str) -> tuple[str, ...]:
    counts = Counter(row[column] for row in rows if row[column] is not None)
    return tuple(name for name, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_NAMES])


def _examples(rows: Sequence[dict[str, Any]], listing: Listing | None) -> tuple[Example, ...]:
    """Take the listing's own evidence first, then the latest bad, then the latest of all."""
    own = frozenset() if listing is None else frozenset(listing.evidence)
    ranked = sorted(rows, key=lambda row: (row["id"] in own, row["label"] == "spam", row["seen_at"], row["id"]))
    return tuple(
        Example(
            id=row["id"].hex(),
            seen_at=row["seen_at"],
            sensor=row["sensor"],
            kind=row["kind"],
            label=row["label"],
            helo=row["helo"],
            campaign=row["campaign"],
            family=row["family"],
            recipients=f"{_plural(len(row['recipient_domains'] or ()), 'domain')}, masked",
        )
        for row in reversed(ranked[-EXAMPLES:])
    )


def _removal(listing: Listing | None) -> str:
    if listing is None:
        return "nothing to remove"
    ends = listing.until.strftime("%Y-%m-%d %H:%M UTC")
    if listing.times_listed > 1:
        return f"it ends by itself at {ends}; a removal would be refused: that works for a first listing only"
    return f"it ends by itself at {ends}; removal is free: ask the operator of this list, naming {listing.target}"


def _logit(probability: float) -> float:
    bounded = min(max(probability, _ODDS_LIMIT), 1.0 - 1e-12)
    return log(bounded / (1.0 - bounded))


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
