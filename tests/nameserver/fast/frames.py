"""Ethernet frames as the kernel's build is given and gives them."""

import struct
from ipaddress import IPv4Address

SERVED, ASKER = IPv4Address("192.0.2.53"), IPv4Address("203.0.113.9")


def sum_of(words: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(words) // 2}H", words))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def frame_of(query: bytes, source: IPv4Address = ASKER, target: IPv4Address = SERVED, port: int = 53) -> bytes:
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(query), 7, 0, 57, 17, 0, source.packed, target.packed)
    ip = ip[:10] + sum_of(ip).to_bytes(2, "big") + ip[12:]
    return b"\x02SERVD\x02ASKER\x08\0" + ip + struct.pack("!4H", 3053, port, 8 + len(query), 0x1234) + query


def read(frame: bytes) -> bytes:
    """Return the DNS message of an answer to what `frame_of` makes, every byte around it looked at."""
    message = frame[42:]
    assert frame[:14] == b"\x02ASKER\x02SERVD\x08\0"
    ip = frame[14:34]
    assert sum_of(ip) == 0
    assert ip[:10] == struct.pack("!BBHHHBB", 0x45, 0, 28 + len(message), 0, 0x4000, 64, 17)
    assert ip[12:] == SERVED.packed + ASKER.packed
    assert frame[34:42] == struct.pack("!4H", 53, 3053, 8 + len(message), 0)
    return message
