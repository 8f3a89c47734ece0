"""Bytes of a packet, read and written within 512: whatever an offset says, nothing outside is touched.

A word is eight of them as one number, in the network's order; one may begin at any of the 512, so a packet lies in a
room a word longer.
"""

import numpy as np

from whimbrel.nameserver.fast.insides import WORD_BYTES, inlined, put_word_at, signed, unsigned, word_at
from whimbrel.nameserver.fast.search import Array
from whimbrel.wire.dns import UDP_BYTES

PACKET_BYTES = UDP_BYTES  # of a query, of an answer, and of the kernel's copy; a power of two
ROOM_BYTES = PACKET_BYTES + WORD_BYTES
_MASK = PACKET_BYTES - 1

HEADER_BYTES, TAIL_BYTES = 12, 4  # of a message; of a question, behind its name: type and class


@inlined
def byte(packet: Array, at: int) -> int:
    """Return a byte of a packet."""
    return signed(packet[unsigned(at & _MASK)])


@inlined
def pair(packet: Array, at: int) -> int:
    """Return two bytes of a packet as a number."""
    return byte(packet, at) << 8 | byte(packet, at + 1)


@inlined
def put(packet: Array, at: int, value: int) -> None:
    """Set a byte of a packet."""
    packet[unsigned(at & _MASK)] = np.uint8(value)


@inlined
def put_pair(packet: Array, at: int, value: int) -> None:
    """Set two bytes of a packet."""
    put(packet, at, value >> 8)
    put(packet, at + 1, value & 0xFF)


@inlined
def word(packet: Array, at: int) -> int:
    """Return eight bytes of a packet as an unsigned number."""
    return word_at(packet, unsigned(at & _MASK))


@inlined
def put_word(packet: Array, at: int, value: int) -> None:
    """Set eight bytes of a packet; `value` is unsigned."""
    put_word_at(packet, unsigned(at & _MASK), value)
