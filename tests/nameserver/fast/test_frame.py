"""Frames made answers by Python, run from the source that the kernel's build is compiled of."""

import struct
from ipaddress import IPv4Address

import dns.message
import numpy as np
import pytest
from tests.nameserver.fast.frames import ASKER, SERVED, frame_of, read, sum_of

from whimbrel.nameserver import answer
from whimbrel.nameserver.fast.frame import FRAME_BYTES, HEADERS_BYTES, respond
from whimbrel.nameserver.fast.packet import ROOM_BYTES
from whimbrel.nameserver.fast.tables import lists_of
from whimbrel.wire.snapshot import Snapshot

QUERY = dns.message.make_query("1.2.0.192.bl.example.", "A").to_wire()


def responded(frame: bytes, world: Snapshot, now: float) -> bytes | None:
    """Respond half a second after `now`: the monotonic clock is 100 s behind."""
    room = np.zeros(HEADERS_BYTES + ROOM_BYTES, np.uint8)
    size = min(len(frame), FRAME_BYTES)
    room[:size] = np.frombuffer(frame[:size], np.uint8)
    control = np.array([100 * 10**9, world.expires, int(SERVED)], np.int64)
    clock = int(now) * 10**9 + 5 * 10**8 - 100 * 10**9
    length = respond(room[:HEADERS_BYTES], room[HEADERS_BYTES:], len(frame), lists_of(world), control, clock)
    return room[:length].tobytes() if length else None


def changed(at: int, content: bytes, *, summed: bool = True) -> bytes:
    """Return a query's frame with some bytes changed, and its IP checksum right all the same."""
    frame = bytearray(frame_of(QUERY))
    frame[at : at + len(content)] = content
    if summed:
        frame[24:26] = b"\0\0"
        frame[24:26] = sum_of(bytes(frame[14:34])).to_bytes(2, "big")
    return bytes(frame)


@pytest.mark.parametrize("padding", [0, 8])
def test_a_query_is_answered(world: Snapshot, now: float, padding: int) -> None:
    given = responded(frame_of(QUERY) + bytes(padding), world, now)
    assert given is not None
    assert read(given) == answer(QUERY, world, int(now) + 0.5, tcp=False)


@pytest.mark.parametrize(
    ("at", "content"),
    [
        (0, b"\xff" * 6),  # to all
        (12, b"\x81\x00"),  # a VLAN's tag
        (12, b"\x86\xdd"),  # IPv6
        (14, b"\x46"),  # IP options
        (20, b"\x20\x00"),  # more fragments
        (20, b"\x00\x01"),  # not the first one
        (23, b"\x06"),  # TCP
        (16, b"\x01\x00"),  # IP longer than UDP
        (26, SERVED.packed),  # from ourselves
        (26, IPv4Address("127.0.0.1").packed),
        (26, IPv4Address("0.0.0.1").packed),
        (26, IPv4Address("224.0.0.1").packed),
        (26, IPv4Address("255.255.255.255").packed),
        (30, IPv4Address("192.0.2.54").packed),  # to another
        (34, b"\0\0"),  # from port 0
        (36, b"\0\x36"),  # to port 54
        (38, b"\0\0"),  # shorter than its own header
    ],
)
def test_what_is_not_plain_is_handed_on(world: Snapshot, now: float, at: int, content: bytes) -> None:
    assert responded(changed(at, frame_of(QUERY)[at : at + len(content)]), world, now) is not None
    assert responded(changed(at, content), world, now) is None


def test_a_damaged_ip_header_is_handed_on(world: Snapshot, now: float) -> None:
    assert responded(changed(29, b"\x0a", summed=False), world, now) is None
    assert ASKER.packed[3] != 0x0A


def test_a_frame_cut_short_is_handed_on(world: Snapshot, now: float) -> None:
    assert responded(frame_of(QUERY)[:-1], world, now) is None


def test_udp_that_says_more_than_a_frame_holds(world: Snapshot, now: float) -> None:
    assert responded(changed(16, struct.pack("!H", 0xFFFF)), world, now) is None
    assert responded(changed(38, struct.pack("!H", 0xFFFF)), world, now) is None
