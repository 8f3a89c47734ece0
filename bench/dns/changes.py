"""How soon a change is answered from, and what it costs those who ask meanwhile, at 80 % of a server's capacity.

    python -m bench.dns.changes [--entries 1000000] [--changes 1000] [--seconds 20] [--swaps 10]
    python -m bench.dns.changes --report        prints the tables of the last run again

The server has one core; the load and a prober, which asks one query after the other, have the other.  A change is an
overlay that lists one address and takes another off.  From the moment that it is in its place the prober asks for the
first until that is listed; then the second must not be listed any more, else half a change was answered from.  Each
change stays in the overlay, which grows by two targets.  A swap is a new snapshot of the whole list.
"""

import argparse
import json
import math
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import msgspec
from bench.dns.bench import build
from bench.dns.lists import ZONE, MadeList, make
from bench.dns.measure import Reference, meaning, query, settle
from bench.dns.peers import PEERS, PROGRAMS, ROOT, running

from whimbrel.model.listing import Code
from whimbrel.publishing import Entries, write_overlay, write_snapshot
from whimbrel.wire.snapshot import Snapshot, layout

RESULTS = ROOT / "bench" / "results" / "dns-changes.json"
LOAD = 0.8  # of the capacity
_CAPACITY_SECONDS = 3.0
_PATIENCE_SECONDS = 0.5  # what is not answered by then is lost
_PROBE_PAUSE_SECONDS = 0.000_2
_SERVE = next(peer for peer in PEERS if peer.name == "whimbrel serve")


class Phase(msgspec.Struct, frozen=True):
    """What the load saw: queries that were sent and answered, and how long answers took."""

    name: str
    sent: int
    answered: int
    p50_ms: float
    p99_ms: float
    p999_ms: float


class Results(msgspec.Struct):
    """A run: what was answered a second at most, the phases, and after how long each change was seen."""

    date: str
    entries: int
    capacity: float
    phases: list[Phase] = []
    seen_ms: list[float] = []
    written_ms: list[float] = []
    lost: int = 0
    halves: int = 0


class Prober:
    """Asks a server, one query after the other."""

    def __init__(self, port: int) -> None:
        self.lost = 0
        self._number = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(_PATIENCE_SECONDS)
        self._socket.connect(("127.0.0.1", port))

    def is_listed(self, address: IPv4Address) -> bool:
        """Ask until there is an answer; tell whether it has an address."""
        name = ".".join(reversed(str(address).split(".")))
        while True:
            self._number = (self._number + 1) & 0xFFFF
            packet = query(self._number, name)
            self._socket.send(packet)
            try:
                reply = self._socket.recv(4096)
            except TimeoutError:
                self.lost += 1
                continue
            if reply[:2] == packet[:2]:
                return bool(meaning(reply)[1])


class Pressure:
    """The load on one server, from a core."""

    def __init__(self, port: int, made: MadeList, core: int) -> None:
        self._begin = ["taskset", "-c", str(core), str(PROGRAMS / "load"), str(port), ZONE]
        self._queries = str(made.queries)

    def command(self, seconds: float, rate: float = 0.0) -> list[str]:
        """Return what asks so many queries a second; 0: as many as are answered."""
        return [*self._begin, str(seconds), self._queries, str(rate)]

    def capacity(self) -> float:
        """Return how many answers a second there are at most."""
        told = subprocess.run(self.command(_CAPACITY_SECONDS), capture_output=True, check=True, timeout=60).stdout
        return float(json.loads(told)["per_second"])

    def phase(self, name: str, seconds: float, rate: float, do: Callable[[], None]) -> Phase:
        """Ask at a rate while something is done; return what came of it."""
        asking = subprocess.Popen(self.command(seconds, rate), stdout=subprocess.PIPE, text=True)
        try:
            time.sleep(0.2)
            do()
            told = json.loads(asking.communicate(timeout=seconds + 60)[0])
        finally:
            asking.kill()
        return Phase(name, *(told[key] for key in ("sent", "answered", "p50_ms", "p99_ms", "p999_ms")))


def measure(made: MadeList, *, changes: int, swaps: int, seconds: float, cores: tuple[int, int]) -> Results:
    """Measure one list: undisturbed, with changes, with swaps."""
    reference = Reference(made)
    folder = made.folder / "server"
    with running(_SERVE, made, folder, cores[0], reference.is_answered) as server:
        settle(server.pid)
        reference.check(server.port, same_bytes=True)
        load = Pressure(server.port, made, cores[1])
        results = Results(datetime.now(UTC).strftime("%Y-%m-%d"), made.entries, load.capacity())
        prober, path = Prober(server.port), folder / "list.snapshot"
        phases: list[tuple[str, Callable[[], None]]] = [
            ("undisturbed", lambda: _wait(prober, seconds - 1)),
            (f"{changes} changes", lambda: _change(results, prober, path, changes, seconds - 1)),
            (f"{swaps} swaps", lambda: _swap(prober, path, swaps, seconds - 1)),
        ]
        for name, do in phases:
            results.phases.append(load.phase(name, seconds, LOAD * results.capacity, do))
            _say(str(results.phases[-1]))
        results.lost = prober.lost
    return results


def _wait(prober: Prober, seconds: float) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        prober.is_listed(IPv4Address("192.0.2.1"))
        time.sleep(_PROBE_PAUSE_SECONDS)


def _change(results: Results, prober: Prober, path: Path, changes: int, seconds: float) -> None:
    """Make changes, evenly over the time, and see each of them."""
    with path.open("rb") as file:
        base = Snapshot(file.read()).base
    entries, until = Entries(), datetime.now(UTC) + timedelta(days=1)
    entries.begin_overlay()
    # 0/8 is nobody's, so nothing of the list is there.
    places = [IPv4Address(1 + 2 * number) for number in range(changes + 1)]
    entries.put(str(places[0]), Code.INFECTED, until)
    began = time.monotonic()
    for number in range(1, changes + 1):
        while time.monotonic() < began + seconds * number / changes:
            time.sleep(_PROBE_PAUSE_SECONDS)
        entries.put(str(places[number]), Code.INFECTED, until)
        entries.drop(str(places[number - 1]))
        at = time.monotonic()
        write_overlay(path, entries.overlay(base, number=number, born=datetime.now(UTC)))
        written = time.monotonic()
        while not prober.is_listed(places[number]):
            pass
        results.seen_ms.append((time.monotonic() - written) * 1e3)
        results.written_ms.append((written - at) * 1e3)
        results.halves += prober.is_listed(places[number - 1])


def _swap(prober: Prober, path: Path, swaps: int, seconds: float) -> None:
    """Put new snapshots in place, evenly over the time."""
    with path.open("rb") as file:
        before = Snapshot(file.read())
    stop = threading.Event()

    def write() -> None:
        for number in range(swaps):
            serial = before.serial + 1 + number
            data = layout.assembled(before.sections(), serial=serial, born=before.born, expires=before.expires)
            write_snapshot(path, data)
            if stop.wait(seconds / swaps):
                return

    writing = threading.Thread(target=write)
    writing.start()
    _wait(prober, seconds)
    stop.set()
    writing.join()


def report(results: Results) -> str:
    """Return the tables, in Markdown."""
    seen = sorted(results.seen_ms)
    at_99 = seen[math.ceil(0.99 * len(seen)) - 1]
    middle, written = statistics.median(seen), statistics.median(results.written_ms)
    told = (
        f"A change was seen after {middle:.1f} ms in the middle, {at_99:.1f} ms at p99, {seen[-1]:.1f} ms at most "
        f"({len(seen):,} changes; written in {written:.1f} ms). Answers from half a change: {results.halves}. "
        f"Probes without an answer: {results.lost}."
    )
    lines = [
        f"{results.date}; {results.entries:,} entries; {LOAD:.0%} of {results.capacity:,.0f} answers/s.",
        "",
        told,
        "",
        "| at 80 % | queries | unanswered | p50 ms | p99 ms | p99.9 ms |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {each.name} | {each.sent:,} | {each.sent - each.answered:,} | {each.p50_ms:.3f} | {each.p99_ms:.3f} "
        f"| {each.p999_ms:.3f} |"
        for each in results.phases
    ]
    return "\n".join(lines)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Run the bench, or print its last results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--changes", type=int, default=1_000)
    parser.add_argument("--swaps", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    if not given.report:
        build()
        with tempfile.TemporaryDirectory() as folder:
            made = make(4, given.entries, Path(folder), zone_file=False)
            found = measure(made, changes=given.changes, swaps=given.swaps, seconds=given.seconds, cores=(0, 1))
        given.out.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    print(report(msgspec.json.decode(given.out.read_bytes(), type=Results)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
