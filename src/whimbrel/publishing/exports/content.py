"""What an export is made of: the entries of one snapshot that are in force at one moment."""

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from whimbrel.errors import SnapshotError
from whimbrel.model.listing import MEANING, Code
from whimbrel.wire.snapshot import Entry, Snapshot, Zone
from whimbrel.wire.snapshot.decoder import decode
from whimbrel.wire.snapshot.encoder import HOST_BITS, Reason, Rows

_LOOPBACK_OCTET = 127
PART_ROWS = 65_536  # rows that are Python numbers at a time: a few megabytes

Row = tuple[int, int, int, int]  # key, prefix, reason, until: an element of each of the columns


class Content(NamedTuple):
    """The entries in force `at` a moment (seconds since 1970, UTC), as columns; `Rows.reason` is a row of `reasons`.

    `tests` are the IPv4 test entries, which `ipv4` lacks.  Rows ascend by key, the wider of two that begin alike first.
    """

    zone: Zone
    serial: int
    born: int
    expires: int
    at: int
    reasons: list[Reason]
    ipv4: Rows
    ipv6: Rows
    tests: Rows

    @property
    def entries(self) -> int:
        """The number of listed hosts and networks, without test entries."""
        return len(self.ipv4.key) + len(self.ipv6.key)

    @property
    def families(self) -> tuple[tuple[int, Rows], ...]:
        """The two families with their rows."""
        return (4, self.ipv4), (6, self.ipv6)

    def entry(self, reason: int, until: int) -> Entry:
        """Return what the list says of a row."""
        return Entry(self.reasons[reason].code, until, self.reasons[reason].text)

    def with_code(self, reason: NDArray[np.uint32], code: Code) -> NDArray[np.bool_]:
        """Tell of each row, by its reason, whether it has a code."""
        has = np.array([each.code == code for each in self.reasons], np.bool_)
        return has[reason]

    def seconds_left(self, until: int) -> int:
        """Return how long an entry may still be believed: until it ends, or the list expires."""
        return min(until, self.expires) - self.at

    def about(self) -> str:
        """Return one line that says which list this is, of which moment."""
        demo = "; demo (made from old mail, not for use)" if self.zone.demo else ""
        return f"{self.zone.name}, serial {self.serial}, at {written_time(self.at)}, {self.entries} entries{demo}"


def content_of(snapshot: Snapshot, at: int, codes: Collection[Code] = ()) -> Content:
    """Return what a snapshot lists at a moment, where `codes` are given only with these.

    A moment before the snapshot was cut counts as that of the cut.  Raises SnapshotError where it has expired by then.
    """
    at = max(at, snapshot.born)
    if at >= snapshot.expires:
        raise SnapshotError(f"snapshot {snapshot.serial} refused: it expired at {written_time(snapshot.expires)}")
    decoded = decode(snapshot)
    code_of = np.array([reason.code for reason in decoded.reasons] or [0], np.int64)
    ipv4, ipv6 = (_in_force(rows, at, code_of, codes) for rows in (decoded.ipv4, decoded.ipv6))
    test = ipv4.key >> np.uint64(24) == _LOOPBACK_OCTET
    return Content(
        snapshot.zone,
        snapshot.serial,
        snapshot.born,
        snapshot.expires,
        at,
        decoded.reasons,
        ipv4=chosen(ipv4, ~test),
        ipv6=ipv6,
        tests=chosen(ipv4, test),
    )


def _in_force(rows: Rows, at: int, code_of: NDArray[np.int64], codes: Collection[Code]) -> Rows:
    keep = rows.until > at
    if codes:
        keep &= np.isin(code_of[rows.reason], [int(code) for code in codes])
    rows = chosen(rows, keep)
    return chosen(rows, np.lexsort((rows.prefix, rows.key)))


def chosen(rows: Rows, which: NDArray[np.bool_] | NDArray[np.intp]) -> Rows:
    """Return some of the rows, by a mask or by their places."""
    return Rows(rows.key[which], rows.prefix[which], rows.reason[which], rows.until[which])


def one_by_one(rows: Rows) -> Iterator[Row]:
    """Yield rows as Python numbers, a part of them in memory at a time."""
    for start in range(0, len(rows.key), PART_ROWS):
        yield from zip(*(column[start : start + PART_ROWS].tolist() for column in rows), strict=True)


def parts(table: NDArray[np.void]) -> Iterator[Any]:
    """Yield the rows of a structured array as tuples of Python numbers, a part of them in memory at a time."""
    for start in range(0, len(table), PART_ROWS):
        yield from table[start : start + PART_ROWS].tolist()


def address(family: int, key: int) -> str:
    """Return an address as people write it: IPv4, or the first of an IPv6 /64."""
    if family == 4:
        return f"{key >> 24}.{key >> 16 & 255}.{key >> 8 & 255}.{key & 255}"
    return str(IPv6Address(key << 64))


def target(family: int, key: int, prefix: int) -> str:
    """Return a target as the ledger writes it: an IPv4 host as an address, all else with its prefix length."""
    written = address(family, key)
    return written if family == 4 and prefix == HOST_BITS[4] else f"{written}/{prefix}"


def meaning(code: int) -> str:
    """Return what a code says, in words."""
    return MEANING[Code(code)]


@lru_cache(maxsize=4096)  # entries share their ends by the thousand
def written_time(seconds: int) -> str:
    """Return seconds since 1970 as an RFC 3339 time in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
