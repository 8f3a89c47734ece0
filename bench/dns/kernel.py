"""What the kernel's build of the name server takes for a packet, by the kernel's own clock (BPF_PROG_TEST_RUN).

    make bench-dns-kernel                                     1 and 10 million entries
    PYTHONPATH=. python bench/dns/kernel.py --entries 1000000

Needs root.  The list is made here: random hosts, expiries over 7 days.  65,536 queries of random addresses wait in a
map; each round takes the next of them, so that the search meets memory that it has not just read.  What is measured is
more than an answer costs: taking the query from the map, and bringing the frame back to its length, come on top.
Medians of 5 runs of 1,048,576 rounds; hits and misses take turns.
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

from whimbrel.nameserver.fast.kernel import Program
from whimbrel.wire.snapshot import Snapshot, Zone
from whimbrel.wire.snapshot.encoder import Reason, Rows, encode, no_rows

Keys = NDArray[np.uint64]

ZONE = Zone(name="bl.test", servers=("localhost",), mailbox="hostmaster.bl.test")
SIZES = (1_000_000, 10_000_000)
DAY = 86_400
ROUNDS = 1 << 16
REPEAT = 1 << 20
RUNS = 5
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


def nanoseconds(program: Program) -> int:
    """Return what a round takes on average; every one of them has to be answered."""
    before = program.answered()
    ran = program.run(bytes(128), REPEAT)
    if program.answered() - before != REPEAT:
        sys.exit(f"bench: {REPEAT - program.answered() + before} of {REPEAT} queries were not answered")
    return ran.nanoseconds


def measure(entries: int, chance: np.random.Generator) -> dict[str, float]:
    """Print what the verifier says, and return the nanoseconds of a hit and of a miss."""
    snapshot, listed, others = list_of(entries, chance)
    hits, misses = frames_for(chance.choice(listed, ROUNDS)), frames_for(others[:ROUNDS])
    started = time.perf_counter()
    with timed(snapshot, hits) as of_hits, timed(snapshot, misses) as of_misses:
        print(f"{entries:>12,} entries: built and loaded in {time.perf_counter() - started:.1f} s")
        print(f"             {of_hits.instructions} instructions; {' / '.join(of_hits.verified.splitlines())}")
        runs = [(nanoseconds(of_hits), nanoseconds(of_misses)) for _ in range(RUNS)]
    return {"hit": median(hit for hit, _ in runs), "miss": median(miss for _, miss in runs)}


def main() -> None:
    """Measure lists of some sizes, one after the other."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--entries", type=int, action="append", help="how long the list is (1 and 10 million)")
    sizes = parser.parse_args().entries or SIZES
    print(f"Linux {platform.release()}, {os.cpu_count()} CPUs; goal: {GOAL_NANOSECONDS} ns a packet")
    for entries in sizes:
        for kind, taken in measure(entries, np.random.default_rng(6)).items():
            print(f"             {kind:<5}{taken:>6.0f} ns {'' if taken <= GOAL_NANOSECONDS else '(above the goal)'}")


if __name__ == "__main__":
    main()
