"""A snapshot's entries as columns again: the inverse of the encoder, for whoever needs all of them and not one.

Ends come back as the file has them: rounded down where the encoder did so, for that is what name servers answer.
"""

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from whimbrel.wire.snapshot import layout
from whimbrel.wire.snapshot.encoder import CLASS_TYPE, HOST_BITS, KEY_TYPE, Reason, encode
from whimbrel.wire.snapshot.nametable import NameRows, no_names
from whimbrel.wire.snapshot.networks import Networks
from whimbrel.wire.snapshot.rows import Rows, stacked, where
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
    """Return every entry, ended ones too; of the snapshot itself, not of its overlay."""
    reasons, of_class, until = _classes(snapshot.section("classes"), snapshot.section("texts"))
    return Decoded(
        reasons,
        _rows(snapshot, 4, until, of_class),
        _rows(snapshot, 6, until, of_class),
        _names(snapshot, until, of_class),
    )


def compacted(snapshot: Snapshot) -> Snapshot:
    """Return one snapshot that says what another says with its overlay, for whoever wants all of its entries."""
    overlay = snapshot.overlay
    if overlay is None:
        return snapshot
    decoded = decode(snapshot)
    reasons, of_class, until = _classes(overlay.classes, overlay.sections()["texts"])
    rows = {}
    for family, before in ((4, decoded.ipv4), (6, decoded.ipv6)):
        changes = _changes(overlay.tables[family], until, of_class, len(decoded.reasons))
        rows[family] = _laid_over(before, changes, overlay.tables[family])
    data = encode(
        zone=snapshot.zone,
        serial=snapshot.serial,
        born=snapshot.born,
        expires=snapshot.expires,
        reasons=[*decoded.reasons, *reasons],
        ipv4=rows[4],
        ipv6=rows[6],
        names=decoded.names,
        more_zones=snapshot.zones[1:],
    )
    return Snapshot(data)


def _changes(table: Networks, until: NDArray[np.int64], reason: NDArray[np.uint32], before: int) -> Rows:
    """Return what an overlay lists, its reasons counted on from `before`."""
    groups = np.frombuffer(table.group, "<u4").reshape(-1, layout.GROUP_COLUMNS)
    number = np.frombuffer(table.number, "<u4")
    listed = number != 0
    return Rows(
        np.frombuffer(table.key, f"<u{table.bits // 8}").astype(np.uint64)[listed],
        np.repeat(groups[:, 0], groups[:, 2]).astype(np.uint8)[listed],
        reason[number[listed]] + np.uint32(before),
        until[number[listed]],
    )


def _laid_over(rows: Rows, changes: Rows, table: Networks) -> Rows:
    """Return the rows of targets that an overlay says nothing of, and those that it has."""
    stays = np.ones(len(rows.key), np.bool_)
    for prefix, first, count in table.groups():
        changed = np.frombuffer(table.key[first : first + count].tobytes(), f"<u{table.bits // 8}")
        stays &= (rows.prefix != prefix) | ~np.isin(rows.key, changed.astype(np.uint64))
    return stacked(where(rows, stays), changes)


def _classes(section: memoryview, texts: memoryview) -> tuple[list[Reason], NDArray[np.uint32], NDArray[np.int64]]:
    """Return the reasons, and of each class its reason and its end."""
    named = msgspec.msgpack.decode(texts, type=list[str])
    classes = np.frombuffer(section, CLASS_TYPE)
    pairs = classes["code"].astype(np.uint64) << np.uint64(32) | classes["text"]
    distinct, reason = np.unique(pairs[1:], return_inverse=True)  # class 0 is none
    reasons = [Reason(int(pair) >> 32, named[int(pair) & 0xFFFFFFFF]) for pair in distinct]
    return reasons, np.concatenate(([0], reason)).astype(np.uint32), classes["until"]


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
