"""Names in a snapshot: domains and hashes, which a list is asked for as labels in front of a zone.  The reading half.

A name is found by its hash and told from others of the same hash by its text.  A look-up walks the name's endings, the
whole first, `MAX_NAME_LABELS` labels at most.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping

import xxhash

from whimbrel.errors import SnapshotError
from whimbrel.wire.snapshot import layout

Labels = tuple[bytes, ...]  # leftmost first, in lower case

_WITHOUT_ROWS = {"names.seed": bytes(8), "names.at": bytes(4)}


class Names:
    """The rows of names in a snapshot's sections; None (a file of version 1): no rows."""

    def __init__(self, sections: Mapping[str, memoryview] | None) -> None:
        def column(name: str) -> memoryview:
            name = f"names.{name}"
            return memoryview(_WITHOUT_ROWS.get(name, b"")) if sections is None else sections[name]

        seed, self._key = column("seed").cast("Q"), column("key").cast("Q")
        self._class, self._kind = column("class").cast("I"), column("kind")
        self._at, self._text = column("at").cast("I"), column("text")
        rows = len(self._key)
        if (
            len(seed) != 1
            or not len(self._class) == len(self._kind) == len(self._at) - 1 == rows
            or self._at[rows] != len(self._text)
        ):
            raise SnapshotError("snapshot refused: the lengths of its names do not agree; publish anew")
        self._seed = seed[0]
        self.are_there = rows > 0

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._kind) - bytes(self._kind).count(layout.ABOVE)

    def covering(self, labels: Labels) -> Iterator[tuple[int, str]]:
        """Yield class and listed name of each entry that covers a name: its own, then those above it, nearest first."""
        wire, at = wire_of(labels), 0
        for beyond, label in enumerate(labels):
            if len(labels) - beyond <= layout.MAX_NAME_LABELS:
                wanted = layout.WILDCARD if beyond else layout.ENTRY
                for row in self._rows(wire[at:]):
                    if self._kind[row] & wanted:
                        yield self._class[row], ".".join(each.decode("ascii", "replace") for each in labels[beyond:])
            at += 1 + len(label)

    def is_above(self, labels: Labels) -> bool:
        """Tell whether an entry stands beneath a name."""
        return any(self._kind[row] & layout.ABOVE for row in self._rows(wire_of(labels)))

    def _rows(self, wire: bytes) -> Iterator[int]:
        key = key_of(wire, self._seed)
        row = bisect_left(self._key, key)
        while row < len(self._key) and self._key[row] == key:
            if self._text[self._at[row] : self._at[row + 1]] == wire:
                yield row
            row += 1


def key_of(wire: bytes, seed: int) -> int:
    """Return the hash of a name in wire form (XXH64)."""
    return xxhash.xxh64_intdigest(wire, seed)


def wire_of(labels: Labels) -> bytes:
    """Return labels in wire form, without the root's empty one."""
    return b"".join(bytes([len(label)]) + label for label in labels)
