"""Which entry covers which: networks lie within each other or apart, never across.

So one pass over rows in ascending order, with a stack of the networks that are still open, tells of each row what it
lies in, and of each address which entry is its own.  Linear in the rows; the stack is no deeper than there are prefix
lengths.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whimbrel.publishing.exports.content import Row, one_by_one
from whimbrel.wire.snapshot.encoder import Rows


class Range(NamedTuple):
    """Addresses from `first` to `last` (IPv6: upper halves) which have one entry."""

    first: int
    last: int
    reason: int
    until: int


RANGE_TYPE = np.dtype([("first", "<u8"), ("last", "<u8"), ("reason", "<u4"), ("until", "<i8")])


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
