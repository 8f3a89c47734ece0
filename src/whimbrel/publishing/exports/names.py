"""Names in an export: domains and hashes, which few formats have a place for."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whimbrel.wire.snapshot.nametable import NameRows

_HASH_CODES = 3 << 8  # 127.0.3.x and above are of hashes (INTEROP), which no name that is looked up ever has


class Name(NamedTuple):
    """A name as people write it; `wildcard`: with all names beneath it; `reason` and `until` as of addresses."""

    name: str
    wildcard: bool
    reason: int
    until: int

    def forms(self) -> tuple[str, ...]:
        """Return it as zone files write it, which have `*.` for what lies beneath alone."""
        return (self.name, f"*.{self.name}") if self.wildcard else (self.name,)


def names_in_force(rows: NameRows, keep: NDArray[np.bool_], code: NDArray[np.int64]) -> list[Name]:
    """Return some of the rows, ascending; of those of one name and kind the one with the lowest code."""
    found: dict[tuple[bytes, bool], tuple[int, Name]] = {}
    for row in np.flatnonzero(keep).tolist():
        at = rows.name[row], bool(rows.wildcard[row])
        if at not in found or code[row] < found[at][0]:
            found[at] = code[row], Name(_dotted(at[0]), at[1], int(rows.reason[row]), int(rows.until[row]))
    return sorted(name for _, name in found.values())


def is_domain(code: int) -> bool:
    """Tell whether what has a code is a domain, and not a hash."""
    return code < _HASH_CODES


def spelled_out(names: list[Name]) -> Iterator[tuple[str, Name]]:
    """Yield each name in the forms that say one thing each.

    Where a name has an entry of its own besides the one of all beneath it, the latter has only its second form.
    """
    alone = {name.name for name in names if not name.wildcard}
    for name in names:
        for form in name.forms():
            if not (name.wildcard and form in alone):
                yield form, name


def _dotted(wire: bytes) -> str:
    labels, at = [], 0
    while at < len(wire):
        labels.append(wire[at + 1 : at + 1 + wire[at]].decode("ascii", "replace"))
        at += 1 + wire[at]
    return ".".join(labels)
