"""Leases from an operator's file: who held a host from when to when.

A line is `host since until [holder]`, separated by blanks, tabs or commas (docs/link.md):

    192.0.2.7 2026-01-05T00:00:00Z 2026-03-01T12:00:00Z
    192.0.2.8 2026-01-05T00:00:00Z - customer-17

Times are RFC 3339 with their offset; `since` is within the lease, `until` no more, and `-` is a lease still in force.
The holder is whatever stays the same when the host changes: one customer's leases are one holder's.
"""

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from whimbrel.errors import ConfigError
from whimbrel.lookups.lines import Lines, read_lines, shown
from whimbrel.model.address import host_of, parse_address

# Times are seconds from 1970, `until_s` excluded; `holder` is null where the lease stands for itself.
LEASES = pa.schema(
    [
        pa.field("host", pa.string(), nullable=False),
        pa.field("since_s", pa.int64(), nullable=False),
        pa.field("until_s", pa.int64(), nullable=False),
        pa.field("holder", pa.string()),
    ]
)

FIRST_YEAR, LAST_YEAR = 1970, 2200  # those of observations
_OPEN = "-"
_OPEN_S = int(datetime(LAST_YEAR, 1, 1, tzinfo=UTC).timestamp())
_HOST_LETTERS = 100  # the longest address with tag, brackets and zone id is half as long


class Leases(NamedTuple):
    """A file of leases that was read: a digest of its content, rows of `LEASES`, and what is to be said of it."""

    digest: str
    table: pa.Table
    notes: list[str]


class _Lease(NamedTuple):
    host: str
    since_s: int
    until_s: int
    line: int
    holder: str | None


def read_leases(path: Path) -> Leases:
    """Read a file of leases; raises ConfigError, with the line, at the first that makes no sense.

    Leases of one host must not overlap.
    """
    lines = read_lines(path)
    found = sorted(_lease(lines, number, fields) for number, fields in lines.fields())
    if not found:
        raise ConfigError(f"{path}: holds no lease; write lines `host since until [holder]`")
    for before, after in pairwise(found):
        if before.host == after.host and after.since_s < before.until_s:
            one, other = sorted((before.line, after.line))
            raise lines.problem(
                other, f"overlaps the lease of {after.host} on line {one}; end one where the other begins"
            )
    columns = [pa.array([getattr(lease, field.name) for lease in found], field.type) for field in LEASES]
    hosts, holders = {lease.host for lease in found}, {lease.holder for lease in found} - {None}
    notes = [f"{len(found):,} leases of {len(hosts):,} hosts", f"{len(holders):,} holders named"]
    return Leases(lines.digest, pa.Table.from_arrays(columns, schema=LEASES), notes)


def _lease(lines: Lines, number: int, fields: list[str]) -> _Lease:
    if len(fields) not in {3, 4}:
        raise lines.problem(number, f"{len(fields)} fields; write `host since until [holder]`, a holder without blanks")
    text = fields[0]
    address = parse_address(text.removesuffix("/64")) if len(text) <= _HOST_LETTERS else None
    if address is None or ("/" in text and ":" not in address):
        raise lines.problem(number, f"{shown(text)} is no host; write an IPv4 address, or an IPv6 one or its /64")
    try:
        since_s = _seconds(fields[1])
        until_s = _OPEN_S if fields[2] == _OPEN else _seconds(fields[2])
    except ValueError as error:
        raise lines.problem(number, str(error)) from None
    if until_s <= since_s:
        raise lines.problem(number, "the lease ends before a second of it has passed; write since, then until")
    return _Lease(host_of(address), since_s, until_s, number, fields[3] or None if len(fields) == 4 else None)


def _seconds(text: str) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or not FIRST_YEAR <= at.year < LAST_YEAR:
        raise ValueError(f"{shown(text)} is no time; write one with its offset, as 2026-01-31T12:00:00Z")
    return int(at.timestamp())
