"""What a query asks about: an address in the zone, a name there that cannot be listed, or a name elsewhere.

How to write such functions: `search.py`.
"""

from whimbrel.nameserver.fast.insides import WORD_BYTES, inlined, signed, unsigned, word_at
from whimbrel.nameserver.fast.packet import HEADER_BYTES, PACKET_BYTES, TAIL_BYTES, byte, word
from whimbrel.nameserver.fast.search import ABOVE_ZONE, ABSENT, HAS_NAMES, NAME_ROW, Array, Lists
from whimbrel.wire.dns import MAX_LABEL_BYTES, MAX_NAME_BYTES

# What is asked about, beside the families 4 and 6.
ODD, UNLISTABLE, ELSEWHERE = 0, 1, 2

_ONE_QUESTION = unsigned(1 << 32)  # and no record in the two sections behind it
_IPV6_NAME_BYTES = 64
_AT_BITS = 32  # an offset above an address, in one number
_AT_MASK = 0x3F  # more than four octets take; so that the verifier, too, sees how far what follows can reach
# Of each of four labels in a word: 1; its letter; the low bits of that; its highest bit; every other one's octet.
_EACH, _LETTERS, _LOW_BITS, _TOPS, _PAIRS = (
    unsigned(each)
    for each in (0x0001000100010001, 0x00FF00FF00FF00FF, 0x000F000F000F000F, 0x8000800080008000, 0x000000FF000000FF)
)
_FROM_0, _BEHIND_9, _FROM_A, _BEHIND_F = (
    unsigned((0x8000 - ord(letter)) * 0x0001000100010001) for letter in ("0", ":", "a", "g")
)
_MAPPED = 0xFFFF  # ::ffff:0:0/96 is IPv4 (RFC 4291, section 2.5.5.2)
_MOST_LABELS = 127  # of a name of 255 bytes
_OCTET_LETTERS = 3  # more is no octet and no hexadecimal digit


@inlined
def is_zone(packet: Array, at: int, lists: Lists, zone: int) -> bool:
    """Tell whether a zone's name, in letters of any size, stands at an offset."""
    different = unsigned(0)
    for place in range(0, lists.name_bytes[zone], WORD_BYTES):
        letters = unsigned(NAME_ROW * zone + (place & 0xF8))
        different |= (word(packet, at + place) ^ word_at(lists.name, letters)) & word_at(lists.care, letters)
    return different == 0


@inlined
def zone_at(packet: Array, at: int, lists: Lists) -> int:
    """Return the zone whose name stands at an offset, or ABSENT."""
    for zone in range(lists.zones):
        if is_zone(packet, at, lists, zone):
            return zone
    return ABSENT


@inlined
def octet(label: int) -> tuple[int, int, int]:
    """Return the number that a label of one to three digits spells, the label's size, and last 0 if it is such.

    A number in decimal, below 256 and without a leading zero: 1.2.3.04 is not a second 1.2.3.4.  Comparing is
    subtracting and keeping the sign, 0 or -1: where letters end no processor guesses right.
    """
    size, letters = signed(label >> unsigned(56)), signed(label >> unsigned(32) & unsigned(0xFFFFFF))
    unused = 8 * (3 - size) & 0x1F
    digits = letters >> unused ^ 0x303030 >> unused
    number = 100 * (digits >> 16) + 10 * (digits >> 8 & 0xFF) + (digits & 0xFF)
    bad = (digits + 0x767676 | digits) & 0x808080  # above 9
    bad |= size - 1 >> 8 | 3 - size >> 8 | 255 - number >> 16
    bad |= 1 - size >> 8 & (letters >> 16) - 49 >> 8
    return number, size, bad


@inlined
def ipv4_name(packet: Array) -> int:
    """Return the address that the name's first four labels spell, and above it the offset behind them; else -1."""
    at, address, bad = HEADER_BYTES, 0, 0
    for part in range(4):
        number, size, bad_label = octet(word(packet, at))
        address |= (number & 0xFF) << (8 * part)
        bad |= bad_label
        at += size + 1
    return -1 if bad else (at & _AT_MASK) << _AT_BITS | address


@inlined
def nibble(letter: int) -> int:
    """Return what a hexadecimal digit stands for; above 15 where it is none.

    Without a branch: of 32 random digits the processor would guess a dozen wrongly.
    """
    digit, low = letter - 48, (letter | 0x20) - 97
    is_digit, is_letter = (digit >= 0) & (digit <= 9), (low >= 0) & (low <= 5)
    return (letter & 0xF) + 9 * is_letter if is_digit | is_letter else 16


@inlined
def four_digits(labels: int) -> tuple[int, int]:
    """Return the number that four labels of a hexadecimal digit each spell, the least first; then 0 if they are such.

    Each label, its size and its letter, has 16 bits of the word, so letters can be compared without touching their
    neighbours: adding 0x8000 less a letter sets a label's highest bit from this letter on.
    """
    letter = labels & _LETTERS
    small = letter | _EACH << unsigned(5)
    is_digit = letter + _FROM_0 & ~(letter + _BEHIND_9) & _TOPS
    is_letter = small + _FROM_A & ~(small + _BEHIND_F) & _TOPS
    bad = labels ^ letter ^ _EACH << unsigned(8) | (is_digit | is_letter) ^ _TOPS
    digit = (letter & _LOW_BITS) + (is_letter >> unsigned(12)) + (is_letter >> unsigned(15))  # 9 more than its low bits
    pairs = (digit >> unsigned(16) | digit << unsigned(4)) & _PAIRS
    return (pairs << unsigned(8) | pairs >> unsigned(32)) & unsigned(0xFFFF), bad


@inlined
def ipv6_name(packet: Array) -> tuple[int, int, int]:
    """Return the halves of the address that the name's first 32 labels spell, and last 0 if they spell one."""
    upper, lower, bad = unsigned(0), unsigned(0), unsigned(0)
    for part in range(4):
        shift, at = unsigned(16 * part), HEADER_BYTES + WORD_BYTES * part
        low, bad_low = four_digits(word(packet, at))
        high, bad_high = four_digits(word(packet, at + _IPV6_NAME_BYTES // 2))
        lower, upper = lower | low << shift, upper | high << shift
        bad |= bad_low | bad_high
    return upper, lower, bad


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
def zone_of(packet: Array, end: int, lists: Lists) -> tuple[int, int]:
    """Return the innermost zone of a name that ends before `end`, and where its own name begins; else ABSENT.

    Zones come longest name first.
    """
    for zone in range(lists.zones):
        begins = end - lists.name_bytes[zone]
        at = HEADER_BYTES
        for _ in range(_MOST_LABELS):
            if at >= begins:
                break
            at += byte(packet, at) + 1
        if at == begins and is_zone(packet, at, lists, zone):
            return zone, begins
    return ABSENT, 0


@inlined
def other_name(packet: Array, length: int, lists: Lists) -> tuple[int, int, int]:
    """Return what a name that is no whole address asks about, its zone, and where its question ends.

    A label that is neither an octet nor a hexadecimal digit makes a name in a zone of addresses UNLISTABLE.  What may
    be the beginning of an address is ODD, as is a zone itself.
    """
    end = name_end(packet, length)
    if end == 0 or lists.zones == 0:
        return ODD, 0, 0
    zone, begins = zone_of(packet, end, lists)
    if zone == ABSENT:
        return ELSEWHERE, 0, end + TAIL_BYTES
    if lists.flags[zone] & (HAS_NAMES | ABOVE_ZONE):
        return ODD, 0, 0
    at, form = HEADER_BYTES, ODD
    for _ in range(_MOST_LABELS):
        if at >= begins:
            break
        size = byte(packet, at)
        for place in range(1, min(size, _OCTET_LETTERS) + 1):
            if nibble(byte(packet, at + place)) > 15:
                form = UNLISTABLE
        if size > _OCTET_LETTERS:
            form = UNLISTABLE
        at += size + 1
    return form, zone, end + TAIL_BYTES


@inlined
def asked(  # noqa: PLR0911 - one return for each thing that can be asked about
    packet: Array, length: int, lists: Lists, kernel: bool
) -> tuple[int, int, int, int]:
    """Return what a query of `length` bytes in 512 asks about: family, key, zone, and where its question ends.

    The key is an IPv4 address, or the upper half of an IPv6 address.  In place of a family stands UNLISTABLE or
    ELSEWHERE, or ODD: the query is handed on.
    """
    nothing = (ODD, unsigned(0), 0, 0)
    if length > PACKET_BYTES or length < HEADER_BYTES + TAIL_BYTES or byte(packet, 2) & 0xF8:
        return nothing
    if word(packet, 4) >> unsigned(16) != _ONE_QUESTION:
        return nothing
    if not kernel and byte(packet, HEADER_BYTES) == 1 and byte(packet, HEADER_BYTES + _IPV6_NAME_BYTES - 2) == 1:
        upper, lower, bad = ipv6_name(packet)
        at = HEADER_BYTES + _IPV6_NAME_BYTES
        zone = zone_at(packet, at, lists) if bad == 0 else ABSENT
        if zone != ABSENT:
            end = at + lists.name_bytes[zone] + TAIL_BYTES
            if upper == 0 and lower >> unsigned(32) == _MAPPED:
                return 4, lower & unsigned(0xFFFFFFFF), zone, end
            return 6, upper, zone, end
    spelled = ipv4_name(packet)
    if spelled >= 0:
        at = spelled >> _AT_BITS
        zone = zone_at(packet, at, lists)
        if zone != ABSENT:
            return 4, unsigned(spelled & 0xFFFFFFFF), zone, at + lists.name_bytes[zone] + TAIL_BYTES
    if kernel:
        return nothing
    form, zone, end = other_name(packet, length, lists)
    return form, unsigned(0), zone, end
