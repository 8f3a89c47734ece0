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


def closed(names: list[Name]) -> Iterator[tuple[str, Name]]:
    """Yield names in the forms of a zone file whose wildcards end at names that exist (RFC 4592, section 3.3.1).

    So whatever is named, or lies above what is named, and is within a wildcard has its entry written out again.
    """
    alone = {name.name: name for name in names if not name.wildcard}
    beneath = {name.name: name for name in names if name.wildcard}
    for owner in sorted({above for name in names for above in (name.name, *_above(name.name))}):
        around = next((beneath[each] for each in (owner, *_above(owner)) if each in beneath), None)
        for form, decides in ((owner, alone.get(owner, around)), (f"*.{owner}", around)):
            if decides is not None:
                yield form, decides


def _above(name: str) -> Iterator[str]:
    while "." in name:
        name = name.partition(".")[2]
        yield name


def _dotted(wire: bytes) -> str:
    labels, at = [], 0
    while at < len(wire):
        labels.append(wire[at + 1 : at + 1 + wire[at]].decode("ascii", "replace"))
        at += 1 + wire[at]
    return ".".join(labels)
