"""What policy reads and what it remembers: one row of evidence, one record a host, one a network.

Records are small and bounded, encode to msgpack arrays, and hold all that decisions depend on: loading them again and
going on decides as if nothing had happened in between.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from whimbrel.listings.assignment import Look
from whimbrel.listings.prior import Counted
from whimbrel.model.listing import Code, Role, State

if TYPE_CHECKING:
    import pyarrow as pa

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# Observation ids kept as a target's evidence: the five examples that `why` shows, twice over.
EVIDENCE_KEPT: Final = 10

# Sensors told apart for one host; later ones share the last place (more than three prove nothing more).
SENSORS_KEPT: Final = 16
OTHER_SENSORS: Final = ""

# Spamming hosts told apart in one network: more than any `network_hosts` asks for.
HOSTS_KEPT: Final = 16


class Seen(NamedTuple):
    """The columns of one observation that policy reads (`model.columns.OBSERVATIONS`)."""

    id: bytes
    seen_at: datetime
    learned_at: datetime
    sensor: str
    host: str
    kind: str
    label: str
    label_basis: str | None
    family: str | None
    method: str | None
    received_below: int | None
    helo: str | None
    rdns: str | None
    asn: int | None
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody needs of a row
    supersedes: bytes | None
    passed_on: bool | None = None


class Mass(msgspec.Struct, array_like=True):
    """What one sensor saw one host do, decayed to `at` (seconds since 1970), in messages."""

    spam: float
    ham: float
    reports: float
    hard: float
    at: float


class Standing(msgspec.Struct, array_like=True):
    """Where a target stands in the life of a listing."""

    state: State | None = None
    code: Code | None = None
    role: Role | None = None
    since: datetime | None = None
    until: datetime | None = None
    times_listed: int = 0
    removed_at: datetime | None = None  # by a person; bad mail seen up to then counts no more


class HostState(msgspec.Struct, array_like=True):
    """All that policy remembers of one host; `groups` are the prior's, `evidence` the latest ids, oldest first."""

    host: str
    network: str
    look: Look
    groups: tuple[str, ...]
    sensors: dict[str, Mass]
    evidence: list[bytes]
    counted: Counted | None = None
    standing: Standing = msgspec.field(default_factory=Standing)


class NetworkState(msgspec.Struct, array_like=True):
    """All that policy remembers of one network.

    `hosts` maps spamming hosts to when each was last seen spamming; `unnamed` are those without a name of their own;
    `messages` is what the network sent in the last days (decayed to `at`); `ham_at` when it last sent legitimate mail.
    """

    network: str
    hosts: dict[str, float]
    unnamed: dict[str, None]
    evidence: list[bytes]
    ham_at: float | None = None
    messages: float = 0.0
    at: float = 0.0
    standing: Standing = msgspec.field(default_factory=Standing)


class Judgement(NamedTuple):
    """What is thought of a target at one moment: S, the logit of the prior, and the P that follows."""

    score: float
    prior_logit: float
    probability_legitimate: float
    spamming_sensors: int
    hard: bool


def seen_from_table(batch: "pa.RecordBatch | pa.Table") -> Iterator[Seen]:
    """Yield the rows of observations in the table's order; it must have all columns of `Seen`."""
    columns = [batch.column(name).to_pylist() for name in Seen._fields]
    return map(Seen._make, zip(*columns, strict=True))


def seconds_of(at: datetime) -> float:
    """Return seconds since 1970, exact to the microsecond for any date mail can have."""
    return (at - EPOCH).total_seconds()


def remember(evidence: list[bytes], observation_id: bytes) -> None:
    """Keep an observation as evidence; the oldest goes when there are too many."""
    evidence.append(observation_id)
    if len(evidence) > EVIDENCE_KEPT:
        del evidence[0]
