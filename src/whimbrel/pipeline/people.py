"""What people decide, from asking to the changed ledger: remove, allow, allow no longer.

Each is one run of its own in the ledger.  Only the state of the targets concerned is loaded, and a running `whimbrel`
that decides meanwhile takes it up with its next decision.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from whimbrel.errors import ConfigError
from whimbrel.evidence import Evidence
from whimbrel.listings import decisions
from whimbrel.listings.explain import Count, Explanation, target_of
from whimbrel.listings.ledger import Ledger
from whimbrel.listings.policy import Decider
from whimbrel.model.listing import Allowed, Event, Run
from whimbrel.pipeline.decide import settings_of, under_rules, undisturbed
from whimbrel.pipeline.places import ledger_place
from whimbrel.pipeline.why import why as explanation_of

# A reason is for people to read, and stands in the log for good.
_MOST_LETTERS = 500


class Removal(NamedTuple):
    """What became of a request, and on what evidence the listing rested, without what would tell a trap.

    No sensor, no recipient, no id and no time of day: only what was seen, of what kind, on which days.
    `listed_through` is the network through which an address is still listed after its removal.
    """

    target: str
    outcome: str
    reason: str
    at: datetime
    listed_as: str | None
    since: datetime | None
    until: datetime | None
    times_listed: int
    by_label: tuple[Count, ...]
    by_kind: tuple[Count, ...]
    by_day: tuple[Count, ...]
    families: tuple[str, ...]
    names: tuple[str, ...]
    listed_through: str | None


def remove(data_dir: Path, text: str, now: datetime, *, by: str, why: str) -> Removal:
    """Ask for the removal of a listing; decided by rule, at once.

    Raises ConfigError where `text` is no address or network, or it is not listed.
    """
    target, reason = _target(text), _reason(why)
    told = explanation_of(data_dir, target, now)
    if told.is_listed and told.listed_target != target:
        raise ConfigError(f"{target} is listed through {told.listed_target}; ask for the removal of that")

    def decided(decider: Decider, _: Sequence[str]) -> list[Event]:
        if not decisions.is_listed(decider, target):
            raise ConfigError(f"{target} is not listed; whimbrel why {target} says what is known of it")
        return decisions.remove(decider, target, by=by, why=reason)

    events = _append(data_dir, now, lambda *_: [target], decided)
    outcome = events[-1]
    through = explanation_of(data_dir, target, outcome.at).listed_target if outcome.change == "removed" else None
    return _answer(told, outcome, through)


def allow(data_dir: Path, text: str, now: datetime, *, owner: str, why: str) -> list[Event]:
    """Never list a host or network; return the events: the word itself, and the listings that it ends."""
    target, reason = _target(text), _reason(why)

    def decided(decider: Decider, listed: Sequence[str]) -> list[Event]:
        return decisions.allow(decider, target, listed, owner=owner, why=reason)

    return _append(data_dir, now, lambda ledger, at: _listed_within(ledger, target, at), decided)


def end_allowance(data_dir: Path, text: str, now: datetime, *, why: str) -> list[Event]:
    """Let a host or network be listed again when it gives reason to; raises ConfigError where it is not allowed."""
    target, reason = _target(text), _reason(why)
    found = next((allowed for allowed in allowances(data_dir) if allowed.target == target), None)
    if found is None:
        raise ConfigError(f"{target} is not allowed; `whimbrel allow` lists what is")

    def decided(decider: Decider, _: Sequence[str]) -> list[Event]:
        return decisions.end_allowance(decider, target, owner=found.owner, why=reason)

    return _append(data_dir, now, lambda *_: [], decided)


def allowances(data_dir: Path) -> list[Allowed]:
    """Return what is never listed by a person's word, by target; raises StoreError where there is no store."""
    Evidence.open(data_dir).close()
    ledger = Ledger.find(ledger_place(data_dir))
    if ledger is None:
        return []
    with ledger:
        return ledger.allowed()


def _append(
    data_dir: Path,
    now: datetime,
    targets_of: Callable[[Ledger, datetime], Sequence[str]],
    decide: Callable[[Decider, Sequence[str]], list[Event]],
) -> list[Event]:
    """Load what is known of some targets, let it be decided on, and append that as a run of its own."""

    def once() -> list[Event]:
        last = ledger.last_run()
        if last is None:
            raise ConfigError(f"{data_dir}: nothing was decided yet; run `whimbrel ingest` first")
        decider = Decider(settings_of(last.profile))
        last = under_rules(ledger, last, decider.rule_version)
        decider.loads(ledger.load_state(["clock"]))
        decider.clock = max(decider.clock, now)  # time does not go back for people either
        targets = targets_of(ledger, decider.clock)
        keys = [f"{kind} {target}" for target in targets for kind in ("host", "network")]
        decider.loads(ledger.load_state(keys))
        events = decide(decider, targets)
        ledger.commit(_after(last, now), events, decider.dumps())
        return events

    with Ledger.open(ledger_place(data_dir), "append") as ledger:
        return undisturbed(once)


def _after(last: Run, now: datetime) -> Run:
    return replace(last, number=last.number + 1, kind="people", at=now, decided=0)


def _listed_within(ledger: Ledger, target: str, at: datetime) -> list[str]:
    return [listing.target for listing in ledger.listings(at) if decisions.overlap(listing.target, target)]


def _target(text: str) -> str:
    told = target_of(text)
    if told is None or told[1] not in {"address", "network"}:
        raise ConfigError(f"{text!r} is no address or network; write one as 192.0.2.1 or 192.0.2.0/24")
    return told[0]


def _reason(why: str) -> str:
    reason = " ".join(why.split())
    if not reason:
        raise ConfigError("the reason is empty; say it with --why")
    if len(reason) > _MOST_LETTERS:
        raise ConfigError(f"the reason has {len(reason)} letters; {_MOST_LETTERS} must do")
    return reason


def _answer(told: Explanation, outcome: Event, through: str | None) -> Removal:
    return Removal(
        target=told.target,
        outcome=outcome.change,
        reason=outcome.why,
        at=outcome.at,
        listed_as=told.code,
        since=told.since,
        until=told.until if outcome.change == "refused" else outcome.at,
        times_listed=told.times_listed,
        by_label=told.by_label,
        by_kind=told.by_kind,
        by_day=told.by_day,
        families=told.families,
        names=tuple(sorted({example.helo for example in told.examples if example.helo})),
        listed_through=through,
    )
