"""Processor time an answer, memory and start time of the name server and its peers, from one list, on one core.

    python -m bench.dns.bench [--entries N ...] [--families 4 6] [--peers NAME ...] [--rounds 15] [--seconds 1.2]
    python -m bench.dns.bench --report        prints the tables of the last run again

Of each list all servers are started on one core, the load runs on another, and the rounds go over the servers by turns.
A round counts only where the server's core was at least 97 % busy; else it is done again, twice at most, and the table
says how busy it was.  Before, a thousand answers are compared with the reference.  `make bench-dns` takes some 20
minutes, 6 GB of memory and 1 GB of disk.  Results lie in bench/results/dns.json.
"""

import argparse
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from bench.dns.lists import MadeList, make
from bench.dns.measure import LEAST_BUSY, Load, MeasureError, Reference, echoes, load, memory, settle
from bench.dns.peers import PEERS, PROGRAMS, RBLDNSD_SHUFFLED, ROOT, Peer, PeerError, Running, running
from bench.dns.results import START, Bytes, Results, Row, Settings, report

RESULTS = ROOT / "bench" / "results" / "dns.json"
_AGAIN = 2
_STARTS = 5
_WARM_UP_SECONDS = 1.0
_PACKAGES = ("rbldnsd", "knot", "nsd", "bind9")
_MILLION = 1_000_000


class _Measuring:
    """One list, the reference's answers about it, and how to measure."""

    def __init__(self, made: MadeList, settings: Settings) -> None:
        self.made = made
        self.settings = settings
        self.reference = Reference(made)

    def compile(self) -> None:
        """Have our servers compiled: starts are measured of compiled code, and memory without a compiler."""
        for peer in PEERS:
            if peer.ours:
                folder = self.made.folder / "compiling"
                core = self.settings.server_core
                with running(peer, self.made, folder, core, self.reference.is_answered) as server:
                    settle(server.pid)

    def rounds(self, peers: Sequence[Peer]) -> list[Row]:
        """Measure servers by turns."""
        rows = [Row(peer.name, self.made.family, self.made.entries) for peer in peers]
        with ExitStack() as stack:
            started: list[tuple[Peer, Row, Running]] = []
            for peer, row in zip(peers, rows, strict=True):
                try:
                    started.append((peer, row, self._started(stack, peer, row)))
                except (PeerError, MeasureError) as error:
                    row.note = str(error)
                _say(f"{peer.name}: {row.note or f'answers after {row.start_seconds[0]:.2f} s'}")
            for number in range(self.settings.rounds):
                for peer, row, server in started:
                    self._round(peer, row, server)
                _say(f"round {number + 1} of {self.settings.rounds} is done")
            for _, row, server in started:
                row.memory = memory(server.pid)
        return rows

    def _started(self, stack: ExitStack, peer: Peer, row: Row) -> Running:
        if self.made.entries > peer.most_entries:
            raise PeerError(f"not with more than {peer.most_entries:,} entries: memory")
        folder = self.made.folder / peer.name.replace(" ", "-")
        answers: Callable[[int], bool] = self.reference.is_answered if peer.checked else echoes
        server = stack.enter_context(running(peer, self.made, folder, self.settings.server_core, answers))
        row.start_seconds.append(server.start_seconds)
        settle(server.pid)
        if peer.checked:
            self.reference.check(server.port, same_bytes=peer.ours)
        self._load(peer, server, _WARM_UP_SECONDS)
        return server

    def _load(self, peer: Peer, server: Running, seconds: float) -> Load:
        core = self.settings.load_core
        return load(
            server.pid,
            server.port,
            self.made,
            seconds=seconds,
            core=core,
            checked=peer.checked,
            cookies=peer.cookies,
        )

    def _round(self, peer: Peer, row: Row, server: Running) -> None:
        """Add a round that counts, or of all tried the busiest."""
        tried: list[Load] = []
        try:
            while len(tried) <= _AGAIN and all(each.busy < LEAST_BUSY for each in tried):
                tried.append(self._load(peer, server, self.settings.seconds))
        except MeasureError as error:
            row.note = str(error)
        if tried:
            row.loads.append(max(tried, key=lambda each: each.busy))

    def starts(self) -> list[Row]:
        """Measure starts and nothing else, each several times."""
        by_name = {peer.name: peer for peer in PEERS}
        cases = (
            ("whimbrel serve", by_name["whimbrel serve"], False),
            ("whimbrel, loop alone, compiled before", by_name["whimbrel, loop alone"], False),
            ("whimbrel, loop alone, never compiled", by_name["whimbrel, loop alone"], True),
            ("rbldnsd, sorted text", by_name["rbldnsd"], False),
            ("rbldnsd, shuffled text", RBLDNSD_SHUFFLED, False),
        )
        rows = []
        for name, peer, is_cold in cases:
            row = Row(START + name, self.made.family, self.made.entries)
            rows.append(row)
            try:
                row.start_seconds = [self._start(peer, is_cold=is_cold) for _ in range(_STARTS)]
            except PeerError as error:
                row.note = str(error)
            _say(f"{row.peer}: {row.note or f'{statistics.median(row.start_seconds):.2f} s'}")
        return rows

    def _start(self, peer: Peer, *, is_cold: bool) -> float:
        with tempfile.TemporaryDirectory(dir=self.made.folder) as made:
            folder, core = Path(made), self.settings.server_core
            cache = {"XDG_CACHE_HOME": made} if is_cold else {}
            with running(peer, self.made, folder, core, self.reference.is_answered, **cache) as server:
                return server.start_seconds


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def build() -> None:
    """Compile the echo and the loads."""
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    for name in ("echo", "load", "flood"):
        source = Path(__file__).with_name(f"{name}.c")
        subprocess.run(["gcc", "-O2", "-Wall", "-o", str(PROGRAMS / name), str(source)], check=True)


def _versions() -> dict[str, str]:
    asked = ["apt-cache", "policy", *_PACKAGES]
    found: dict[str, str] = {}
    name = ""
    for line in subprocess.run(asked, capture_output=True, text=True, check=False).stdout.splitlines():
        if not line.startswith(" "):
            name = line.rstrip(":")
        elif line.strip().startswith("Candidate:"):
            found[name] = line.split()[-1]
    return found


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "?")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, nargs="+", default=[_MILLION, 10 * _MILLION])
    parser.add_argument("--families", type=int, nargs="+", choices=(4, 6), default=[4, 6])
    parser.add_argument("--peers", nargs="+", choices=[peer.name for peer in PEERS], help="[all]")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1.2, help="of load in each round")
    parser.add_argument("--server-core", type=int, default=1)
    parser.add_argument("--load-core", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--report", action="store_true", help="print the tables of the last run, measure nothing")
    return parser.parse_args()


def main() -> int:
    """Measure, write, print."""
    given = _arguments()
    if not given.report:
        build()
        peers = [peer for peer in PEERS if not given.peers or peer.name in given.peers]
        settings = Settings(given.rounds, given.seconds, given.server_core, given.load_core)
        results = Results(
            f"{datetime.now(UTC):%Y-%m-%d}", _processor(), f"Linux {platform.release()}", _versions(), settings
        )
        for family in given.families:
            for entries in given.entries:
                _say(f"IPv{family}, {entries:,} entries")
                _measure_list(results, family, entries, peers)
                given.out.write_bytes(msgspec.json.format(msgspec.json.encode(results)) + b"\n")
    print(report(msgspec.json.decode(given.out.read_bytes(), type=Results)))
    return 0


def _measure_list(results: Results, family: int, entries: int, peers: Sequence[Peer]) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-dns-") as folder:
        general = any(entries <= peer.most_entries < max(each.most_entries for each in PEERS) for peer in peers)
        made = make(family, entries, Path(folder), zone_file=general)
        results.sizes.append(Bytes(family, entries, made.snapshot.stat().st_size))
        measuring = _Measuring(made, results.settings)
        measuring.compile()
        results.rows += measuring.rounds(peers)
        if family == 4:
            results.rows += measuring.starts()


if __name__ == "__main__":
    sys.exit(main())
