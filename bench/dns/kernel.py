"""What the kernel's build of the name server takes for a packet, by the kernel's own clock (BPF_PROG_TEST_RUN).

    make bench-dns-kernel                                     1 and 10 million entries
    PYTHONPATH=. python -m bench.dns.kernel --entries 1000000

Needs root.  The list is made here: random hosts, expiries over 7 days.  65,536 queries of random addresses wait in a
map, and each round takes the next of them.  What is measured is more than an answer costs: taking the query from the
map, and bringing the frame back to its length, come on top.  Two measures of hits and of misses each:

- one query: a program has one query to answer again and again, whose memory is in the caches.  The median of 50
  queries, 20,000 rounds each.
- all: each round asks another, so that a search waits for memory.  The median of 5 runs of 1,048,576 rounds.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from statistics import median

import dns.message
import numpy as np
from numpy.typing import NDArray
from tests.nameserver.fast.frames import SERVED, frame_of

from whimbrel.nameserver.fast.entry import ROUND_BYTES
from whimbrel.nameserver.fast.kernel import Program
from whimbrel.wire.snapshot import Snapshot, Zone
from whimbrel.wire.snapshot.encoder import Reason, encode
from whimbrel.wire.snapshot.rows import Rows, no_rows

Keys = NDArray[np.uint64]

ZONE = Zone(name="bl.test", servers=("localhost",), mailbox="hostmaster.bl.test")
SIZES = (1_000_000, 10_000_000)
DAY = 86_400
ROUNDS = 1 << 16
REPEAT = 1 << 20
RUNS = 5
ONES, REPEAT_ONE = 50, 20_000
GOAL_NANOSECONDS = 200


def list_of(entries: int, chance: np.random.Generator) -> tuple[Snapshot, Keys, Keys]:
    """Return a list of about so many random hosts, those of them that stay listed, and hosts that are not."""
    born = int(time.time())
    keys = np.unique(chance.integers(1 << 24, 224 << 24, entries, np.uint64))
    until = born + chance.integers(60, 7 * DAY, len(keys))
    rows = Rows(keys, np.full(len(keys), 32, np.uint8), np.zeros(len(keys), np.uint32), until)
    reasons = [Reason(2, "listed")]
    data = encode(
        zone=ZONE, serial=1, born=born, expires=born + 7 * DAY, reasons=reasons, ipv4=rows, ipv6=no_rows()
    )  # fmt: skip
    others = chance.integers(1 << 24, 224 << 24, 2 * ROUNDS, np.uint64)
    return Snapshot(data), keys[until > born + 2 * DAY], others[~np.isin(others, keys)]


def frames_for(keys: Keys) -> list[bytes]:
    """Return a query for each address, as a stub resolver of today asks: recursion wanted, EDNS."""
    pattern = dns.message.make_query("x.bl.test.", "A", use_edns=0, id=7).to_wire()
    front, behind = pattern[:12], pattern[14:]
    names = (reversed(str(IPv4Address(key)).split(".")) for key in keys.tolist())
    labels = (b"".join(bytes([len(part)]) + part.encode() for part in name) for name in names)
    return [frame_of(front + label + behind) for label in labels]


@contextmanager
def timed(snapshot: Snapshot, rounds: list[bytes]) -> Iterator[Program]:
    """Have a program that answers these queries round by round."""
    program = Program(snapshot, SERVED, rounds)
    try:
        yield program
    finally:
        program.close()


def nanoseconds(program: Program, repeat: int) -> int:
    """Return what a round takes on average; every one of them has to be answered."""
    before = program.answered()
    ran = program.run(bytes(ROUND_BYTES), repeat)
    if program.answered() - before != repeat:
        sys.exit(f"bench: {repeat - program.answered() + before} of {repeat} queries were not answered")
    return ran.nanoseconds


def measure(snapshot: Snapshot, kinds: dict[str, list[bytes]]) -> Iterator[tuple[str, float, float]]:
    """Yield for each kind of query what a round takes with one of them, and with all of them."""
    for kind, frames in kinds.items():
        started = time.perf_counter()
        with timed(snapshot, frames) as program:
            taken = time.perf_counter() - started
            print(f"    {program.instructions} instructions, built and loaded in {taken:.1f} s")
            print(f"    {' / '.join(program.verified.splitlines())}")
            every = median(nanoseconds(program, REPEAT) for _ in range(RUNS))
        ones = []
        for frame in frames[:ONES]:
            with timed(snapshot, [frame]) as program:
                ones.append(nanoseconds(program, REPEAT_ONE))
        yield kind, median(ones), every


def main() -> None:
    """Measure lists of some sizes, one after the other."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--entries", type=int, action="append", help="how long the list is (1 and 10 million)")
    sizes = parser.parse_args().entries or SIZES
    print(f"Linux {platform.release()}, {os.cpu_count()} CPUs; goal: {GOAL_NANOSECONDS} ns a packet")
    for entries in sizes:
        print(f"{entries:,} entries")
        chance = np.random.default_rng(6)
        snapshot, listed, others = list_of(entries, chance)
        kinds = {"hit": frames_for(chance.permutation(listed)[:ROUNDS]), "miss": frames_for(others[:ROUNDS])}
        for kind, one, every in measure(snapshot, kinds):
            print(f"    {kind:<5} one query {one:>4.0f} ns, all {every:>4.0f} ns")


if __name__ == "__main__":
    main()
