"""The hosts of a snapshot as rows in ascending order, a part of them in memory at a time.

A transfer walks over all of them, a difference over two lists at once; neither may hold ten million as numbers.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from whimbrel.wire.snapshot import Snapshot, layout

PART_ROWS = 65_536  # some megabytes as arrays, and as Python numbers

Keys = NDArray[np.uint64]
Classes = NDArray[np.uint32]


class Hosts:
    """One family's hosts: of each row the key (IPv4 address, or upper half of an IPv6 one) and its class."""

    def __init__(self, snapshot: Snapshot, family: int) -> None:
        name = f"ipv{family}"
        self.family = family
        self._value = np.frombuffer(snapshot.section(f"{name}.value"), np.uint8)
        self._side_key = np.frombuffer(snapshot.section(f"{name}.side.key"), "<u4" if family == 4 else "<u8")
        self._side_class = np.frombuffer(snapshot.section(f"{name}.side.class"), "<u4")
        if family == 4:
            self._index = np.frombuffer(snapshot.section("ipv4.index"), "<u4")
            self._starts = snapshot.section("ipv4.index").cast("I")
            self._suffix = np.frombuffer(snapshot.section("ipv4.suffix"), "<u2")
            self._suffixes = snapshot.section("ipv4.suffix").cast("H")
        else:
            self._key = np.frombuffer(snapshot.section("ipv6.key"), "<u8")
            self._keys = snapshot.section("ipv6.key").cast("Q")

    def __len__(self) -> int:
        """Return the number of hosts."""
        return len(self._value)

    def key_at(self, row: int) -> int:
        """Return the key of a row."""
        if self.family == 6:
            return int(self._keys[row])
        return (bisect_right(self._starts, row) - 1) << 16 | int(self._suffixes[row])

    def row_of(self, key: int) -> int:
        """Return the first row whose key is not below `key`."""
        if self.family == 6:
            return bisect_left(self._keys, key)
        block = key >> 16
        if block >= layout.BLOCKS:
            return len(self)
        return bisect_left(self._suffixes, key & 0xFFFF, self._starts[block], self._starts[block + 1])

    def has(self, key: int) -> bool:
        """Tell whether a host is listed by itself."""
        row = self.row_of(key)
        return row < len(self) and self.key_at(row) == key

    def part(self, first: int, end: int) -> tuple[Keys, Classes]:
        """Return keys and classes of the rows from `first` to before `end`."""
        if self.family == 6:
            keys = self._key[first:end].astype(np.uint64)
        else:
            block = np.searchsorted(self._index, np.arange(first, end), side="right").astype(np.uint64) - np.uint64(1)
            keys = block << np.uint64(16) | self._suffix[first:end]
        classes = self._value[first:end].astype(np.uint32)
        side = classes == layout.IN_SIDE_TABLE
        classes[side] = self._side_class[np.searchsorted(self._side_key, keys[side])]
        return keys, classes

    def parts(self) -> Iterator[tuple[Keys, Classes]]:
        """Yield all rows, a part at a time."""
        for first in range(0, len(self), PART_ROWS):
            yield self.part(first, min(first + PART_ROWS, len(self)))

    def steps(self, first: int, last: int, size: int) -> Iterator[int]:
        """Yield the numbers of those pieces of `size` keys, counted from `first`, up to `last` that hold a host."""
        row, end = self.row_of(first), self.row_of(last + 1)
        while row < end:
            step = (self.key_at(row) - first) // size
            yield step
            row = self.row_of(first + (step + 1) * size)
