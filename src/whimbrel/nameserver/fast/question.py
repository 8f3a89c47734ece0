"""What a query asks about: an address in the zone, a name there that cannot be listed, or a name elsewhere.

How to write such functions: `search.py`.
"""

from whimbrel.nameserver.fast.insides import inlined, unsigned
from whimbrel.nameserver.fast.packet import HEADER_BYTES, PACKET_BYTES, TAIL_BYTES, byte, pair
from whimbrel.nameserver.fast.search import Array, Lists, read
from whimbrel.wire.dns import MAX_LABEL_BYTES, MAX_NAME_BYTES

# What is asked about, beside the families 4 and 6.
ODD, UNLISTABLE, ELSEWHERE = 0, 1, 2

_IPV6_NAME_BYTES = 64
_AT_BITS = 32  # an offset above an address, in one number
_MAPPED = 0xFFFF  # ::ffff:0:0/96 is IPv4 (RFC 4291, section 2.5.5.2)
_MOST_LABELS = 127  # of a name of 255 bytes
_OCTET_LETTERS = 3  # more is no octet and no hexadecimal digit


@inlined
def is_zone(packet: Array, at: int, lists: Lists) -> bool:
    """Tell whether the zone's name, in letters of any size, stands at an offset."""
    different = 0
    for place in range(lists.zone_bytes):
        different |= (byte(packet, at + place) ^ read(lists.zone, place, 0xFF)) & read(lists.care, place, 0xFF)
    return different == 0


@inlined
def ipv4_name(packet: Array) -> int:
    """Return the address that the name's first four labels spell, and above it the offset behind them; else -1."""
    at, address, bad = HEADER_BYTES, 0, 0
    for part in range(4):
        size = byte(packet, at)
        value = 0
        for place in range(1, 4):
            if place <= size:
                digit = byte(packet, at + place) - 48
                bad |= digit >> 4 | (digit + 6) >> 4  # negative, or above 9
                value = value * 10 + digit
        # Of one, two or three letters, without a leading zero: 1.2.3.04 is not a second 1.2.3.4.
        least = (size == 2) * 10 + (size == 3) * 100
        bad |= (size < 1) | (size > 3) | (value < least) | (value > 255)
        address |= (value & 0xFF) << (8 * part)
        at += size + 1
    return -1 if bad else at << _AT_BITS | address


@inlined
def nibble(letter: int) -> int:
    """Return what a hexadecimal digit stands for; above 15 where it is none."""
    digit = letter - 48
    low = (letter | 0x20) - 97
    if 0 <= digit <= 9:
        return digit
    return low + 10 if 0 <= low <= 5 else 16


@inlined
def ipv6_half(packet: Array, at: int) -> int:
    """Return the number that 16 labels of a digit each spell, the least first; `ipv6_name` has looked at them."""
    value = unsigned(0)
    for part in range(16):
        value |= unsigned(nibble(byte(packet, at + 2 * part + 1)) & 0xF) << unsigned(4 * part)
    return value


@inlined
def is_ipv6_name(packet: Array) -> bool:
    """Tell whether the name begins with 32 labels of one hexadecimal digit."""
    bad = 0
    for part in range(32):
        at = HEADER_BYTES + 2 * part
        bad |= (byte(packet, at) != 1) | (nibble(byte(packet, at + 1)) > 15)
    return bad == 0


@inlined
def name_end(packet: Array, length: int) -> int:
    """Return the offset behind the name, or 0 where it is no plain one (RFC 1035, section 2.3.4)."""
    at = HEADER_BYTES
    for _ in range(_MOST_LABELS):
        size = byte(packet, at)
        if size == 0 or size > MAX_LABEL_BYTES or at >= length:
            break
        at += size + 1
    whole = byte(packet, at) == 0 and at < length and at - HEADER_BYTES < MAX_NAME_BYTES
    return at + 1 if whole else 0


@inlined
def other_name(packet: Array, length: int, lists: Lists) -> tuple[int, int]:
    """Return what a name that is no whole address asks about, and where its question ends.

    A label that is neither an octet nor a hexadecimal digit makes a name in the zone UNLISTABLE.  What may be the
    beginning of an address is ODD, as is the zone itself.
    """
    end = name_end(packet, length)
    zone_at = end - lists.zone_bytes
    at, form = HEADER_BYTES, ODD
    for _ in range(_MOST_LABELS):
        if at >= zone_at:
            break
        size = byte(packet, at)
        for place in range(1, min(size, _OCTET_LETTERS) + 1):
            if nibble(byte(packet, at + place)) > 15:
                form = UNLISTABLE
        if size > _OCTET_LETTERS:
            form = UNLISTABLE
        at += size + 1
    if end == 0:
        return ODD, 0
    if at != zone_at or not is_zone(packet, zone_at, lists):
        form = ELSEWHERE
    return form, end + TAIL_BYTES


@inlined
def asked(  # noqa: PLR0911 - one return for each thing that can be asked about
    packet: Array, length: int, lists: Lists, kernel: bool
) -> tuple[int, int, int]:
    """Return what a query of `length` bytes in 512 asks about: family, key, and where its question ends.

    The key is an IPv4 address, or the upper half of an IPv6 address.  In place of a family stands UNLISTABLE or
    ELSEWHERE, or ODD: the query is handed on.
    """
    nothing = (ODD, unsigned(0), 0)
    if length > PACKET_BYTES or length < HEADER_BYTES + TAIL_BYTES or byte(packet, 2) & 0xF8:
        return nothing
    if pair(packet, 4) != 1 or pair(packet, 6) != 0 or pair(packet, 8) != 0:
        return nothing
    spelled = ipv4_name(packet)
    at = spelled >> _AT_BITS
    if spelled >= 0 and is_zone(packet, at, lists):
        return 4, unsigned(spelled & 0xFFFFFFFF), at + lists.zone_bytes + TAIL_BYTES
    if kernel:
        return nothing
    at = HEADER_BYTES + _IPV6_NAME_BYTES
    if byte(packet, HEADER_BYTES) != 1 or not is_zone(packet, at, lists) or not is_ipv6_name(packet):
        form, end = other_name(packet, length, lists)
        return form, unsigned(0), end
    upper, lower = ipv6_half(packet, HEADER_BYTES + 32), ipv6_half(packet, HEADER_BYTES)
    end = at + lists.zone_bytes + TAIL_BYTES
    if upper == 0 and lower >> unsigned(32) == _MAPPED:
        return 4, lower & unsigned(0xFFFFFFFF), end
    return 6, upper, end
