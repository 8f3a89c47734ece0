"""The compiled answer: the bytes of `nameserver/answer.py` in place, or nothing done and the query handed on.

What is asked all day is answered here: whole IPv4 and IPv6 names in the zone, listed (A) or not, names that cannot be
listed, and names of other zones.  How to write such functions: `search.py`.
"""

from whimbrel.nameserver.fast.insides import WORD_BYTES, inlined, signed, unsigned, word_at
from whimbrel.nameserver.fast.packet import (
    HEADER_BYTES,
    PACKET_BYTES,
    TAIL_BYTES,
    byte,
    pair,
    put,
    put_pair,
    put_word,
    word,
)
from whimbrel.nameserver.fast.question import ELSEWHERE, UNLISTABLE, asked
from whimbrel.nameserver.fast.search import (
    HAS_NAMES,
    HIDDEN,
    NOT_LISTED,
    SOA_ROW,
    UNKNOWN,
    Array,
    Lists,
    ipv4_class,
    ipv4_row,
    ipv6_class,
    ipv6_row,
    read,
)
from whimbrel.wire import lifetimes
from whimbrel.wire.dns import CLASS_IN, COOKIE_OPTION, EDNS_UDP_BYTES, Rcode, Type

HANDED_ON = 0
NOT_OURS = -2  # beside a class, NOT_LISTED and UNKNOWN: no name of the zone

OPT_BYTES, COOKIE_HEAD_BYTES, _A_BYTES = 11, 4, 16
_A, _TXT, _OPT, _IXFR, _AXFR, _ANY = (
    int(each) for each in (Type.A, Type.TXT, Type.OPT, Type.IXFR, Type.AXFR, Type.ANY)
)
# A pointer to the name in the question, type and class, and the upper half of a lifetime.
_A_RECORD = unsigned((0xC000 | HEADER_BYTES) << 48 | _A << 32 | CLASS_IN << 16)
_NOERROR, _NXDOMAIN, _REFUSED = int(Rcode.NOERROR), int(Rcode.NXDOMAIN), int(Rcode.REFUSED)
_POSITIVE_SECONDS = lifetimes.POSITIVE_SECONDS


@inlined
def cookie_bytes(packet: Array, at: int, length: int) -> int:
    """Return the size of the cookie that is the only option of an OPT record, or 0 (RFC 7873, section 4)."""
    size = length - at - OPT_BYTES - COOKIE_HEAD_BYTES
    if not (size == 8 or 16 <= size <= 40):
        return 0
    option = at + OPT_BYTES
    return size if pair(packet, option) == COOKIE_OPTION and pair(packet, option + 2) == size else 0


@inlined
def edns_of(packet: Array, at: int, length: int) -> int:
    """Return 0 without an OPT record, 1 with one (3 with the bit DO), -1 where it is not so simple (RFC 6891).

    Its one option may be a cookie.
    """
    records = pair(packet, 10)
    if records == 0:
        return 0 if at == length else -1
    record = signed(word(packet, at))  # the root's name, type, size, upper code, version, and the first of its flags
    if records != 1 or record >> 40 != _OPT or record >> 8 & 0xFF != 0:
        return -1
    size = pair(packet, at + 9)
    if at + OPT_BYTES + size != length or (size > 0 and cookie_bytes(packet, at, length) == 0):
        return -1
    return 1 | record >> 7 << 1 & 2


@inlined
def put_opt(packet: Array, end: int, edns: int, upper: int) -> int:
    """Write an OPT record, if one is due, with the upper bits of a return code; return where the packet ends."""
    if edns == 0:
        return end
    put_word(packet, end, unsigned(_OPT << 40 | EDNS_UDP_BYTES << 24 | upper << 16 | edns >> 1 << 7))
    put(packet, end + 8, 0)
    put_pair(packet, end + 9, 0)
    return end + OPT_BYTES


@inlined
def finished(packet: Array, end: int, edns: int, rcode: int, answers: int, authority: int) -> int:
    """Write the header, and the OPT record at `end`; return the length of all."""
    authoritative = 0 if rcode == _REFUSED else 4
    put(packet, 2, 0x80 | authoritative | byte(packet, 2) & 1)
    put(packet, 3, rcode)
    put_word(packet, 4, unsigned(1 << 48 | answers << 32 | authority << 16 | edns & 1))
    return put_opt(packet, end, edns, 0)


@inlined
def negative(packet: Array, end: int, edns: int, rcode: int, lists: Lists, zone: int) -> int:
    """Write an answer without records behind the question: the zone's SOA says for how long it holds."""
    size = lists.soa_bytes[zone]
    if end + size + OPT_BYTES > PACKET_BYTES:
        return HANDED_ON
    for place in range(0, size, WORD_BYTES):
        put_word(packet, end + place, word_at(lists.soa, unsigned(SOA_ROW * zone + (place & 0x1F8))))
    return finished(packet, end + size, edns, rcode, 0, 1)


@inlined
def positive(packet: Array, end: int, edns: int, lists: Lists, number: int, soon: int) -> int:
    """Write the A record of a listed address behind the question."""
    if end + _A_BYTES + OPT_BYTES > PACKET_BYTES:
        return HANDED_ON
    left = read(lists.ends, 2 * number, lists.class_mask) - soon
    lifetime = max(1, min(_POSITIVE_SECONDS, left))
    code = read(lists.ends, 2 * number + 1, lists.class_mask)
    put_word(packet, end, _A_RECORD)
    put_word(packet, end + WORD_BYTES, unsigned(lifetime << 48 | 4 << 32 | 127 << 24 | code & 0xFFFFFF))
    return finished(packet, end + _A_BYTES, edns, _NOERROR, 1, 0)


@inlined
def reply(  # noqa: PLR0911 - one return for each way to answer
    packet: Array, length: int, lists: Lists, zone: int, number: int, end: int, soon: int
) -> int:
    """Write the answer over a query whose address has the class `number`; return its length, or HANDED_ON."""
    tail = signed(word(packet, end - WORD_BYTES))
    if number == UNKNOWN or end > length or tail & 0xFFFF != CLASS_IN:
        return HANDED_ON
    type_ = tail >> 16 & 0xFFFF
    edns = edns_of(packet, end, length)
    if edns < 0 or type_ in (_OPT, _AXFR, _IXFR):
        return HANDED_ON
    if number == NOT_OURS:
        return finished(packet, end, edns, _REFUSED, 0, 0) if end + OPT_BYTES <= PACKET_BYTES else HANDED_ON
    if number in (NOT_LISTED, HIDDEN):
        # It may be a listed name, and labels of one digit each are the beginning of an IPv6 address as well: 4.3.2.1
        # may be 1234::/16.
        if lists.flags[zone] & HAS_NAMES or end == HEADER_BYTES + 8 + lists.name_bytes[zone] + TAIL_BYTES:
            return HANDED_ON
        return negative(packet, end, edns, _NXDOMAIN, lists, zone)
    if type_ in (_A, _ANY):
        return positive(packet, end, edns, lists, number, soon)
    return HANDED_ON if type_ == _TXT else negative(packet, end, edns, _NOERROR, lists, zone)


@inlined
def without_address(form: int) -> int:
    """Return what stands for a class where no address is asked about."""
    if form == UNLISTABLE:
        return NOT_LISTED
    return NOT_OURS if form == ELSEWHERE else UNKNOWN


@inlined
def answer(packet: Array, length: int, lists: Lists, now: int, soon: int, kernel: bool) -> int:
    """Write the answer over a query of `length` bytes in a room of 520, and return its length; HANDED_ON: as it came.

    `now` and `soon` are the time in whole seconds since 1970, rounded down and up; for the
    `kernel` what its verifier would not take is left out.
    """
    family, key, zone, end = asked(packet, length, lists, kernel)
    if kernel and length > end + OPT_BYTES:  # a cookie
        return HANDED_ON
    if family == 4:
        address = signed(key)
        number = ipv4_class(lists, zone, address, ipv4_row(lists, address), now, kernel)
    elif family == 6:
        number = ipv6_class(lists, zone, key, ipv6_row(lists, key), now, kernel)
    else:
        number = without_address(family)
    return reply(packet, length, lists, zone, number, end, soon)
