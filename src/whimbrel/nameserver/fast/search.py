"""Finding an address in the list's arrays: the compiled twin of `Snapshot.find`, for sockets and for the kernel.

Every function here, in `packet.py`, `question.py` and `answer.py` is written for three readers at once: Python, Numba,
and the kernel's verifier.  So numbers are 64-bit and signed; an index is masked and unsigned where it is used; a loop's
rounds have a bound; nothing is allocated and nothing raises.  A search compares without branching, which the verifier
wants (it walks every path) and the processor likes (it would guess half of them wrongly).
"""

from typing import Any, NamedTuple

from numpy.typing import NDArray

from whimbrel.nameserver.fast.insides import inlined, signed, unsigned
from whimbrel.wire.snapshot.layout import EXCLUDED, GROUP_COLUMNS, IN_SIDE_TABLE, NAME_CODES

Array = NDArray[Any]

ABSENT = -1
NOT_LISTED = 0  # class 0 is none
UNKNOWN = -1  # the reference has to look
HIDDEN = -3  # an exclusion decides: whatever is wider does not matter

# Bits of a zone's flags.
SHOWS_ALL = 1  # every code
HAS_NAMES = 2  # what is no listed address may be a listed name
SHOWS_NO_ADDRESS = 4
ABOVE_ZONE = 8  # another zone lies beneath, and names between them

NAME_ROW, SOA_ROW, SHOWS_ROW = 256, 512, 4  # elements of a zone's row

ANY_ROW = -1  # the mask that keeps every row
BLOCK_STEPS = 16  # a search halves, and a /16 holds 65,536 addresses
_INDEX_MASK = 0x1FFFF  # above the 65,537 rows of the index
_LOCALHOST = 0x7F000001


class Family(NamedTuple):
    """One family's arrays as the snapshot has them.

    `mask` is one less than a power of two that no row reaches, or ANY_ROW; `*_steps` tells how often its keys can be
    halved.
    """

    value: Array
    side_key: Array
    side_class: Array
    side_steps: int
    group: Array
    net_key: Array
    net_class: Array
    net_steps: int
    mask: int


class Lists(NamedTuple):
    """A list as the compiled answer reads it: a snapshot's arrays, and for each of its zones a row of some bytes.

    Of a zone, `name` is its name in wire form and lower case; `care` says which bits of that count (in letters not the
    one that makes them small); `soa` is the record that stands beneath "not listed"; `shows` has a bit for each code
    below 256; `flags` are the bits named above.  `ends` has two rows for a class: when it ends (seconds since 1970),
    and its code in the low 32 bits.  `block` is the index by /16; `near` has a bit for each /16 in which, or around
    which, a network lies.
    """

    zones: int
    name: Array
    care: Array
    name_bytes: Array
    soa: Array
    soa_bytes: Array
    shows: Array
    flags: Array
    ends: Array
    class_mask: int
    block: Array
    suffix: Array
    near: Array
    ipv4: Family
    key: Array
    key_steps: int
    ipv6: Family


@inlined
def read(array: Array, at: int, mask: int) -> int:
    """Return an element as a signed number."""
    return signed(array[unsigned(at & mask)])


@inlined
def row_of(keys: Array, first: int, count: int, wanted: int, steps: int, mask: int) -> int:
    """Return the row of `wanted` among `count` > 0 ascending keys from row `first` on, or ABSENT."""
    row, left = first, count
    for _ in range(steps):
        half = left >> 1
        row += half * signed(keys[unsigned((row + half) & mask)] <= wanted)
        left -= half
    return row if keys[unsigned(row & mask)] == wanted else ABSENT


@inlined
def ipv4_block(lists: Lists, address: int) -> tuple[int, int]:
    """Return where the hosts of an address's /16 begin, and how many they are."""
    first = read(lists.block, address >> 16, _INDEX_MASK)
    return first, read(lists.block, (address >> 16) + 1, _INDEX_MASK) - first


@inlined
def ipv4_row(lists: Lists, address: int) -> int:
    """Return the row of a listed host, or ABSENT."""
    first, count = ipv4_block(lists, address)
    if count == 0:
        return ABSENT
    return row_of(lists.suffix, first, count, unsigned(address & 0xFFFF), BLOCK_STEPS, lists.ipv4.mask)


@inlined
def ipv6_row(lists: Lists, key: int) -> int:
    """Return the row of a listed /64, or ABSENT."""
    if len(lists.key) == 0:
        return ABSENT
    return row_of(lists.key, 0, len(lists.key), key, lists.key_steps, lists.ipv6.mask)


@inlined
def decided(lists: Lists, zone: int, number: int, now: int) -> int:
    """Return a class where it is listed in a zone, HIDDEN where it excludes, NOT_LISTED where it is passed over."""
    if number <= 0 or read(lists.ends, 2 * number, lists.class_mask) <= now:
        return NOT_LISTED
    code = read(lists.ends, 2 * number + 1, lists.class_mask) & 0xFFFFFFFF
    if code == EXCLUDED:
        return HIDDEN
    if lists.flags[zone] & SHOWS_ALL:
        return number
    is_shown = code < NAME_CODES and read(lists.shows, SHOWS_ROW * zone + (code >> 6), ANY_ROW) >> (code & 63) & 1
    return number if is_shown else NOT_LISTED


@inlined
def host_class(family: Family, row: int, key: int, kernel: bool) -> int:
    """Return the class of the host in a row, NOT_LISTED where there is none, UNKNOWN where nobody looks further."""
    if row == ABSENT:
        return NOT_LISTED
    number = read(family.value, row, family.mask)
    if number != IN_SIDE_TABLE:
        return number
    if kernel or len(family.side_key) == 0:
        return UNKNOWN
    side = row_of(family.side_key, 0, len(family.side_key), key, family.side_steps, ANY_ROW)
    return UNKNOWN if side == ABSENT else read(family.side_class, side, ANY_ROW)


@inlined
def network_class(lists: Lists, zone: int, family: Family, key: int, bits: int, now: int) -> int:
    """Return the class of the narrowest network around a key that decides in a zone, or NOT_LISTED, or HIDDEN."""
    for group in range(0, len(family.group), GROUP_COLUMNS):
        host_bits = unsigned(bits - read(family.group, group, ANY_ROW))
        first, count = read(family.group, group + 1, ANY_ROW), read(family.group, group + 2, ANY_ROW)
        network = key >> host_bits << host_bits
        row = row_of(family.net_key, first, count, network, family.net_steps, ANY_ROW)
        if row == ABSENT:
            continue
        while row > first and family.net_key[unsigned(row - 1)] == network:  # one of each code, the lowest first
            row -= 1
        while row < first + count and family.net_key[unsigned(row)] == network:
            number = decided(lists, zone, read(family.net_class, row, ANY_ROW), now)
            if number != NOT_LISTED:
                return number
            row += 1
    return NOT_LISTED


@inlined
def ipv4_class(lists: Lists, zone: int, address: int, row: int, now: int, kernel: bool) -> int:
    """Return the class of what decides about an IPv4 address whose host row is known; NOT_LISTED, HIDDEN, UNKNOWN."""
    if address == _LOCALHOST or lists.flags[zone] & SHOWS_NO_ADDRESS:
        return NOT_LISTED
    number = host_class(lists.ipv4, row, unsigned(address), kernel)
    if number == UNKNOWN:
        return UNKNOWN
    number = decided(lists, zone, number, now)
    if number != NOT_LISTED or read(lists.near, address >> 22, 0x3FF) >> (address >> 16 & 63) & 1 == 0:
        return number
    return UNKNOWN if kernel else network_class(lists, zone, lists.ipv4, unsigned(address), 32, now)


@inlined
def ipv6_class(lists: Lists, zone: int, key: int, row: int, now: int, kernel: bool) -> int:
    """Return the class of what decides about an IPv6 address, by its upper half, whose host row is known."""
    if lists.flags[zone] & SHOWS_NO_ADDRESS:
        return NOT_LISTED
    number = host_class(lists.ipv6, row, key, kernel)
    if number == UNKNOWN:
        return UNKNOWN
    number = decided(lists, zone, number, now)
    if number != NOT_LISTED or len(lists.ipv6.group) == 0:
        return number
    return UNKNOWN if kernel else network_class(lists, zone, lists.ipv6, key, 64, now)
