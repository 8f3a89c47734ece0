"""Which entry covers which: networks lie within each other or apart, never across.

So one pass over rows in ascending order, with a stack of the networks that are still open, tells of each row what it
lies in, and of each address which entry is its own.  Linear in the rows; the stack is no deeper than there are prefix
lengths.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whimbrel.publishing.exports.content import Content, Row, one_by_one
from whimbrel.wire.snapshot.rows import Rows


class Range(NamedTuple):
    """Addresses from `first` to `last` (IPv6: upper halves) which have one entry."""

    first: int
    last: int
    reason: int
    until: int


RANGE_TYPE = np.dtype([("first", "<u8"), ("last", "<u8"), ("reason", "<u4"), ("until", "<i8")])


_COLUMN_TYPES = (np.uint64, np.uint8, np.uint32, np.int64)


def nested(rows: Rows, bits: int) -> Iterator[tuple[Row, list[Row]]]:
    """Yield each row with the rows that cover it, the widest first (a list that is changed afterwards)."""
    open_: list[Row] = []
    for row in one_by_one(rows):
        while open_ and _last(open_[-1], bits) < row[0]:
            open_.pop()
        yield row, open_
        open_.append(row)


def disjoint(rows: Rows, bits: int) -> Iterator[Range]:
    """Yield ranges that do not overlap: every address has its most specific entry, and neighbours alike are one."""
    held: Range | None = None
    for piece in _pieces(rows, bits):
        if held is not None and held.last + 1 == piece.first and held[2:] == piece[2:]:
            held = held._replace(last=piece.last)
            continue
        if held is not None:
            yield held
        held = piece
    if held is not None:
        yield held


def carved(content: Content, rows: Rows, bits: int) -> Rows:
    """Return rows for readers who know no exclusions: those that are listed, without what is excluded from them.

    A network that something is excluded from comes as the networks that are left of it when all that is narrower has
    been taken out, so that no two rows are of one target; the others come as they are.
    """
    if content.listed(rows.reason).all():
        return rows
    holes: dict[Row, list[Row]] = {}
    for row, covering in nested(rows, bits):
        if content.excludes(row[2]):
            holes |= {outer: [] for outer in covering}
    for row, covering in nested(rows, bits):
        for outer in covering:
            if outer in holes:
                holes[outer].append(row)
    left = [
        (key, prefix, row[2], row[3])
        for row in one_by_one(rows)
        if not content.excludes(row[2])
        for key, prefix in _left(row, holes.get(row, []), bits)
    ]
    columns = zip(*sorted(left), strict=True) if left else ((),) * len(Rows._fields)
    return Rows(*(np.array(column, kind) for column, kind in zip(columns, _COLUMN_TYPES, strict=True)))


def _left(row: Row, holes: list[Row], bits: int) -> Iterator[tuple[int, int]]:
    """Yield the networks that are left of a row without these, which come ascending and lie in it."""
    if not holes:
        yield row[:2]
        return
    at = row[0]
    for hole in holes:
        yield from _prefixes(at, hole[0], bits)
        at = max(at, _last(hole, bits) + 1)
    yield from _prefixes(at, _last(row, bits) + 1, bits)


def _prefixes(first: int, end: int, bits: int) -> Iterator[tuple[int, int]]:
    """Yield the fewest networks from an address to before another."""
    while first < end:
        # The widest that begins here and is not too long.
        size = min(first & -first or 1 << bits, 1 << ((end - first).bit_length() - 1))
        yield first, bits - size.bit_length() + 1
        first += size


def ranges(rows: Rows, bits: int) -> NDArray[np.void]:
    """Return the disjoint ranges as an array of `RANGE_TYPE`."""
    return np.fromiter(disjoint(rows, bits), RANGE_TYPE)


def _pieces(rows: Rows, bits: int) -> Iterator[Range]:
    open_: list[tuple[int, int, int]] = []  # last, reason, until
    at = 0  # up to here all is told
    for key, prefix, reason, until in one_by_one(rows):
        while open_ and open_[-1][0] < key:
            outer = open_.pop()
            if at <= outer[0]:
                yield Range(at, *outer)
            at = max(at, outer[0] + 1)
        if open_ and at < key:
            yield Range(at, key - 1, *open_[-1][1:])
        at = key
        open_.append((key | (1 << (bits - prefix)) - 1, reason, until))
    while open_:
        outer = open_.pop()
        if at <= outer[0]:
            yield Range(at, *outer)
        at = max(at, outer[0] + 1)


def _last(row: Row, bits: int) -> int:
    return row[0] | (1 << (bits - row[1])) - 1
