"""A whole Ethernet frame, as the kernel's build has it: a query over IPv4 and UDP made its answer, or nothing done.

What is not the plainest (another protocol, IP options, fragments, a VLAN's tag) is handed on, as is what is not sent
to the one address that is served.  How to write such functions: `search.py`.
"""

from whimbrel.nameserver.fast.answer import HANDED_ON, answer
from whimbrel.nameserver.fast.insides import inlined, signed, unsigned
from whimbrel.nameserver.fast.packet import PACKET_BYTES, byte, pair, put, put_pair
from whimbrel.nameserver.fast.search import Array, Lists

HEADERS_BYTES = 42  # Ethernet (IEEE 802.3) 14, IPv4 (RFC 791) without options 20, UDP (RFC 768) 8
FRAME_BYTES = HEADERS_BYTES + PACKET_BYTES
PORT = 53

# Rows of a build's `control`; the monotonic clock is behind that of the wall by AHEAD_NANOSECONDS.
AHEAD_NANOSECONDS, EXPIRES, ADDRESS = range(3)

_IP, _UDP = 14, 34
_SOURCE, _TARGET = _IP + 12, _IP + 16
_IP_PAIRS = 10
_ETHERNET_IPV4, _VERSION_AND_WORDS, _PROTOCOL_UDP = 0x0800, 0x45, 17
_MORE_OR_OFFSET, _DO_NOT_FRAGMENT = 0x3FFF, 0x4000
_HOPS = 64  # RFC 1700: the recommended time to live
_SECOND = 1_000_000_000


@inlined
def checksum(headers: Array) -> int:
    """Return the sum over the IP header; it is 0xFFFF with its own field in it, else its complement goes there."""
    total = 0
    for place in range(_IP_PAIRS):
        total += pair(headers, _IP + 2 * place)
    total = (total & 0xFFFF) + (total >> 16)
    return (total & 0xFFFF) + (total >> 16)


@inlined
def address_at(headers: Array, at: int) -> int:
    """Return the IPv4 address at an offset."""
    return pair(headers, at) << 16 | pair(headers, at + 2)


@inlined
def query_bytes(headers: Array, length: int, address: int) -> int:
    """Return how long the query is in a frame of `length` bytes, 0 where it is none that is answered here."""
    size = pair(headers, _UDP + 4)  # short frames are padded: the frame's own length says nothing
    source = address_at(headers, _SOURCE)
    network = source >> 24
    if (
        byte(headers, 0) & 1  # sent to many
        or pair(headers, 12) != _ETHERNET_IPV4
        or byte(headers, _IP) != _VERSION_AND_WORDS
        or byte(headers, _IP + 9) != _PROTOCOL_UDP
        or pair(headers, _IP + 6) & _MORE_OR_OFFSET
        or checksum(headers) != 0xFFFF
    ):
        return 0
    if pair(headers, _IP + 2) != size + 20 or size + _UDP > length:
        return 0
    if address_at(headers, _TARGET) != address or source == address or network in (0, 127) or network >= 224:
        return 0  # somebody else's; from nobody who can be answered (RFC 6890)
    if pair(headers, _UDP) == 0 or pair(headers, _UDP + 2) != PORT:
        return 0
    return size - 8


@inlined
def exchange(headers: Array, first: int, second: int, pairs: int) -> None:
    """Let some bytes change places."""
    for place in range(0, 2 * pairs, 2):
        one, other = pair(headers, first + place), pair(headers, second + place)
        put_pair(headers, first + place, other)
        put_pair(headers, second + place, one)


@inlined
def turn(headers: Array, size: int) -> None:
    """Make the headers of a query those of its answer of `size` bytes; UDP's checksum is left out, as IPv4 allows."""
    exchange(headers, 0, 6, 3)
    exchange(headers, _SOURCE, _TARGET, 2)
    exchange(headers, _UDP, _UDP + 2, 1)
    put_pair(headers, _UDP + 4, size + 8)
    put_pair(headers, _UDP + 6, 0)
    put(headers, _IP + 1, 0)
    put_pair(headers, _IP + 2, size + 28)
    put_pair(headers, _IP + 4, 0)  # RFC 6864: what cannot be fragmented needs no identification
    put_pair(headers, _IP + 6, _DO_NOT_FRAGMENT)
    put(headers, _IP + 8, _HOPS)
    put_pair(headers, _IP + 10, 0)
    put_pair(headers, _IP + 10, ~checksum(headers) & 0xFFFF)


@inlined
def respond(headers: Array, packet: Array, length: int, lists: Lists, control: Array, clock: int) -> int:
    """Write the answer over a query in a frame of `length` bytes, return the frame's length; or HANDED_ON.

    `packet` (ROOM_BYTES) stands behind `headers`.  `clock` is the monotonic one, in nanoseconds.
    """
    size = query_bytes(headers, length, signed(control[unsigned(ADDRESS)]))
    if size <= 0:
        return HANDED_ON
    time = unsigned(clock + signed(control[unsigned(AHEAD_NANOSECONDS)]))  # the kernel cannot divide with a sign
    now, soon = time // unsigned(_SECOND), (time + unsigned(_SECOND - 1)) // unsigned(_SECOND)
    if signed(now) >= signed(control[unsigned(EXPIRES)]):
        return HANDED_ON
    size = answer(packet, size, lists, signed(now), signed(soon), True)
    if size == HANDED_ON:
        return HANDED_ON
    turn(headers, size)
    return HEADERS_BYTES + size
