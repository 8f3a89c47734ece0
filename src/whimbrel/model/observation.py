"""Observation v1: what one sensor saw one host do, once.

Immutable, with an idempotent id and UTC times.  `seen_at` is when it happened; `learned_at` is when we came to know.
Decisions run in (`learned_at`, `seen_at`, id) order and use only what was learned before them.

The same type is one JSON object a line for `whimbrel observe` and one row of the evidence (`model.columns`).
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

from whimbrel.model.address import host_of, parse_address

Kind = Literal["message", "connection", "infection", "report"]
Label = Literal["spam", "ham", "unknown"]
LabelBasis = Literal["given", "filter", "report", "list"]
CampaignBasis = Literal["url", "attachment", "text", "skeleton", "given"]
Method = Literal["payload", "sinkhole", "behaviour", "list", "other"]

ID_BYTES = 16  # 128 bits: by the birthday bound, 1e12 observations collide with probability 1.5e-15


class Observation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One line of evidence; field meanings and units are the published schema (`docs/observation.md`)."""

    seen_at: datetime
    sensor: str
    host: str
    kind: Kind
    learned_at: datetime | None = None
    label: Label = "unknown"
    label_basis: LabelBasis | None = None
    campaign: str | None = None
    campaign_basis: CampaignBasis | None = None
    family: str | None = None
    method: Method | None = None
    dialect: str | None = None
    received_below: int | None = None
    helo: str | None = None
    rdns: str | None = None
    asn: int | None = None
    prefix: str | None = None
    recipient_domains: tuple[str, ...] = ()
    bytes: int | None = None
    count: int = 1
    ref: str | None = None


def normalised(given: Observation) -> Observation:
    """Return the observation with UTC times, `learned_at` filled in and the host in canonical form.

    `host` may be given as an address; an IPv6 address becomes its /64 (see `model.address`).
    Raises ValueError, naming the field, where a time has no offset, the host is no address, the sensor is
    empty, or a count is below one.
    """
    if not given.sensor:
        raise ValueError("sensor is empty")
    if given.count < 1:
        raise ValueError(f"count is {given.count}, and must be 1 or more")
    address = parse_address(given.host.partition("/")[0])
    if address is None:
        raise ValueError(f"host is not an address: {given.host!r}")
    seen_at = _utc("seen_at", given.seen_at)
    learned_at = seen_at if given.learned_at is None else _utc("learned_at", given.learned_at)
    return msgspec.structs.replace(given, host=host_of(address), seen_at=seen_at, learned_at=learned_at)


def message_observation_id(sensor: str, peer: str, trace_line: bytes, content_sha256: bytes) -> bytes:
    """Return the id of a message's delivery: two deliveries of one text differ in their trace line, so stay two."""
    return _digest((b"message", sensor.encode(), peer.encode(), trace_line, content_sha256))


def given_observation_id(observation: Observation) -> bytes:
    """Return the id of a given (normalised) observation: of `ref`, or else of all fields but `learned_at`."""
    if observation.ref is not None:
        return _digest((b"ref", observation.sensor.encode(), observation.ref.encode()))
    return _digest((b"given", _ENCODER.encode(msgspec.structs.replace(observation, learned_at=None))))


_ENCODER = msgspec.json.Encoder(order="deterministic")


def _digest(fields: Sequence[bytes]) -> bytes:
    # Each field goes in behind its length, so that no two lists of fields give the same bytes.
    framed = b"".join(len(field).to_bytes(4, "big") + field for field in fields)
    return hashlib.sha256(framed).digest()[:ID_BYTES]


def _utc(field: str, at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError(f"{field} has no offset from UTC: {at.isoformat()}")
    return at.astimezone(UTC)
