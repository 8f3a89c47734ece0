"""Writing a snapshot: columns of listed hosts and networks in, the file's bytes out.

NumPy throughout, for lists of ten million.  The same rows in any order give the same bytes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from whimbrel.errors import SnapshotError
from whimbrel.wire.snapshot import layout
from whimbrel.wire.snapshot.layout import Zone
from whimbrel.wire.snapshot.nametable import NameRows, name_sections, no_names, sorted_names
from whimbrel.wire.snapshot.overlay import BASE, MAX_ROWS, Base
from whimbrel.wire.snapshot.rows import Rows, is_same_target, stacked, where

# Who ends before this keeps his exact end: three times the five minutes between two snapshots of a busy list.
NEAR_END_SECONDS = 900
# Steps in each doubling of the time left, finest first: rounding down takes less than 1/steps of the time left.
STEPS = (1024, 512, 256, 128, 96, 64, 48, 32, 24, 16, 12, 10, 8, 7, 6, 5, 4, 3, 2)

# A name's class has four bytes, so this bounds the table of classes alone (64 KB) and leaves ends nearly exact.
NAME_CLASSES = 4096

# In an overlay, the end of a row that says that its target is not listed.
TAKEN_OFF = 0

HOST_BITS = {4: 32, 6: 64}
KEY_TYPE = {4: "<u4", 6: "<u8"}
CLASS_TYPE = np.dtype([("until", "<i8"), ("code", "<u4"), ("text", "<u4")])

_Numbers = NDArray[np.int64]


class Reason(NamedTuple):
    """A code (the low three octets of 127.x.y.z) and the text template that goes with it."""

    code: int
    text: str


def encode(
    *,
    zone: Zone,
    serial: int,
    born: int,
    expires: int,
    reasons: Sequence[Reason],
    ipv4: Rows,
    ipv6: Rows,
    names: NameRows | None = None,
    more_zones: Sequence[Zone] = (),
) -> bytes:
    """Return the bytes of a snapshot: of `zone`, the main one, and `more_zones` over the same entries.

    Rows that end at or before `born` are left out; of two rows for one target and code the one that ends last stays.
    """
    texts = sorted({reason.text for reason in reasons})
    codes = np.array([reason.code for reason in reasons] or [0], np.int64)
    classes = _Classes()
    hosts, networks = {}, {}
    for family, rows in ((4, ipv4), (6, ipv6)):
        hosts[family], networks[family] = _split(_latest(rows, born, codes), HOST_BITS[family])
    both = stacked(hosts[4], hosts[6])
    rounded = _rounded(both.reason, both.until, born, codes, layout.VALUE_CLASSES)
    split = len(hosts[4].key)
    by_value = classes.add(rounded.reason, rounded.until, rounded.side)
    sections = {"zone": msgspec.msgpack.encode(zone), "zone.more": msgspec.msgpack.encode(list(more_zones))}
    sections["texts"] = msgspec.msgpack.encode(texts)
    for family, part in ((4, slice(0, split)), (6, slice(split, None))):
        sections |= _host_sections(family, hosts[family].key, by_value[part], rounded.side[part])
        sections |= _network_sections(f"ipv{family}.net", family, networks[family], classes)
    listed = sorted_names(names or no_names(), born, codes)
    ends = _rounded(listed.reason, listed.until, born, codes, NAME_CLASSES)
    sections |= name_sections(listed, classes.add(ends.reason, ends.until, ends.side))
    sections["classes"] = classes.table(reasons, texts)
    return layout.assembled(sections, serial=serial, born=born, expires=expires)


def encode_overlay(base: Base, *, number: int, born: int, reasons: Sequence[Reason], ipv4: Rows, ipv6: Rows) -> bytes:
    """Return the bytes of an overlay of a snapshot: of every target that changed all its rows.

    Whose rows end at TAKEN_OFF is not listed any more.  Ends are exact.  Raises SnapshotError where there are more
    rows than an overlay may have.
    """
    if len(ipv4.key) + len(ipv6.key) > MAX_ROWS:
        raise SnapshotError(f"more than {MAX_ROWS} rows are too many for an overlay; cut a snapshot")
    texts = sorted({reason.text for reason in reasons})
    codes = np.array([reason.code for reason in reasons] or [0], np.int64)
    classes = _Classes()
    sections = {"base": BASE.pack(base.checksum, number), "texts": msgspec.msgpack.encode(texts)}
    for family, rows in ((4, ipv4), (6, ipv6)):
        sections |= _network_sections(f"ipv{family}", family, _latest(rows, TAKEN_OFF - 1, codes), classes)
    sections["classes"] = classes.table(reasons, texts)
    return layout.assembled(sections, serial=base.serial, born=born, expires=base.expires, kind=layout.OVERLAY)


class _Rounded(NamedTuple):
    reason: NDArray[np.uint32]
    until: _Numbers
    side: NDArray[np.bool_]


class _Classes:
    """The class table as it grows: (reason, until) -> number; those named by a byte come first, so get 1..255."""

    def __init__(self) -> None:
        self._pairs: list[NDArray[np.int64]] = []
        self._count = 1  # class 0 is none

    def add(self, reason: NDArray[np.uint32], until: _Numbers, side: NDArray[np.bool_]) -> NDArray[np.uint32]:
        numbers = np.zeros(len(reason), np.uint32)
        for chosen in (~side, side):
            if chosen.any():
                pairs = _packed(reason[chosen], until[chosen])
                distinct, inverse = _distinct(pairs)
                numbers[chosen] = inverse.astype(np.uint32) + np.uint32(self._count)
                self._pairs.append(distinct)
                self._count += len(distinct)
        return numbers

    def table(self, reasons: Sequence[Reason], texts: list[str]) -> bytes:
        filled = np.zeros(self._count, CLASS_TYPE)
        pairs = np.concatenate([np.empty(0, np.int64), *self._pairs])
        reason = pairs >> _UNTIL_BITS
        filled["until"][1:] = pairs & ((1 << _UNTIL_BITS) - 1)
        filled["code"][1:] = np.array([reason.code for reason in reasons] or [0])[reason]
        filled["text"][1:] = np.array([texts.index(reason.text) for reason in reasons] or [0])[reason]
        return filled.tobytes()


_FEW = 16_384
# So few are sorted in less time than it takes to look at their ends.
_SORTED_QUICKLY = 10_000
_UNTIL_BITS = 40  # seconds since 1970 until the year 36,812; leaves 23 bits for the reason


def _packed(reason: NDArray[np.uint32], until: _Numbers) -> NDArray[np.int64]:
    return (reason.astype(np.int64) << _UNTIL_BITS) | until


def _distinct(pairs: _Numbers) -> tuple[_Numbers, NDArray[np.intp]]:
    """Return what `np.unique` does with `return_inverse`, without sorting where ends lie near each other.

    Each reason gets as many numbers as there are seconds from its first end to its last; one pass marks those in use.
    """
    if len(pairs) < _SORTED_QUICKLY:
        return np.unique(pairs, return_inverse=True)
    reason, until = pairs >> _UNTIL_BITS, pairs & ((1 << _UNTIL_BITS) - 1)
    present = np.flatnonzero(np.bincount(reason))
    first = np.zeros(present[-1] + 1, np.int64)
    seconds = np.zeros(len(present), np.int64)
    for row, each in enumerate(present):
        ends = until[reason == each]
        first[each], seconds[row] = ends.min(), np.ptp(ends) + 1
    offsets = np.cumsum(seconds) - seconds
    if seconds.sum() > len(pairs):
        return np.unique(pairs, return_inverse=True)
    base = first.copy()
    base[present] -= offsets
    number = until - base[reason]
    used = np.zeros(seconds.sum(), np.bool_)
    used[number] = True
    places = np.flatnonzero(used)
    of_reason = present[np.searchsorted(offsets, places, side="right") - 1]
    distinct = (of_reason << _UNTIL_BITS) | (places + base[of_reason])
    return distinct, (np.cumsum(used) - 1)[number]


def _latest(rows: Rows, born: int, codes: _Numbers) -> Rows:
    """Return the rows still running, sorted by key, prefix and code, of those alike the one that ends last."""
    rows = _chosen(rows, rows.until > born)
    if _is_in_order(rows, codes):
        return rows
    rows = where(rows, np.lexsort((rows.reason, rows.until, codes[rows.reason], rows.prefix, rows.key)))
    code = codes[rows.reason]
    last = np.ones(len(rows.key), np.bool_)
    last[:-1] = ~is_same_target(rows) | (code[1:] != code[:-1])
    return where(rows, last)


def _chosen(rows: Rows, chosen: NDArray[np.bool_]) -> Rows:
    """Return the chosen rows; all of them are not copied."""
    return rows if chosen.all() else where(rows, chosen)


def _is_in_order(rows: Rows, codes: _Numbers) -> bool:
    """Tell whether keys ascend; where they are alike, prefixes; and where these are, codes."""
    alike = np.flatnonzero(rows.key[1:] <= rows.key[:-1])  # in a list kept in order, only networks and exclusions
    key, prefix, code = rows.key, rows.prefix, codes[rows.reason]
    after = alike + 1
    is_after = (prefix[after] > prefix[alike]) | ((prefix[after] == prefix[alike]) & (code[after] > code[alike]))
    return bool(((key[after] == key[alike]) & is_after).all())


def _split(rows: Rows, bits: int) -> tuple[Rows, Rows]:
    """Return hosts, each under its lowest code, and all else: networks, and what hosts have under further codes."""
    is_first = np.ones(len(rows.key), np.bool_)
    is_first[1:] = ~is_same_target(rows)
    is_host = (rows.prefix == bits) & is_first
    return _chosen(rows, is_host), where(rows, ~is_host)


def _rounded(reasons: NDArray[np.uint32], until: _Numbers, born: int, codes: _Numbers, most: int) -> _Rounded:
    """Return ends so that at most `most` classes are named in the rows themselves; the rest goes to the side table.

    The end of an exclusion is exact: rounded down, it would list somebody too early.
    """
    distinct, inverse = _distinct(_packed(reasons, until))
    if len(distinct) <= most:
        return _Rounded(reasons, until, np.zeros(len(reasons), np.bool_))
    reason = (distinct >> _UNTIL_BITS).astype(np.uint32)
    until_of = distinct & ((1 << _UNTIL_BITS) - 1)
    exact = (until_of - born <= NEAR_END_SECONDS) | (codes[reason] == layout.EXCLUDED)
    steps = _finest(reason[~exact], until_of[~exact], born, most)
    coarse = np.where(exact, until_of, _floored(until_of, born, steps or STEPS[-1]))
    if steps is not None:
        return _Rounded(reasons, coarse[inverse], exact[inverse])
    # Too many reasons even so: the commonest classes stay in the rows, the others have an exact end in the side table.
    of_row = _packed(reasons, coarse[inverse])
    classes, counts = np.unique(of_row[~exact[inverse]], return_counts=True)
    common = classes[np.argsort(-counts, kind="stable")[:most]]
    side = exact[inverse] | ~np.isin(of_row, common)
    return _Rounded(reasons, np.where(side, until, coarse[inverse]), side)


def _finest(reason: NDArray[np.uint32], until: _Numbers, born: int, most: int) -> int | None:
    """Return the steps that leave at most `most` classes, the finest such; None where none do."""
    # Where some of the ends take too many classes, so do all: the few tell at once.
    few = slice(None, None, len(until) // _FEW + 1)
    for steps in STEPS:
        if all(
            len(np.unique(_packed(reason[part], _floored(until[part], born, steps)))) <= most
            for part in (few, slice(None))
        ):
            return steps
    return None


def _floored(until: _Numbers, born: int, steps: int) -> _Numbers:
    """Round ends down to `steps` values in each doubling of the time left.

    They are whole multiples of a step since 1970, not since the birth: so most ends are the same in the next snapshot,
    and what changed between the two stays small.
    """
    octave = np.int64(1) << (np.frexp((until - born).astype(np.float64))[1] - 1).astype(np.int64)
    rounded: _Numbers = until - until % np.maximum(octave // steps, 1)
    return rounded


def _host_sections(
    family: int, key: NDArray[np.uint64], number: NDArray[np.uint32], side: NDArray[np.bool_]
) -> dict[str, bytes]:
    name = f"ipv{family}"
    sections = {
        f"{name}.value": np.where(side, layout.IN_SIDE_TABLE, number).astype(np.uint8).tobytes(),
        f"{name}.side.key": key[side].astype(KEY_TYPE[family]).tobytes(),
        f"{name}.side.class": number[side].astype("<u4").tobytes(),
    }
    if family == 6:
        return sections | {f"{name}.key": key.astype("<u8").tobytes()}
    starts = np.searchsorted(key >> np.uint64(16), np.arange(layout.BLOCKS + 1, dtype=np.uint64))
    return sections | {
        f"{name}.index": starts.astype("<u4").tobytes(),
        f"{name}.suffix": (key & np.uint64(0xFFFF)).astype("<u2").tobytes(),
    }


def _network_sections(name: str, family: int, networks: Rows, classes: _Classes) -> dict[str, bytes]:
    # Stable: within a prefix length, keys ascend as they did, and of one target the lowest code comes first.
    networks = where(networks, np.argsort(~networks.prefix, kind="stable"))
    number = classes.add(networks.reason, networks.until, np.ones(len(networks.key), np.bool_))
    number[networks.until == TAKEN_OFF] = 0
    prefixes, starts, counts = np.unique(~networks.prefix, return_index=True, return_counts=True)
    return {
        f"{name}.group": np.stack([~prefixes, starts, counts], axis=1).astype("<u4").tobytes(),
        f"{name}.key": networks.key.astype(KEY_TYPE[family]).tobytes(),
        f"{name}.class": number.astype("<u4").tobytes(),
    }
