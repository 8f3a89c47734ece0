"""Writing a snapshot: columns of listed hosts and networks in, the file's bytes out.

NumPy throughout, for lists of ten million.  The same rows in any order give the same bytes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from whimbrel.wire.snapshot import layout
from whimbrel.wire.snapshot.layout import Zone

# Who ends before this keeps his exact end: three times the five minutes between two snapshots of a busy list.
NEAR_END_SECONDS = 900
# Steps in each doubling of the time left, finest first: rounding down takes less than 1/steps of the time left.
STEPS = (1024, 512, 256, 128, 96, 64, 48, 32, 24, 16, 12, 10, 8, 7, 6, 5, 4, 3, 2)

HOST_BITS = {4: 32, 6: 64}
KEY_TYPE = {4: "<u4", 6: "<u8"}
CLASS_TYPE = np.dtype([("until", "<i8"), ("code", "<u4"), ("text", "<u4")])

_Numbers = NDArray[np.int64]


class Reason(NamedTuple):
    """A code (the low three octets of 127.x.y.z) and the text template that goes with it."""

    code: int
    text: str


class Rows(NamedTuple):
    """Listed hosts and networks of one family, as columns of equal length.

    `key` is the IPv4 address or the upper half of the IPv6 address (no bit set beyond the prefix), `prefix` the prefix
    length (32 or 64: a host), `reason` a row of the reasons, `until` seconds since 1970.
    """

    key: NDArray[np.uint64]
    prefix: NDArray[np.uint8]
    reason: NDArray[np.uint32]
    until: _Numbers


def no_rows() -> Rows:
    """Return rows of nothing."""
    return Rows(np.empty(0, np.uint64), np.empty(0, np.uint8), np.empty(0, np.uint32), np.empty(0, np.int64))


def encode(
    *, zone: Zone, serial: int, born: int, expires: int, reasons: Sequence[Reason], ipv4: Rows, ipv6: Rows
) -> bytes:
    """Return the bytes of a snapshot.

    Rows that end at or before `born` are left out; of two rows for one target the one that ends last stays.
    """
    texts = sorted({reason.text for reason in reasons})
    classes = _Classes()
    families = {family: _latest(rows, born) for family, rows in ((4, ipv4), (6, ipv6))}
    hosts = {family: _where(rows, rows.prefix == HOST_BITS[family]) for family, rows in families.items()}
    networks = {family: _where(rows, rows.prefix != HOST_BITS[family]) for family, rows in families.items()}
    rounded = _rounded(_stacked(hosts[4], hosts[6]), born)
    split = len(hosts[4].key)
    by_value = classes.add(rounded.reason, rounded.until, rounded.side)
    sections: dict[str, bytes] = {"zone": msgspec.msgpack.encode(zone), "texts": msgspec.msgpack.encode(texts)}
    for family, part in ((4, slice(0, split)), (6, slice(split, None))):
        sections |= _host_sections(family, hosts[family].key, by_value[part], rounded.side[part])
        sections |= _network_sections(family, networks[family], classes)
    sections["classes"] = classes.table(reasons, texts)
    return layout.assembled(sections, serial=serial, born=born, expires=expires)


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
                distinct, inverse = np.unique(pairs, return_inverse=True)
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


_UNTIL_BITS = 40  # seconds since 1970 until the year 36,812; leaves 23 bits for the reason


def _packed(reason: NDArray[np.uint32], until: _Numbers) -> NDArray[np.int64]:
    return (reason.astype(np.int64) << _UNTIL_BITS) | until


def _latest(rows: Rows, born: int) -> Rows:
    """Return the rows still running, sorted by key and prefix, of equal targets the one that ends last."""
    rows = _where(rows, rows.until > born)
    order = np.lexsort((rows.reason, rows.until, rows.prefix, rows.key))
    rows = _where(rows, order)
    last = np.ones(len(rows.key), np.bool_)
    last[:-1] = (rows.key[1:] != rows.key[:-1]) | (rows.prefix[1:] != rows.prefix[:-1])
    return _where(rows, last)


def _rounded(hosts: Rows, born: int) -> _Rounded:
    """Return the hosts' ends so that at most 255 classes are named by a byte; the rest goes to the side table."""
    nobody = np.zeros(len(hosts.key), np.bool_)
    distinct, inverse = np.unique(_packed(hosts.reason, hosts.until), return_inverse=True)
    if len(distinct) <= layout.VALUE_CLASSES:
        return _Rounded(hosts.reason, hosts.until, nobody)
    reason = (distinct >> _UNTIL_BITS).astype(np.uint32)
    until = distinct & ((1 << _UNTIL_BITS) - 1)
    near = until - born <= NEAR_END_SECONDS
    for steps in STEPS:
        coarse = np.where(near, until, _floored(until, born, steps))
        named = np.unique(_packed(reason[~near], coarse[~near]))
        if len(named) <= layout.VALUE_CLASSES:
            return _Rounded(hosts.reason, coarse[inverse], near[inverse])
    # Too many reasons even so: the commonest 255 classes keep the byte, the others an exact end in the side table.
    of_host = _packed(hosts.reason, coarse[inverse])
    classes, counts = np.unique(of_host[~near[inverse]], return_counts=True)
    common = classes[np.argsort(-counts, kind="stable")[: layout.VALUE_CLASSES]]
    side = near[inverse] | ~np.isin(of_host, common)
    return _Rounded(hosts.reason, np.where(side, hosts.until, coarse[inverse]), side)


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


def _network_sections(family: int, networks: Rows, classes: _Classes) -> dict[str, bytes]:
    order = np.lexsort((networks.key, -networks.prefix.astype(np.int64)))
    networks = _where(networks, order)
    everyone = np.ones(len(networks.key), np.bool_)
    number = classes.add(networks.reason, networks.until, everyone)
    prefixes, starts, counts = np.unique(-networks.prefix.astype(np.int64), return_index=True, return_counts=True)
    name = f"ipv{family}.net"
    return {
        f"{name}.group": np.stack([-prefixes, starts, counts], axis=1).astype("<u4").tobytes(),
        f"{name}.key": networks.key.astype(KEY_TYPE[family]).tobytes(),
        f"{name}.class": number.astype("<u4").tobytes(),
    }


def _where(rows: Rows, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> Rows:
    return Rows(rows.key[chosen], rows.prefix[chosen], rows.reason[chosen], rows.until[chosen])


def _stacked(first: Rows, second: Rows) -> Rows:
    return Rows(
        np.concatenate((first.key, second.key)),
        np.concatenate((first.prefix, second.prefix)),
        np.concatenate((first.reason, second.reason)),
        np.concatenate((first.until, second.until)),
    )
