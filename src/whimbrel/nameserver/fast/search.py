"""Finding an address in the list's arrays: the compiled twin of `Snapshot.find`, for sockets and for the kernel.

Every function here, in `packet.py`, `question.py` and `answer.py` is written for three readers at once: Python, Numba,
and the kernel's verifier.  So numbers are 64-bit and signed; an index is masked and unsigned where it is used; a loop's
rounds have a bound; nothing is allocated and nothing raises.  A search compares without branching, which the verifier
wants (it walks every path) and the processor likes (it would guess half of them wrongly).
"""

from typing import Any, NamedTuple

from numpy.typing import NDArray

from whimbrel.nameserver.fast.insides import inlined, signed, unsigned
from whimbrel.wire.snapshot.layout import GROUP_COLUMNS, IN_SIDE_TABLE

Array = NDArray[Any]

ABSENT = -1
NOT_LISTED = 0  # class 0 is none
UNKNOWN = -1  # the reference has to look

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
    """A list as the compiled answer reads it: a snapshot's arrays, and two zone-wide strings of bytes.

    `zone` is the zone's name in wire form and lower case; `care` says which of its bits count (in letters not the one
    that makes them small); `soa` is the record that stands beneath "not listed".  `ends` has two rows for a class: when
    it ends (seconds since 1970), and its code in the low 32 bits.  `block` is the index by /16; `near` has a bit for
    each /16 in which, or around which, a network lies.
    """

    zone: Array
    care: Array
    zone_bytes: int
    soa: Array
    soa_bytes: int
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
def runs(lists: Lists, number: int, now: int) -> bool:
    """Tell whether a class is one that has not ended."""
    return number > 0 and read(lists.ends, 2 * number, lists.class_mask) > now


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
def host_class(lists: Lists, family: Family, row: int, key: int, now: int, kernel: bool) -> int:
    """Return the class of the host in a row, NOT_LISTED where it has ended, UNKNOWN where nobody looks further."""
    if row == ABSENT:
        return NOT_LISTED
    number = read(family.value, row, family.mask)
    if number == IN_SIDE_TABLE:
        if kernel or len(family.side_key) == 0:
            return UNKNOWN
        side = row_of(family.side_key, 0, len(family.side_key), key, family.side_steps, ANY_ROW)
        if side == ABSENT:
            return UNKNOWN
        number = read(family.side_class, side, ANY_ROW)
    return number if runs(lists, number, now) else NOT_LISTED


@inlined
def network_class(lists: Lists, family: Family, key: int, bits: int, now: int) -> int:
    """Return the class of the narrowest network around a key that has not ended, or NOT_LISTED."""
    for group in range(0, len(family.group), GROUP_COLUMNS):
        host_bits = unsigned(bits - read(family.group, group, ANY_ROW))
        first, count = read(family.group, group + 1, ANY_ROW), read(family.group, group + 2, ANY_ROW)
        row = row_of(family.net_key, first, count, key >> host_bits << host_bits, family.net_steps, ANY_ROW)
        if row != ABSENT:
            number = read(family.net_class, row, ANY_ROW)
            if runs(lists, number, now):
                return number
    return NOT_LISTED


@inlined
def ipv4_class(lists: Lists, address: int, row: int, now: int, kernel: bool) -> int:
    """Return the class of what decides about an IPv4 address whose host row is known, NOT_LISTED or UNKNOWN."""
    if address == _LOCALHOST:
        return NOT_LISTED
    number = host_class(lists, lists.ipv4, row, unsigned(address), now, kernel)
    if number != NOT_LISTED or read(lists.near, address >> 22, 0x3FF) >> (address >> 16 & 63) & 1 == 0:
        return number
    return UNKNOWN if kernel else network_class(lists, lists.ipv4, unsigned(address), 32, now)


@inlined
def ipv6_class(lists: Lists, key: int, row: int, now: int, kernel: bool) -> int:
    """Return the class of what decides about an IPv6 address, by its upper half, whose host row is known."""
    number = host_class(lists, lists.ipv6, row, key, now, kernel)
    if number != NOT_LISTED or len(lists.ipv6.group) == 0:
        return number
    return UNKNOWN if kernel else network_class(lists, lists.ipv6, key, 64, now)
