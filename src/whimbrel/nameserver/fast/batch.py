"""A batch of queries at once: the same answer as one by one, with the waiting for memory done together.

At ten million entries a search waits for memory some three times.  One by one these waits add up; here every search of
the batch looks into the index and has fetched what it will read, then every one looks at the hosts: the processor has
the memory of many under way at a time.
"""

from typing import NamedTuple

import numpy as np

from whimbrel.nameserver.fast.answer import reply, without_address
from whimbrel.nameserver.fast.insides import fetch, inlined, signed, unsigned
from whimbrel.nameserver.fast.question import asked
from whimbrel.nameserver.fast.search import (
    Array,
    Lists,
    ipv4_cell,
    ipv4_class,
    ipv6_class,
    ipv6_slot,
    row_in_cell,
    row_in_slots,
)


class Searches(NamedTuple):
    """What is known of each packet of a batch, and of each search under way for one."""

    key: Array
    zone: Array
    end: Array
    number: Array
    which: Array  # the packet that a search is for
    begin: Array  # the row or slot at which it begins
    there: Array  # what the index has there: how many hosts, or a slot's content
    row: Array


def searches(size: int) -> Searches:
    """Return the arrays for a batch of a size."""
    return Searches(
        key=np.zeros(size, np.uint64),
        zone=np.zeros(size, np.int64),
        end=np.zeros(size, np.int64),
        number=np.zeros(size, np.int64),
        which=np.zeros(size, np.int64),
        begin=np.zeros(size, np.int64),
        there=np.zeros(size, np.int64),
        row=np.zeros(size, np.int64),
    )


@inlined
def ask_all(rows: Array, sizes: Array, count: int, lists: Lists, under_way: Searches) -> tuple[int, int]:
    """Read the packets; return how many of them ask for IPv4 addresses (the first of `which`) and IPv6 (the last)."""
    ipv4, ipv6 = 0, 0
    for place in range(count):
        family, key, zone, end = asked(rows[place], sizes[place], lists, False)
        under_way.key[place], under_way.zone[place], under_way.end[place] = key, zone, end
        if family == 4:
            under_way.which[ipv4] = place
            ipv4 += 1
        elif family == 6:
            ipv6 += 1
            under_way.which[-ipv6] = place
        else:
            under_way.number[place] = without_address(family)
    return ipv4, ipv6


@inlined
def find_ipv4(lists: Lists, under_way: Searches, count: int, now: int) -> None:
    """Find the classes of the IPv4 addresses."""
    for place in range(count):
        key = under_way.key[under_way.which[place]]
        begin, under_way.there[place] = ipv4_cell(lists, signed(key))
        under_way.begin[place] = begin
        fetch(lists.suffix, unsigned(begin))  # most cells' hosts lie in one cache line
        fetch(lists.ipv4.value, unsigned(begin))
    for place in range(count):
        address = signed(under_way.key[under_way.which[place]])
        under_way.row[place] = row_in_cell(lists, under_way.begin[place], under_way.there[place], address)
    for place in range(count):
        which = under_way.which[place]
        address = signed(under_way.key[which])
        under_way.number[which] = ipv4_class(lists, under_way.zone[which], address, under_way.row[place], now, False)


@inlined
def find_ipv6(lists: Lists, under_way: Searches, count: int, now: int) -> None:
    """Find the classes of the IPv6 addresses."""
    first = len(under_way.which) - count
    for place in range(count):  # upwards: where the two overlap, what is written over has been read
        under_way.which[place] = under_way.which[first + place]
        key = under_way.key[under_way.which[place]]
        under_way.begin[place], under_way.there[place] = ipv6_slot(lists, key)
    for place in range(count):
        key = under_way.key[under_way.which[place]]
        under_way.row[place] = row_in_slots(lists, under_way.begin[place], under_way.there[place], key)
    for place in range(count):
        which = under_way.which[place]
        zone, key = under_way.zone[which], under_way.key[which]
        under_way.number[which] = ipv6_class(lists, zone, key, under_way.row[place], now, False)


@inlined
def find_all(rows: Array, sizes: Array, count: int, lists: Lists, under_way: Searches, now: int) -> None:
    """Find what the first `count` packets ask about: `zone`, `number` and `end` of each."""
    ipv4, ipv6 = ask_all(rows, sizes, count, lists, under_way)
    find_ipv4(lists, under_way, ipv4, now)
    find_ipv6(lists, under_way, ipv6, now)


@inlined
def answer_all(rows: Array, sizes: Array, count: int, lists: Lists, under_way: Searches, now: int, soon: int) -> None:
    """Write the answers to the first `count` packets over them, and their lengths over `sizes` (or HANDED_ON)."""
    find_all(rows, sizes, count, lists, under_way, now)
    for place in range(count):
        zone, number, end = under_way.zone[place], under_way.number[place], under_way.end[place]
        sizes[place] = reply(rows[place], sizes[place], lists, zone, number, end, soon)
