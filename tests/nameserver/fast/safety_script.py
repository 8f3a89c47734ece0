"""`safety_script.py PACKETS SEED checked|guarded`: asks a build that would end the process if it read outside.

`checked` is compiled with a look at every index, which raises where one is outside.  `guarded` is the usual build, with
the packet and every array of the list at the end of its memory, right before a page that nobody may touch.  Each answer
is compared with the reference's.  At last one element behind the end of an array is read: that has to show.
"""

import ctypes
import mmap
import os
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from tests import listed
from tests.nameserver.fast.one import one
from tests.nameserver.test_fuzz import mutated, seeds

from whimbrel.model.listing import Code
from whimbrel.nameserver import answer
from whimbrel.nameserver.fast.insides import compiled, unsigned
from whimbrel.nameserver.fast.packet import PACKET_BYTES, ROOM_BYTES
from whimbrel.nameserver.fast.search import Array, Lists
from whimbrel.nameserver.fast.tables import lists_of
from whimbrel.publishing import Entries
from whimbrel.wire.snapshot import Snapshot

BORN = datetime(2002, 7, 27, 12, tzinfo=UTC)
_NOT_TO_BE_TOUCHED = 0  # PROT_NONE

_kept: list[mmap.mmap] = []


def element(numbers: Array, at: int) -> int:
    number: int = numbers[at]
    return number


def world() -> Snapshot:
    chance = random.Random(4)
    entries = Entries.of(
        listed.listing(target, chance.choice(list(Code)), BORN, chance.randrange(60, 90_000))
        for target in (
            "192.0.2.1", "192.0.2.200", "198.51.100.0/24", "198.51.100.9", "255.255.255.255", "2001:db8:1:2::/64",
            "2001:db8:ffff::/48", *(f"203.0.{chance.randrange(256)}.{chance.randrange(256)}" for _ in range(2000)),
        )
    )  # fmt: skip
    entries.exclude("198.51.100.77")
    return Snapshot(entries.moment().snapshot(zone="bl.example", serial=7, born=BORN, expires=BORN + timedelta(days=1)))


def at_the_edge(array: Array) -> Array:
    """Return a copy of an array that ends where a page begins that ends whoever touches it."""
    pages = -(-max(array.nbytes, 1) // mmap.PAGESIZE)
    memory = mmap.mmap(-1, (pages + 1) * mmap.PAGESIZE)
    _kept.append(memory)
    begins = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    edge = ctypes.c_void_p(begins + pages * mmap.PAGESIZE)
    assert ctypes.CDLL(None).mprotect(edge, ctypes.c_size_t(mmap.PAGESIZE), _NOT_TO_BE_TOUCHED) == 0
    copy = np.frombuffer(memory, array.dtype, len(array), pages * mmap.PAGESIZE - array.nbytes)
    copy[:] = array
    copy.flags.writeable = array.flags.writeable  # another type to Numba, and another build
    return copy


def guarded(lists: Lists) -> Lists:
    def moved(values: tuple[object, ...]) -> Iterator[Any]:
        for value in values:
            if isinstance(value, np.ndarray):
                yield at_the_edge(value)
            else:
                yield type(value)(*moved(value)) if isinstance(value, tuple) else value

    return Lists(*moved(lists))


def main() -> None:
    count, seed, build = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    snapshot, chance, whole = world(), random.Random(seed), seeds()
    lists, packet = lists_of(snapshot), np.zeros(ROOM_BYTES, np.uint8)
    if build == "guarded":
        lists, packet = guarded(lists), at_the_edge(packet)
    else:
        assert os.environ["NUMBA_BOUNDSCHECK"] == "1"
    ask, read = (compiled(function, checked=build == "checked") for function in (one, element))
    now, answered = int(BORN.timestamp()) + 60, 0
    for number in range(count):
        query = chance.randbytes(chance.randrange(600)) if number % 8 == 0 else mutated(chance.choice(whole), chance)
        held = query[:PACKET_BYTES]
        packet[: len(held)] = np.frombuffer(held, np.uint8)
        length = ask(packet, len(query), lists, now, now)
        if length:
            answered += 1
            assert packet[:length].tobytes() == answer(query, snapshot, now, tcp=False), query.hex()
    sys.stdout.write(f"{count} packets, {answered} answered as the reference does, none outside\n")
    sys.stdout.flush()
    read(packet, unsigned(len(packet)))


if __name__ == "__main__":
    main()
