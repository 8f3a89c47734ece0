"""The name server at 80 % of its capacity, with changes and swaps: no wrong answer, none lost, nothing that grows.

    make soak-dns                  an hour
    make soak-dns MINUTES=5 ENTRIES=10000000

One core has the server, the other the load (`load.c`) and the prober.  The prober asks one query after the other, of
names that are listed, that are not, that changed, and that no list has, and compares each answer, byte for byte, with
the reference's from the list in force.  Every tenth of a second the list changes, by an overlay; every half minute a
snapshot is put in place.  Once a change has been seen, no answer may be from the list before.
"""

import argparse
import json
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from bench.dns.bench import build
from bench.dns.changes import LOAD, Pressure
from bench.dns.lists import MadeList, make
from bench.dns.measure import Reference, memory, query, settle
from bench.dns.peers import PEERS, running

from whimbrel.model.listing import Code
from whimbrel.nameserver.answer import answer
from whimbrel.publishing import Entries, write_overlay, write_snapshot
from whimbrel.wire.snapshot import Overlay, Snapshot, layout

CHANGE_SECONDS, SWAP_SECONDS, SAMPLE_SECONDS = 0.1, 30.0, 5.0
# A change must be seen by then; far above the goal of 10 ms, which is `changes.py`'s business.
_SEEN_SECONDS = 2.0
_TARGETS = 2_000  # that change, in turn: what an overlay of half a minute holds
GROWTH = 1.10  # as in bench/soak.py
_PATIENCE_SECONDS = 0.5
_SERVE = next(peer for peer in PEERS if peer.name == "whimbrel serve")


class List:
    """The list that the server should answer from, and the files that tell it."""

    def __init__(self, path: Path, chance: random.Random) -> None:
        self._path = path
        self._chance = chance
        self._base = Snapshot(path.read_bytes())
        self._entries = Entries()
        self._entries.begin_overlay()
        self._number = 0
        self.state = self._base
        self.before: Snapshot | None = None  # may still be answered from

    def change(self) -> None:
        """List some targets, and take some off."""
        now = datetime.now(UTC)
        for _ in range(self._chance.randrange(1, 4)):
            # 0/8 and a network of it: nothing of the made list is there.
            target = str(IPv4Address(self._chance.randrange(_TARGETS))) if self._chance.random() < 0.9 else "0.1.0.0/16"
            if self._chance.random() < 0.6:
                self._entries.put(target, self._chance.choice(list(Code)), now + timedelta(seconds=3600))
            else:
                self._entries.put(target, Code.INFECTED, now)
                self._entries.drop(target)
        self._number += 1
        data = self._entries.overlay(self._base.base, number=self._number, born=now)
        self.before, self.state = self.state, self._base.overlaid(Overlay(data))
        write_overlay(self._path, data)

    def swap(self) -> None:
        """Put the same list in place as a new one, without what changed."""
        base = self._base
        data = layout.assembled(base.sections(), serial=base.serial + 1, born=base.born, expires=base.expires)
        self._base, self._number = Snapshot(data), 0
        self._entries = Entries()
        self._entries.begin_overlay()
        self.before, self.state = self.state, self._base
        write_snapshot(self._path, data)


class Checker:
    """Asks, and compares with the list."""

    def __init__(self, port: int, made: MadeList, listed: List, chance: random.Random) -> None:
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._listed = listed
        self._chance = chance
        self._names = made.queries.read_text(encoding="ascii").split()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(_PATIENCE_SECONDS)
        self._socket.connect(("127.0.0.1", port))
        self._changed_at = time.monotonic()

    def changed(self) -> None:
        """Take note that the list has just changed."""
        self._changed_at = time.monotonic()

    def ask(self) -> None:
        """Ask one query, and compare the answer."""
        packet, before = self._query(), int(time.time())
        self._socket.send(packet)
        try:
            reply = self._socket.recv(4096)
            while reply[:2] != packet[:2]:
                reply = self._socket.recv(4096)
        except TimeoutError:
            self.counts["lost"] += 1
            return
        self.counts["asked"] += 1
        # The server rounds its time down for ends, and up for what is left: at a whole second, or between two.
        times = [second + part for second in range(before, int(time.time()) + 1) for part in (0.0, 0.5)]
        if reply in {answer(packet, self._listed.state, now, tcp=False) for now in times}:
            return
        old = self._listed.before
        is_soon = time.monotonic() < self._changed_at + _SEEN_SECONDS
        if old is not None and is_soon and reply in {answer(packet, old, now, tcp=False) for now in times}:
            self.counts["of the list before"] += 1
            return
        self.counts["wrong"] += 1
        self.wrong.append(f"{packet.hex()} -> {reply.hex()}")

    def _query(self) -> bytes:
        chance = self._chance
        kind = chance.random()
        if kind < 0.4:
            name = chance.choice(self._names)
        elif kind < 0.9:
            name = ".".join(reversed(str(IPv4Address(chance.randrange(_TARGETS))).split(".")))
        else:
            name = chance.choice(("2.0.0.127", "1.0.0.127", "0", "0.0", "7.7.1.0", "x", "a.b.c.d", "1.2.3"))
        packet = bytearray(query(chance.randrange(1 << 16), name))
        type_at = packet.index(b"\0\0\1\0\1", 12) + 2
        packet[type_at] = chance.choice((1, 1, 1, 16))  # A, TXT
        return bytes(packet)


@contextmanager
def _pressed(pressure: Pressure, seconds: float, rate: float) -> Iterator[dict[str, float]]:
    """Load the server meanwhile; what came of it is there afterwards."""
    told: dict[str, float] = {}
    asking = subprocess.Popen(pressure.command(seconds, rate), stdout=subprocess.PIPE, text=True)
    try:
        yield told
        told |= json.loads(asking.communicate(timeout=60)[0])
    finally:
        asking.kill()


def soak(made: MadeList, seconds: float, cores: tuple[int, int]) -> int:
    """Soak one list; print what was seen; return 1 where something is not as it should be."""
    chance, samples = random.Random(5), []
    reference, folder = Reference(made), made.folder / "server"
    with running(_SERVE, made, folder, cores[0], reference.is_answered) as server:
        settle(server.pid)
        pressure = Pressure(server.port, made, cores[1])
        rate = LOAD * pressure.capacity()
        listed = List(folder / "list.snapshot", chance)
        checker = Checker(server.port, made, listed, chance)
        began = time.monotonic()
        due = {"change": began, "swap": began + SWAP_SECONDS, "sample": began}
        changes = swaps = 0
        with _pressed(pressure, seconds + 1, rate) as told:
            while (now := time.monotonic()) < began + seconds:
                if now >= due["swap"]:
                    listed.swap()
                    checker.changed()
                    swaps, due["swap"] = swaps + 1, now + SWAP_SECONDS
                    due["change"] = now + _SEEN_SECONDS
                elif now >= due["change"]:
                    listed.change()
                    checker.changed()
                    changes, due["change"] = changes + 1, now + CHANGE_SECONDS
                if now >= due["sample"]:
                    samples.append(memory(server.pid).rss / 2**20)
                    due["sample"] = now + SAMPLE_SECONDS
                checker.ask()
    what = f"{seconds / 60:.0f} minutes, {made.entries:,} entries: {changes:,} changes, {swaps} swaps"
    return _report(checker, told, samples, f"{what}, at {rate:,.0f} queries/s")


def _report(checker: Checker, told: dict[str, float], samples: list[float], what: str) -> int:
    quarter = max(1, len(samples) // 4)
    first, last = max(samples[quarter : 2 * quarter] or samples), max(samples[-quarter:])
    counts = checker.counts
    unanswered = told["sent"] - told["answered"]
    print(what)
    print(f"{counts['asked']:,} answers compared: {counts['wrong']} wrong, {counts['lost']} lost; "
          f"{counts['of the list before']} of the list just before")  # fmt: skip
    print(f"of {told['sent']:,} queries of the load {unanswered:,} were not answered; p99.9 {told['p999_ms']} ms")
    print(f"memory: {first:.1f} MB at most in the second quarter, {last:.1f} MB in the last")
    for line in checker.wrong[:5]:
        print(f"wrong: {line}")
    return int(bool(counts["wrong"] or counts["lost"] or last > GROWTH * first or not counts["asked"]))


def main() -> int:
    """Run the soak."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--entries", type=int, default=1_000_000)
    given = parser.parse_args()
    build()
    with tempfile.TemporaryDirectory() as folder:
        made = make(4, given.entries, Path(folder), zone_file=False)
        return soak(made, given.minutes * 60, (0, 1))


if __name__ == "__main__":
    sys.exit(main())
