"""What the list says: return codes, roles, listings, and the events that made them.

The codes are a contract with every mail server that asks (RFC 5782; codes that mean "block" stay inside
127.0.0.2-11, which deployed filters accept).  One table, `CODE_OF_ROLE`, maps roles to codes.
"""

from datetime import datetime
from enum import IntEnum
from typing import Literal

import msgspec


class Code(IntEnum):
    """The last octet of 127.0.0.x."""

    SPAM_SOURCE = 2
    SNOWSHOE = 3
    INFECTED = 4
    OPEN_RELAY = 5
    OPEN_PROXY = 6
    NETWORK = 9
    POLICY = 10


class FurtherCode(IntEnum):
    """The low three octets of 127.x.y.z, of what the main zone does not show: it stands in zones of its own."""

    COMPROMISED_ACCOUNT = 20  # 127.0.0.20: not to be blocked when it connects
    SPAMVERTISED = 0x0102  # 127.0.1.2, of domains as the next two
    PHISHING = 0x0104
    MALWARE = 0x0105
    MALICIOUS_FILE = 0x030A  # 127.0.3.10, of hashes as the next
    SUSPICIOUS_FILE = 0x030F


Role = Literal[
    "legitimate", "dedicated", "snowshoe", "infected", "open relay", "open proxy", "compromised account", "unknown"
]

CODE_OF_ROLE: dict[str, Code] = {
    "dedicated": Code.SPAM_SOURCE,
    "unknown": Code.SPAM_SOURCE,
    "snowshoe": Code.SNOWSHOE,
    "infected": Code.INFECTED,
    "open relay": Code.OPEN_RELAY,
    "open proxy": Code.OPEN_PROXY,
}

MEANING: dict[Code, str] = {
    Code.SPAM_SOURCE: "spam source",
    Code.SNOWSHOE: "snowshoe spam source",
    Code.INFECTED: "infected host (worm or bot)",
    Code.OPEN_RELAY: "open relay",
    Code.OPEN_PROXY: "open proxy",
    Code.NETWORK: "network run by spammers",
    Code.POLICY: "dynamic range that should not send direct",
}

FURTHER_MEANING: dict[FurtherCode, str] = {
    FurtherCode.COMPROMISED_ACCOUNT: "source of mail from a compromised account",
    FurtherCode.SPAMVERTISED: "spamvertised domain",
    FurtherCode.PHISHING: "phishing domain",
    FurtherCode.MALWARE: "malware domain",
    FurtherCode.MALICIOUS_FILE: "malicious file",
    FurtherCode.SUSPICIOUS_FILE: "suspicious file",
}

State = Literal[
    "candidate",
    "listed",
    "expiring",
    "expired",
    "removal requested",
    "removed",
    "refused",
    "allowed",
    "no longer allowed",
    "erased",
]

RunKind = Literal["decided", "expired", "people", "forgotten", "earlier"]


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """A claim about a target: what it is, since when, until when, and on what it rests.

    `target` is a host (address or IPv6 /64) or a network (`192.0.2.0/24`, `2001:db8::/48`); `until` is when it ends by
    itself; `probability_legitimate` the P at the last decision; `evidence` up to a bounded number of observation ids.
    """

    target: str
    code: Code
    role: Role
    since: datetime
    until: datetime
    probability_legitimate: float
    times_listed: int
    rule_version: str
    evidence: tuple[bytes, ...]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the ledger: a decision, appended, never changed.

    `at` is the decision's time, `actor` a rule version or a person (of `allowed`: the owner), `change` the new state
    (of an event in a listing's life) or what people decided (the other events), `why` a sentence,
    `score` and `prior_logit` what was recorded at the decision (a rebuild replays them, it never recomputes).
    """

    at: datetime
    target: str
    change: State
    actor: str
    code: Code | None
    role: Role | None
    until: datetime | None
    score: float | None
    prior_logit: float | None
    probability_legitimate: float | None
    why: str
    evidence: tuple[bytes, ...]


class Allowed(msgspec.Struct, frozen=True, kw_only=True):
    """A target that is never listed, by a person's word: whose it is, why, and since when."""

    target: str
    owner: str
    why: str
    since: datetime


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One append to the ledger, and what it was decided over; runs are numbered from 1, without gaps.

    `kind`: `decided` over evidence, `expired` by the clock, `people` decided, something was `forgotten`, or `earlier`
    (all that was decided before runs were recorded).  The last two left a checkpoint of the working state.
    `at`: the present it was run at.  `batch` and `until`: evidence is decided up to this batch, as far as it was
    learned by this time.  `own`: our own networks, never listed.  `decided`: observations decided in it.
    `last_event`: the log's last number after it.
    """

    kind: RunKind
    at: datetime
    batch: int
    until: datetime
    profile: str
    rule_version: str
    own: tuple[str, ...] = ()
    decided: int = 0
    number: int = 0
    last_event: int = 0


def said(at: datetime, target: str, change: State, actor: str, why: str) -> Event:
    """Return the event of something that was said and not measured."""
    return Event(
        at=at,
        target=target,
        change=change,
        actor=actor,
        code=None,
        role=None,
        until=None,
        score=None,
        prior_logit=None,
        probability_legitimate=None,
        why=why,
        evidence=(),
    )
