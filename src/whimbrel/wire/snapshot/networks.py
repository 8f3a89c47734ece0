"""Networks of one family, by prefix length: tables that snapshots and overlays have alike."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple, Self

from whimbrel.wire.snapshot.layout import GROUP_COLUMNS

KEY_BITS = {4: 32, 6: 64}


class Networks(NamedTuple):
    """`group` has three numbers for each prefix length, the longest first: it, its first row, the number of rows.

    `key` has the network of each row, ascending within a group, and `number` its class.
    """

    bits: int
    group: memoryview
    key: memoryview
    number: memoryview

    @classmethod
    def of(cls, sections: Mapping[str, memoryview], family: int, name: str) -> Self:
        """Return a family's tables, whose sections begin with `name`; raises KeyError, TypeError."""
        key = sections[f"{name}.key"]
        return cls(
            KEY_BITS[family],
            sections[f"{name}.group"].cast("I"),
            key.cast("I") if family == 4 else key.cast("Q"),
            sections[f"{name}.class"].cast("I"),
        )

    def is_whole(self) -> bool:
        """Tell whether the lengths of the tables agree."""
        return len(self.group) % GROUP_COLUMNS == 0 and len(self.key) == len(self.number) == sum(
            count for _, _, count in self.groups()
        )

    def is_sound(self, classes: int) -> bool:
        """Tell whether everything is as described, too; a walk over all rows, so for short tables."""
        prefix_before, next_row = self.bits + 1, 0
        for prefix, start, count in self.groups():
            keys = self.key[start : start + count]
            if not 0 < prefix < prefix_before or start != next_row:
                return False
            if any(before > key for before, key in pairwise(keys)):
                return False
            if any(key & ((1 << (self.bits - prefix)) - 1) for key in keys):
                return False
            prefix_before, next_row = prefix, start + count
        return max(self.number, default=0) < classes

    def groups(self) -> Iterator[tuple[int, int, int]]:
        """Yield prefix length, first row and number of rows of each group."""
        flat = self.group
        return zip(flat[0::GROUP_COLUMNS], flat[1::GROUP_COLUMNS], flat[2::GROUP_COLUMNS], strict=True)

    def around(self, key: int) -> Iterator[tuple[int, list[int]]]:
        """Yield prefix length and classes of each network that is there around a key, the narrowest first."""
        for prefix, start, count in self.groups():
            network = key >> (self.bits - prefix) << (self.bits - prefix)
            row = bisect_left(self.key, network, start, start + count)
            numbers = []
            while row < start + count and self.key[row] == network:
                numbers.append(self.number[row])
                row += 1
            if numbers:
                yield prefix, numbers

    def reach(self, first: int, last: int) -> bool:
        """Tell whether any network lies within, or around, the addresses from `first` to `last`."""
        return any(
            any_between(self.key, first >> (self.bits - prefix) << (self.bits - prefix), last, start, start + count)
            for prefix, start, count in self.groups()
        )


def any_between(keys: memoryview, first: int, last: int, start: int, end: int) -> bool:
    """Tell whether any of the ascending keys in rows `start` to `end` lies between two, both included."""
    row = bisect_left(keys, first, start, end)
    return row < end and keys[row] <= last
