"""A snapshot's entries as columns again: the inverse of the encoder, for whoever needs all of them and not one.

Ends come back as the file has them: rounded down where the encoder did so, for that is what name servers answer.
"""

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from whimbrel.wire.snapshot import layout
from whimbrel.wire.snapshot.encoder import CLASS_TYPE, HOST_BITS, KEY_TYPE, Reason, Rows
from whimbrel.wire.snapshot.nametable import NameRows, no_names
from whimbrel.wire.snapshot.view import Snapshot


class Decoded(NamedTuple):
    """All entries of a snapshot; `Rows.reason` is a row of `reasons`.

    Rows come hosts first, ascending, then networks: longest prefix first, ascending within a prefix length.  Further
    codes of a host come with the networks.  Names come in the order of their hashes; those that only have names beneath
    them are left out.
    """

    reasons: list[Reason]
    ipv4: Rows
    ipv6: Rows
    names: NameRows


def decode(snapshot: Snapshot) -> Decoded:
    """Return every entry, ended ones too."""
    texts = msgspec.msgpack.decode(snapshot.section("texts"), type=list[str])
    classes = np.frombuffer(snapshot.section("classes"), CLASS_TYPE)
    pairs = classes["code"].astype(np.uint64) << np.uint64(32) | classes["text"]
    distinct, reason = np.unique(pairs[1:], return_inverse=True)  # class 0 is none
    reasons = [Reason(int(pair) >> 32, texts[int(pair) & 0xFFFFFFFF]) for pair in distinct]
    reason_of_class = np.concatenate(([0], reason)).astype(np.uint32)
    return Decoded(
        reasons,
        _rows(snapshot, 4, classes["until"], reason_of_class),
        _rows(snapshot, 6, classes["until"], reason_of_class),
        _names(snapshot, classes["until"], reason_of_class),
    )


def _rows(snapshot: Snapshot, family: int, until: NDArray[np.int64], reason: NDArray[np.uint32]) -> Rows:
    host_keys, networks = _host_keys(snapshot, family), f"ipv{family}.net"
    number = np.frombuffer(snapshot.section(f"ipv{family}.value"), np.uint8).astype(np.uint32)
    number[number == layout.IN_SIDE_TABLE] = np.frombuffer(snapshot.section(f"ipv{family}.side.class"), "<u4")
    groups = np.frombuffer(snapshot.section(f"{networks}.group"), "<u4").reshape(-1, layout.GROUP_COLUMNS)
    numbers = np.concatenate((number, np.frombuffer(snapshot.section(f"{networks}.class"), "<u4")))
    return Rows(
        np.concatenate((host_keys, np.frombuffer(snapshot.section(f"{networks}.key"), KEY_TYPE[family]))).astype(
            np.uint64
        ),
        np.concatenate((np.full(len(host_keys), HOST_BITS[family]), np.repeat(groups[:, 0], groups[:, 2]))).astype(
            np.uint8
        ),
        reason[numbers],
        until[numbers],
    )


def _names(snapshot: Snapshot, until: NDArray[np.int64], reason: NDArray[np.uint32]) -> NameRows:
    if snapshot.version == 1:
        return no_names()
    number = np.frombuffer(snapshot.section("names.class"), "<u4")
    kind = np.frombuffer(snapshot.section("names.kind"), np.uint8)
    at = np.frombuffer(snapshot.section("names.at"), "<u4").tolist()
    text = snapshot.section("names.text")
    rows = np.flatnonzero(kind & layout.ENTRY)
    return NameRows(
        [bytes(text[at[row] : at[row + 1]]) for row in rows.tolist()],
        (kind[rows] & layout.WILDCARD).astype(np.bool_),
        reason[number[rows]],
        until[number[rows]],
    )


def _host_keys(snapshot: Snapshot, family: int) -> NDArray[np.uint64]:
    if family == 6:
        return np.frombuffer(snapshot.section("ipv6.key"), "<u8").astype(np.uint64)
    index = np.frombuffer(snapshot.section("ipv4.index"), "<u4")
    blocks = np.repeat(np.arange(layout.BLOCKS, dtype=np.uint64), np.diff(index))
    suffix = np.frombuffer(snapshot.section("ipv4.suffix"), "<u2").astype(np.uint64)
    return np.bitwise_or(np.left_shift(blocks, np.uint64(16)), suffix)
