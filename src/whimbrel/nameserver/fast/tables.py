"""A snapshot as the arrays that the compiled answer reads: views of the mapped file, and some small ones made here."""

import struct

import numpy as np
from numpy.typing import NDArray

from whimbrel.nameserver.answer import answer
from whimbrel.nameserver.fast import indices
from whimbrel.nameserver.fast.search import (
    ABOVE_ZONE,
    ANY_ROW,
    HAS_NAMES,
    NAME_ROW,
    SHOWS_ALL,
    SHOWS_NO_ADDRESS,
    SHOWS_ROW,
    SOA_ROW,
    Array,
    Family,
    Lists,
    Nets,
)
from whimbrel.wire import dns
from whimbrel.wire.snapshot import Overlay, Snapshot, Zone
from whimbrel.wire.snapshot.layout import BLOCKS, GROUP_COLUMNS, NAME_CODES
from whimbrel.wire.snapshot.networks import KEY_BITS, Networks

CLASS_COLUMNS = 2  # of `ends`
_CASE = 0x20
_BLOCK_BITS, _PART_BITS = 16, 32
_KEY_TYPE = {32: "<u4", 64: "<u8"}


def lists_of(snapshot: Snapshot) -> Lists:
    """Return the arrays of a snapshot without its overlay; it must stay mapped while they are used."""
    zones = sorted(snapshot.zones, key=lambda zone: zone.name.count("."), reverse=True)  # the innermost first
    if any(_is_part(label) for zone in zones for label in _labels_within(zone, zones)):
        zones = []  # a name in it can be an address of the zone around it: all is handed on
    names = [dns.write_name(zone.name.lower()) for zone in zones]
    records = [_negative_soa(snapshot, name) for name in names]
    ipv4, ipv6 = _family(snapshot, 4), _family(snapshot, 6)
    suffix = np.frombuffer(snapshot.section("ipv4.suffix"), "<u2")
    key = np.frombuffer(snapshot.section("ipv6.key"), "<u8")
    cell_bits, seed = indices.cell_bits_of(len(suffix)), indices.new_seed()
    return Lists(
        zones=len(zones),
        name=_rows(names, NAME_ROW),
        care=_rows([bytes(0xFF ^ _CASE if chr(each).isalpha() else 0xFF for each in name) for name in names], NAME_ROW),
        name_bytes=np.array([len(name) for name in names], np.int64),
        soa=_rows(records, SOA_ROW),
        soa_bytes=np.array([len(record) for record in records], np.int64),
        shows=np.array([_shown(zone) for zone in zones], np.uint64).reshape(-1),
        flags=np.array([_flags(zone, snapshot) for zone in zones], np.int64),
        ends=np.frombuffer(snapshot.section("classes"), "<i8"),
        class_mask=ANY_ROW,
        cells=indices.cells_of(np.frombuffer(snapshot.section("ipv4.index"), "<u4"), suffix, cell_bits),
        cell_bits=cell_bits,
        suffix=suffix,
        near=_near(ipv4),
        ipv4=ipv4,
        key=key,
        slots=indices.slots_of(key, seed),
        row_bits=indices.row_bits_of(key),
        seed=seed,
        ipv6=ipv6,
    )


def _labels_within(zone: Zone, zones: list[Zone]) -> list[str]:
    """Return the labels in front of the widest zone that a zone lies in."""
    around = [other.name for other in zones if zone.name.endswith(f".{other.name}")]
    return zone.name[: -len(min(around, key=len)) - 1].split(".") if around else []


def _is_part(label: str) -> bool:
    """Tell whether a label can be a part of an address's name."""
    return label in tuple("0123456789abcdef") or (label.isdigit() and len(label) <= 3)


def _shown(zone: Zone) -> list[int]:
    """Return a bit for each code below NAME_CODES that a zone shows."""
    bits = sum(1 << code for code in range(1, NAME_CODES) if zone.shows(code))
    return [bits >> 64 * word & 0xFFFFFFFFFFFFFFFF for word in range(SHOWS_ROW)]


def _flags(zone: Zone, snapshot: Snapshot) -> int:
    beneath = any(other.name.endswith(f".{zone.name}") for other in snapshot.zones)
    has_names = zone.has_names and len(snapshot.sections().get("names.key", b"")) > 0
    return (
        (SHOWS_ALL if zone.codes is None else 0)
        | (HAS_NAMES if has_names else 0)
        | (0 if zone.has_addresses else SHOWS_NO_ADDRESS)
        | (ABOVE_ZONE if beneath else 0)
    )


def overlaid(lists: Lists, overlay: Overlay | None) -> Lists:
    """Return the arrays of a snapshot with its overlay; `lists` are those without.

    Every array has the type it has without, down to being read-only: another would be compiled for anew.
    """
    if overlay is None:
        return lists
    ends = np.frombuffer(overlay.classes, "<i8")
    before = len(lists.ends) // CLASS_COLUMNS
    changed = {family: _changed(table, before) for family, table in overlay.tables.items()}
    return lists._replace(
        ends=_fixed(np.concatenate((lists.ends, ends))),
        ipv4=lists.ipv4._replace(changed=changed[4], touched=_touched_ipv4(changed[4])),
        ipv6=lists.ipv6._replace(changed=changed[6], touched=_touched_ipv6(changed[6])),
    )


def _changed(table: Networks, before: int) -> Nets:
    """Return an overlay's networks, their classes numbered behind the snapshot's `before`; 0 stays none."""
    key, number = np.frombuffer(table.key, _KEY_TYPE[table.bits]), np.frombuffer(table.number, "<u4")
    numbered = np.where(number == 0, 0, number + np.uint32(before)).astype("<u4")
    return Nets(np.frombuffer(table.group, "<u4"), key, _fixed(numbered), len(key).bit_length())


def _touched_ipv4(changed: Nets) -> Array:
    """Return a bit for each /16 in which, or around which, something changed."""
    marked = np.zeros(BLOCKS, np.bool_)
    for prefix, first, count in changed.group.reshape(-1, GROUP_COLUMNS).tolist():
        blocks = changed.key[first : first + count] >> np.uint32(16)
        if prefix >= _BLOCK_BITS:
            marked[blocks] = True
        else:
            for block in blocks.tolist():
                marked[block : block + (1 << _BLOCK_BITS - prefix)] = True
    return _packed(marked)


def _touched_ipv6(changed: Nets) -> Array:
    """Return a bit for each `ipv6_part` in which something changed; all of them where it is wider than a /32."""
    marked = np.zeros(BLOCKS, np.bool_)
    for prefix, first, count in changed.group.reshape(-1, GROUP_COLUMNS).tolist():
        keys = changed.key[first : first + count]
        marked[(keys >> np.uint64(32) ^ keys >> np.uint64(48)) & np.uint64(0xFFFF)] = True
        if prefix < _PART_BITS:
            marked[:] = True
    return _packed(marked)


def _fixed(array: Array) -> Array:
    array.flags.writeable = False
    return array


def _packed(marked: NDArray[np.bool_]) -> NDArray[np.uint64]:
    return np.packbits(marked, bitorder="little").view("<u8")


def _family(snapshot: Snapshot, family: int) -> Family:
    def column(name: str, kind: str) -> Array:
        return np.frombuffer(snapshot.section(f"ipv{family}.{name}"), kind)

    key = _KEY_TYPE[KEY_BITS[family]]
    side_key, net_key = column("side.key", key), column("net.key", key)
    none = np.frombuffer(b"", "<u4")
    return Family(
        value=column("value", "<u1"),
        side_key=side_key,
        side_class=column("side.class", "<u4"),
        side_steps=len(side_key).bit_length(),
        nets=Nets(column("net.group", "<u4"), net_key, column("net.class", "<u4"), len(net_key).bit_length()),
        changed=Nets(none, np.frombuffer(b"", key), none, 0),
        touched=_packed(np.zeros(BLOCKS, np.bool_)),
        mask=ANY_ROW,
    )


def _negative_soa(snapshot: Snapshot, zone: bytes) -> bytes:
    """Return the SOA record as it stands beneath "not listed": what the reference writes behind such a question."""
    question = b"\x09no-number" + zone + struct.pack("!HH", dns.Type.A, dns.CLASS_IN)
    response = answer(struct.pack("!6H", 0, 0, 1, 0, 0, 0) + question, snapshot, snapshot.born, tcp=True)
    assert response is not None
    return response[dns.HEADER.size + len(question) :]


def _near(family: Family) -> NDArray[np.uint64]:
    """Return a bit for each /16 in which, or around which, a network lies: nobody else's networks are looked at."""
    marked = np.zeros(BLOCKS, np.bool_)
    for prefix, first, count in family.nets.group.reshape(-1, GROUP_COLUMNS).tolist():
        blocks = family.nets.key[first : first + count] >> np.uint32(16)
        for block in np.unique(blocks).tolist():
            marked[block : block + (1 << max(0, _BLOCK_BITS - prefix))] = True
    return _packed(marked)


def _rows(contents: list[bytes], size: int) -> NDArray[np.uint8]:
    return np.frombuffer(bytearray(b"".join(content.ljust(size, b"\0") for content in contents)), np.uint8)
