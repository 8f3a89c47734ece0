"""Finding an address in the list's arrays: the compiled twin of `Snapshot.find`, for sockets and for the kernel.

Every function here, in `packet.py`, `question.py` and `answer.py` is written for three readers at once: Python, Numba,
and the kernel's verifier.  So numbers are 64-bit and signed; an index is masked and unsigned where it is used; a loop's
rounds have a bound; nothing is allocated and nothing raises.
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
NOT_THERE = -4  # no row of it: where one would say otherwise, nothing was said

# Bits of a zone's flags.
SHOWS_ALL = 1  # every code
HAS_NAMES = 2  # what is no listed address may be a listed name
SHOWS_NO_ADDRESS = 4
ABOVE_ZONE = 8  # another zone lies beneath, and names between them

NAME_ROW, SOA_ROW, SHOWS_ROW = 256, 512, 4  # elements of a zone's row

ANY_ROW = -1  # the mask that keeps every row
EMPTY = 0xFFFFFFFF  # a slot of no row
_32_BITS = 0xFFFFFFFF
_LOCALHOST = 0x7F000001


class Nets(NamedTuple):
    """Networks by prefix length: `Networks` of a snapshot or an overlay; `steps`: how often the keys can be halved."""

    group: Array
    key: Array
    number: Array
    steps: int


class Family(NamedTuple):
    """One family's arrays as the snapshot has them, `nets` its networks, `changed` those of the overlay.

    `touched` has a bit for each part of the address space in which the overlay has anything.  `mask` is one less than a
    power of two that no row reaches, or ANY_ROW.
    """

    value: Array
    side_key: Array
    side_class: Array
    side_steps: int
    nets: Nets
    changed: Nets
    touched: Array
    mask: int


class Lists(NamedTuple):
    """A list as the compiled answer reads it: a snapshot's arrays, and for each of its zones a row of some bytes.

    Of a zone, `name` is its name in wire form and lower case; `care` says which bits of that count (in letters not the
    one that makes them small); `soa` is the record that stands beneath "not listed"; `shows` has a bit for each code
    below 256; `flags` are the bits named above.  `ends` has two rows for a class: when it ends (seconds since 1970),
    and its code in the low 32 bits.  `near` has a bit for each /16 in which, or around which, a network lies.

    The IPv4 space is cut into cells of `cell_bits` bits: `cells` has the row at which each begins, and how many rows
    there are; of a host, `suffix` has the low half.  IPv6 hosts are in `key`, and `slots` is their hash table: in each
    slot a row in the low `row_bits`, above it bits of the key's hash, or EMPTY.
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
    cells: Array
    cell_bits: int
    suffix: Array
    near: Array
    ipv4: Family
    key: Array
    slots: Array
    row_bits: int
    seed: int
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
        if left <= 1:
            break
        half = left >> 1
        row += half * signed(keys[unsigned((row + half) & mask)] <= wanted)
        left -= half
    return row if keys[unsigned(row & mask)] == wanted else ABSENT


@inlined
def ipv4_cell(lists: Lists, address: int) -> tuple[int, int]:
    """Return where the hosts of an address's cell begin, and how many they are."""
    cell = (address & _32_BITS) >> lists.cell_bits
    first = read(lists.cells, cell, ANY_ROW)
    return first, read(lists.cells, cell + 1, ANY_ROW) - first


@inlined
def row_in_cell(lists: Lists, first: int, count: int, address: int) -> int:
    """Return the row of a listed host among those of its cell, or ABSENT."""
    if count == 0:
        return ABSENT
    return row_of(lists.suffix, first, count, unsigned(address & 0xFFFF), lists.cell_bits, lists.ipv4.mask)


@inlined
def ipv4_row(lists: Lists, address: int) -> int:
    """Return the row of a listed host, or ABSENT."""
    first, count = ipv4_cell(lists, address)
    return row_in_cell(lists, first, count, address)


@inlined
def folded(product: int) -> int:
    """Return both halves of a product of 32-bit numbers in one: each bit of it depends on most bits of both."""
    return (product ^ product >> unsigned(32)) & unsigned(_32_BITS)


@inlined
def slot_of(key: int, seed: int, count: int) -> tuple[int, int]:
    """Return the first of `count` slots in which a key can be, and 32 bits to tell it from others there."""
    mixed = folded((key & unsigned(_32_BITS)) * unsigned(seed & _32_BITS)) ^ key >> unsigned(32)
    return signed(folded(mixed * unsigned(seed >> 32)) * unsigned(count) >> unsigned(32)), signed(mixed)


@inlined
def next_slot(slots: Array, at: int) -> int:
    """Return the slot behind one; behind the last, the first."""
    return at + 1 if at + 1 < len(slots) else 0


@inlined
def ipv6_slot(lists: Lists, key: int) -> tuple[int, int]:
    """Return the slot at which a search for a /64 begins, and what is in it."""
    if len(lists.key) == 0:
        return 0, EMPTY
    at, _ = slot_of(key, lists.seed, len(lists.slots))
    return at, read(lists.slots, at, ANY_ROW)


@inlined
def row_in_slots(lists: Lists, at: int, slot: int, key: int) -> int:
    """Return the row of a listed /64, or ABSENT; half of the slots are empty, and the first of them ends it."""
    _, tag = slot_of(key, lists.seed, len(lists.slots))
    while slot != EMPTY:
        row = slot & ((1 << lists.row_bits) - 1)
        if (slot ^ tag) >> lists.row_bits == 0 and lists.key[unsigned(row)] == key:
            return row
        at = next_slot(lists.slots, at)
        slot = read(lists.slots, at, ANY_ROW)
    return ABSENT


@inlined
def ipv6_row(lists: Lists, key: int) -> int:
    """Return the row of a listed /64, or ABSENT."""
    at, slot = ipv6_slot(lists, key)
    return row_in_slots(lists, at, slot, key)


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
def class_among(lists: Lists, zone: int, nets: Nets, group: int, network: int, now: int) -> int:
    """Return the class of what decides in a zone among a network's rows of one group; NOT_THERE where it has none."""
    first, count = read(nets.group, group + 1, ANY_ROW), read(nets.group, group + 2, ANY_ROW)
    row = row_of(nets.key, first, count, network, nets.steps, ANY_ROW)
    if row == ABSENT:
        return NOT_THERE
    while row > first and nets.key[unsigned(row - 1)] == network:  # one of each code, the lowest first
        row -= 1
    while row < first + count and nets.key[unsigned(row)] == network:
        number = decided(lists, zone, read(nets.number, row, ANY_ROW), now)
        if number != NOT_LISTED:
            return number
        row += 1
    return NOT_LISTED


@inlined
def network_of(key: int, bits: int, prefix: int) -> int:
    """Return the network of a prefix length around a key."""
    host_bits = unsigned(bits - prefix)
    return key >> host_bits << host_bits


@inlined
def network_class(lists: Lists, zone: int, nets: Nets, key: int, bits: int, now: int) -> int:
    """Return the class of the narrowest network around a key that decides in a zone, or NOT_LISTED, or HIDDEN."""
    for group in range(0, len(nets.group), GROUP_COLUMNS):
        network = network_of(key, bits, read(nets.group, group, ANY_ROW))
        number = class_among(lists, zone, nets, group, network, now)
        if number not in (NOT_THERE, NOT_LISTED):
            return number
    return NOT_LISTED


@inlined
def prefix_at(nets: Nets, group: int) -> int:
    """Return the prefix length of a group, or -1 behind the last."""
    return read(nets.group, group, ANY_ROW) if group < len(nets.group) else -1


@inlined
def changed_class(lists: Lists, zone: int, family: Family, host: int, key: int, bits: int, now: int) -> int:
    """Return the class of what decides about a key in a zone where the overlay may say something of it.

    `host` is the class of the host in the snapshot.  The twin of `Snapshot.covering` with an overlay.
    """
    nets, changed = family.nets, family.changed
    ours, theirs, prefix = 0, 0, bits
    number = decided(lists, zone, host, now)
    while prefix >= 0:
        network = network_of(key, bits, prefix)
        said = NOT_THERE
        if prefix_at(changed, theirs) == prefix:
            said = class_among(lists, zone, changed, theirs, network, now)
            theirs += GROUP_COLUMNS
        if prefix_at(nets, ours) == prefix:
            if said == NOT_THERE and number == NOT_LISTED:
                number = class_among(lists, zone, nets, ours, network, now)
            ours += GROUP_COLUMNS
        if said != NOT_THERE:
            number = said
        if number not in (NOT_THERE, NOT_LISTED):
            return number
        number = NOT_LISTED
        prefix = max(prefix_at(nets, ours), prefix_at(changed, theirs))
    return NOT_LISTED


@inlined
def is_touched(family: Family, part: int) -> bool:
    """Tell whether the overlay has anything in a part of the address space, a number below 65,536."""
    return read(family.touched, part >> 6, 0x3FF) >> (part & 63) & 1 != 0


@inlined
def ipv6_part(key: int) -> int:
    """Return which part of the address space, as `touched` has them, a /32 of IPv6 belongs to; many share one."""
    return signed((key >> unsigned(32) ^ key >> unsigned(48)) & unsigned(0xFFFF))


@inlined
def ipv4_class(lists: Lists, zone: int, address: int, row: int, now: int, kernel: bool) -> int:
    """Return the class of what decides about an IPv4 address whose host row is known; NOT_LISTED, HIDDEN, UNKNOWN."""
    if address == _LOCALHOST or lists.flags[zone] & SHOWS_NO_ADDRESS:
        return NOT_LISTED
    number = host_class(lists.ipv4, row, unsigned(address), kernel)
    if is_touched(lists.ipv4, address >> 16):
        if kernel or number == UNKNOWN:
            return UNKNOWN
        return changed_class(lists, zone, lists.ipv4, number, unsigned(address), 32, now)
    if number == UNKNOWN:
        return UNKNOWN
    number = decided(lists, zone, number, now)
    if number != NOT_LISTED or read(lists.near, address >> 22, 0x3FF) >> (address >> 16 & 63) & 1 == 0:
        return number
    return UNKNOWN if kernel else network_class(lists, zone, lists.ipv4.nets, unsigned(address), 32, now)


@inlined
def ipv6_class(lists: Lists, zone: int, key: int, row: int, now: int, kernel: bool) -> int:
    """Return the class of what decides about an IPv6 address, by its upper half, whose host row is known."""
    if lists.flags[zone] & SHOWS_NO_ADDRESS:
        return NOT_LISTED
    number = host_class(lists.ipv6, row, key, kernel)
    if number == UNKNOWN or kernel:
        return UNKNOWN
    if is_touched(lists.ipv6, ipv6_part(key)):
        return changed_class(lists, zone, lists.ipv6, number, key, 64, now)
    number = decided(lists, zone, number, now)
    if number != NOT_LISTED or len(lists.ipv6.nets.group) == 0:
        return number
    return network_class(lists, zone, lists.ipv6.nets, key, 64, now)
