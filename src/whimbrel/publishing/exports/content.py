"""What an export is made of: the entries of one snapshot that one of its zones shows and that are in force at a moment.

An exclusion is a row like others, with the code 0; what it excludes is not listed.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from whimbrel.errors import SnapshotError
from whimbrel.model.listing import FURTHER_MEANING, MEANING, Code, FurtherCode
from whimbrel.publishing.exports.names import Name, names_in_force
from whimbrel.wire.snapshot import Entry, Snapshot, Zone
from whimbrel.wire.snapshot.decoder import decode
from whimbrel.wire.snapshot.encoder import HOST_BITS, Reason
from whimbrel.wire.snapshot.layout import EXCLUDED
from whimbrel.wire.snapshot.rows import Rows

_LOOPBACK_OCTET = 127
_TEST_LABEL = "test"  # beneath which names are test entries alone: RFC 2606 keeps it from use
_MEANING = {int(code): meaning for table in (MEANING, FURTHER_MEANING) for code, meaning in table.items()}
PART_ROWS = 65_536  # rows that are Python numbers at a time: a few megabytes

Row = tuple[int, int, int, int]  # key, prefix, reason, until: an element of each of the columns


class Content(NamedTuple):
    """The entries in force `at` a moment (seconds since 1970, UTC), as columns; `Rows.reason` is a row of `reasons`.

    `tests` and `name_tests` are the test entries, which `ipv4` and `names` lack.  Rows ascend by key, the wider of two
    that begin alike first; a target has one row, an exclusion if there is one.
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
    names: list[Name]
    name_tests: list[Name]

    @property
    def entries(self) -> int:
        """The number of listed hosts, networks and names, without test entries and exclusions."""
        addresses = sum(int(np.count_nonzero(self.listed(rows.reason))) for _, rows in self.families)
        return addresses + sum(not self.excludes(name.reason) for name in self.names)

    @property
    def codes(self) -> list[Code | FurtherCode]:
        """The codes of addresses that a list has by itself, used or not, and further ones that are used."""
        used = {self.reasons[reason].code for _, rows in self.families for reason in np.unique(rows.reason).tolist()}
        return sorted([*Code, *(code for code in FurtherCode if code in used)])

    @property
    def families(self) -> tuple[tuple[int, Rows], ...]:
        """The two families with their rows."""
        return (4, self.ipv4), (6, self.ipv6)

    def entry(self, reason: int, until: int) -> Entry:
        """Return what the list says of a row."""
        return Entry(self.reasons[reason].code, until, self.reasons[reason].text)

    def with_code(self, reason: NDArray[np.uint32], code: int) -> NDArray[np.bool_]:
        """Tell of each row, by its reason, whether it has a code."""
        has = np.array([each.code == code for each in self.reasons], np.bool_)
        return has[reason]

    def listed(self, reason: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Tell of each row, by its reason, whether it is listed, and not excluded."""
        return ~self.with_code(reason, EXCLUDED)

    def excludes(self, reason: int) -> bool:
        """Tell whether a row is an exclusion."""
        return self.reasons[reason].code == EXCLUDED

    def seconds_left(self, until: int) -> int:
        """Return how long an entry may still be believed: until it ends, or the list expires."""
        return min(until, self.expires) - self.at

    def about(self) -> str:
        """Return one line that says which list this is, of which moment."""
        demo = "; demo (made from old mail, not for use)" if self.zone.demo else ""
        return f"{self.zone.name}, serial {self.serial}, at {written_time(self.at)}, {self.entries} entries{demo}"


def content_of(snapshot: Snapshot, at: int, codes: Collection[int] = (), zone: Zone | None = None) -> Content:
    """Return what a zone of a snapshot (None: the main one) lists at a moment, where `codes` are given only with these.

    A moment before the snapshot was cut counts as that of the cut.  Raises SnapshotError where it has expired by then.
    """
    zone = zone or snapshot.zone
    at = max(at, snapshot.born)
    if at >= snapshot.expires:
        raise SnapshotError(f"snapshot {snapshot.serial} refused: it expired at {written_time(snapshot.expires)}")
    decoded = decode(snapshot)
    code_of = np.array([reason.code for reason in decoded.reasons] or [0], np.int64)
    shown = [
        code for code in code_of.tolist() if code != EXCLUDED and zone.shows(code) and (not codes or code in codes)
    ]
    # What is excluded matters where something of its kind can be listed.
    of_addresses, of_names = ([EXCLUDED] * has + shown for has in (zone.has_addresses, zone.has_names))
    ipv4, ipv6 = (_in_force(rows, at, code_of, of_addresses) for rows in (decoded.ipv4, decoded.ipv6))
    test = ipv4.key >> np.uint64(24) == _LOOPBACK_OCTET
    code = code_of[decoded.names.reason]
    keep = (decoded.names.until > at) & np.isin(code, of_names)
    names = names_in_force(decoded.names, keep, code)
    return Content(
        zone,
        snapshot.serial,
        snapshot.born,
        snapshot.expires,
        at,
        decoded.reasons,
        ipv4=chosen(ipv4, ~test),
        ipv6=ipv6,
        tests=chosen(ipv4, test),
        names=[name for name in names if not _is_test(name)],
        name_tests=[name for name in names if _is_test(name)],
    )


def _in_force(rows: Rows, at: int, code_of: NDArray[np.int64], codes: Sequence[int]) -> Rows:
    rows = chosen(rows, (rows.until > at) & np.isin(code_of[rows.reason], codes))
    rows = chosen(rows, np.lexsort((code_of[rows.reason], rows.prefix, rows.key)))
    first = np.ones(len(rows.key), np.bool_)
    first[1:] = (rows.key[1:] != rows.key[:-1]) | (rows.prefix[1:] != rows.prefix[:-1])
    return chosen(rows, first)


def _is_test(name: Name) -> bool:
    return name.name.rpartition(".")[2] == _TEST_LABEL


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
    return _MEANING[code]


def answer(code: int) -> str:
    """Return the address that a name server answers with."""
    return f"127.{code >> 16}.{code >> 8 & 255}.{code & 255}"


@lru_cache(maxsize=4096)  # entries share their ends by the thousand
def written_time(seconds: int) -> str:
    """Return seconds since 1970 as an RFC 3339 time in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
