"""Names in a snapshot, the writing half: names in any order in, the sorted rows that `names.py` reads out."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whimbrel.wire.snapshot import layout
from whimbrel.wire.snapshot.names import key_of

_SEED_BYTES = 8


class NameRows(NamedTuple):
    """Listed names as columns of equal length.

    `name` is in wire form and lower case, without the root's empty label; `wildcard`: all names beneath it are listed,
    too; `reason` a row of the reasons, `until` seconds since 1970.  A name may have several rows.
    """

    name: Sequence[bytes]
    wildcard: NDArray[np.bool_]
    reason: NDArray[np.uint32]
    until: NDArray[np.int64]


class SortedNames(NamedTuple):
    """The rows as the file has them, those without an entry of their own in `only_above`, which come last."""

    name: list[bytes]
    wildcard: NDArray[np.bool_]
    reason: NDArray[np.uint32]
    until: NDArray[np.int64]
    only_above: list[bytes]
    above: frozenset[bytes]


def no_names() -> NameRows:
    """Return names of nothing."""
    return NameRows([], np.empty(0, np.bool_), np.empty(0, np.uint32), np.empty(0, np.int64))


def sorted_names(rows: NameRows, born: int, codes: NDArray[np.int64]) -> SortedNames:
    """Return the rows still running at `born`, of those alike the one that ends last, and the names above them.

    Of one name, the rows that are not of all beneath it come first, then the lowest code.  Raises ValueError where a
    name has more labels than a look-up looks at.
    """
    running = np.flatnonzero(rows.until > born)
    columns = (rows.wildcard, codes[rows.reason], -rows.until, rows.reason)
    wildcard, code, left, reason = (column[running].tolist() for column in columns)
    places = running.tolist()
    order = sorted(zip([rows.name[row] for row in places], wildcard, code, left, reason, places, strict=True))
    last: tuple[object, ...] = ()
    kept: list[int] = []
    for row in order:
        if row[:3] != last:
            kept.append(row[5])
            last = row[:3]
    listed = [rows.name[row] for row in kept]
    above = _above(listed)
    chosen = np.array(kept, np.intp)
    return SortedNames(
        listed,
        rows.wildcard[chosen],
        rows.reason[chosen],
        rows.until[chosen],
        sorted(above.difference(listed)),
        frozenset(above),
    )


def name_sections(rows: SortedNames, number: NDArray[np.uint32]) -> dict[str, bytes]:
    """Return the sections of names whose classes are numbered."""
    # Of the names themselves, so that the same list gives the same bytes, and that nobody can know before a list is cut
    # which names will share a hash.
    listed = hashlib.sha256(b"".join((*rows.name, *rows.only_above))).digest()
    seed = int.from_bytes(listed[:_SEED_BYTES], "little")
    names = [*rows.name, *rows.only_above]
    kind = np.full(len(names), layout.ABOVE, np.uint8)
    kind[: len(rows.name)] = np.where(rows.wildcard, layout.ENTRY | layout.WILDCARD, layout.ENTRY)
    kind[: len(rows.name)] |= np.fromiter((layout.ABOVE * (name in rows.above) for name in rows.name), np.uint8)
    class_ = np.concatenate((number, np.zeros(len(rows.only_above), np.uint32)))
    key = np.fromiter((key_of(name, seed) for name in names), np.uint64, len(names))
    order = np.argsort(key, kind="stable")  # which leaves rows of one name in their order
    text = [names[row] for row in order.tolist()]
    at = np.cumsum([0, *map(len, text)])
    return {
        "names.seed": np.array([seed], "<u8").tobytes(),
        "names.key": key[order].astype("<u8").tobytes(),
        "names.class": class_[order].astype("<u4").tobytes(),
        "names.kind": kind[order].tobytes(),
        "names.at": at.astype("<u4").tobytes(),
        "names.text": b"".join(text),
    }


def _above(names: Iterable[bytes]) -> set[bytes]:
    """Return every name above one of these."""
    above: set[bytes] = set()
    last = b""
    for name in names:
        if name == last:
            continue
        last, at, count = name, 0, 1
        while (at := at + 1 + name[at]) < len(name):
            above.add(name[at:])
            count += 1
        if count > layout.MAX_NAME_LABELS:
            raise ValueError(f"{name!r} has more than {layout.MAX_NAME_LABELS} labels")
    return above
