"""A snapshot as the arrays that the compiled answer reads: views of the mapped file, and three small ones made here."""

import struct

import numpy as np
from numpy.typing import NDArray

from whimbrel.nameserver.answer import answer
from whimbrel.nameserver.fast.search import ANY_ROW, Array, Family, Lists
from whimbrel.wire import dns
from whimbrel.wire.snapshot import Snapshot
from whimbrel.wire.snapshot.layout import BLOCKS, GROUP_COLUMNS

_ZONE_BYTES = 256
_SOA_BYTES = 512
_CASE = 0x20


def lists_of(snapshot: Snapshot) -> Lists:
    """Return the arrays of a snapshot, which must stay mapped while they are used."""
    zone = dns.write_name(snapshot.zone.name.lower())
    soa = _negative_soa(snapshot, zone)
    ipv4, ipv6 = _family(snapshot, 4), _family(snapshot, 6)
    key = np.frombuffer(snapshot.section("ipv6.key"), "<u8")
    return Lists(
        zone=_padded(zone, _ZONE_BYTES),
        care=_padded(bytes(0xFF ^ _CASE if chr(each).isalpha() else 0xFF for each in zone), _ZONE_BYTES),
        zone_bytes=len(zone),
        soa=_padded(soa, _SOA_BYTES),
        soa_bytes=len(soa),
        ends=np.frombuffer(snapshot.section("classes"), "<i8"),
        class_mask=ANY_ROW,
        block=np.frombuffer(snapshot.section("ipv4.index"), "<u4"),
        suffix=np.frombuffer(snapshot.section("ipv4.suffix"), "<u2"),
        near=_near(ipv4),
        ipv4=ipv4,
        key=key,
        key_steps=len(key).bit_length(),
        ipv6=ipv6,
    )


def _family(snapshot: Snapshot, family: int) -> Family:
    def column(name: str, kind: str) -> Array:
        return np.frombuffer(snapshot.section(f"ipv{family}.{name}"), kind)

    key = "<u4" if family == 4 else "<u8"
    side_key, net_key = column("side.key", key), column("net.key", key)
    return Family(
        value=column("value", "<u1"),
        side_key=side_key,
        side_class=column("side.class", "<u4"),
        side_steps=len(side_key).bit_length(),
        group=column("net.group", "<u4"),
        net_key=net_key,
        net_class=column("net.class", "<u4"),
        net_steps=len(net_key).bit_length(),
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
    for prefix, first, count in family.group.reshape(-1, GROUP_COLUMNS).tolist():
        blocks = family.net_key[first : first + count] >> np.uint32(16)
        for block in np.unique(blocks).tolist():
            marked[block : block + (1 << max(0, 16 - prefix))] = True
    return np.packbits(marked, bitorder="little").view("<u8")


def _padded(content: bytes, size: int) -> NDArray[np.uint8]:
    padded = np.zeros(size, np.uint8)
    padded[: len(content)] = np.frombuffer(content, np.uint8)
    return padded
