"""What known clients get of a name server under a flood: the share of their queries that is answered, and how late.

    python -m bench.dns.flood [--rounds 3] [--seconds 5] [--peers NAME ...]
    python -m bench.dns.flood --report        prints the table of the last run again

Every server has 15 % of a core, in slices of 10 ms; what it answers then, when it is asked more, is its capacity.
Strangers, 100,000 addresses, ask five times as much; 1,000 known clients a tenth of it, alone at first, then beside the
strangers, then with a tenth of the flood forging their addresses.  All of it is on loopback, from one process on the
other core (`flood.c`).  A client gives up after half a second.  Takes some five minutes, root, and control groups.
Each server has its usual settings: loopback is exempt from our rate limit, and the others' is off unless it is set.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
from bench.dns.bench import build
from bench.dns.lists import ZONE, MadeList, make
from bench.dns.measure import Reference, processes, settle
from bench.dns.peers import PEERS, PROGRAMS, ROOT, Peer, PeerError, Running, running
from bench.dns.slices import SliceError, Slices, slices

RESULTS = ROOT / "bench" / "results" / "dns-flood.json"
SHARE = 0.15
_ENTRIES = 1_000_000
_STRANGERS, _KNOWN, _FORGED = 5.0, 0.1, 0.1  # of the capacity, of the capacity, of the flood
_MORE_THAN_ANY = 400_000  # queries a second; a server that is as fast as the echo answers 100,000 in its share
_CAPACITY_SECONDS = 2.0
_SERVE = next(peer for peer in PEERS if peer.name == "whimbrel serve")


class Case(msgspec.Struct, frozen=True):
    """A run of `flood.c`: how much was asked and answered, in what time."""

    seconds: float
    flood: int
    asked: int
    answered: int
    late: int
    p50_ms: float
    p99_ms: float
    p999_ms: float


class Round(msgspec.Struct, frozen=True):
    """A server's capacity in answers a second, and the three cases."""

    capacity: float
    alone: Case
    flooded: Case
    forged: Case


class Row(msgspec.Struct):
    """A server, measured, or why not."""

    peer: str
    rounds: list[Round] = []
    note: str = ""


class Results(msgspec.Struct):
    """A run."""

    date: str
    kernel: str
    seconds: float
    rows: list[Row] = []


class Cores(NamedTuple):
    """Which core the server has, and which the load."""

    server: int
    load: int


def _knowing(made: MadeList, folder: Path, port: int) -> list[str]:
    known = folder / "known"
    known.write_text("".join(f"127.{1 + (each >> 8)}.{each & 255}.0/24\n" for each in range(1000)), encoding="ascii")
    return [*_SERVE.command(made, folder, port), "--known", str(known)]


FLOODED = (
    Peer("whimbrel serve, clients known", _knowing, ours=True),
    Peer("whimbrel serve, nobody known", _SERVE.command, ours=True),
    *(peer for peer in PEERS if peer.name in ("rbldnsd", "Knot")),
)


def measure(peers: Sequence[Peer], made: MadeList, rounds: int, seconds: float, cores: Cores) -> list[Row]:
    """Measure servers by turns; each is started without a limit, and has one while it is asked."""
    reference = Reference(made)
    rows = [Row(peer.name) for peer in peers]
    with slices("load") as load, ExitStack() as stack:
        started: list[tuple[Row, Running, Slices]] = []
        for number, (peer, row) in enumerate(zip(peers, rows, strict=True)):
            share = stack.enter_context(slices(f"server{number}"))
            try:
                server = stack.enter_context(
                    running(peer, made, made.folder / f"server{number}", cores.server, reference.is_answered)
                )
            except PeerError as error:
                row.note = str(error)
                continue
            settle(server.pid)
            for pid in processes(server.pid):
                share.take(pid)
            reference.check(server.port, same_bytes=peer.ours)
            started.append((row, server, share))
        for _ in range(rounds):
            for row, server, share in started:
                share.limit(SHARE)
                row.rounds.append(_round(server.port, made, seconds, load, cores.load))
                share.limit(None)
                _say(f"{row.peer}: {row.rounds[-1]}")
    return rows


def _round(port: int, made: MadeList, seconds: float, load: Slices, core: int) -> Round:
    def told(program: str, *arguments: float | str) -> bytes:
        command = ["taskset", "-c", str(core), str(PROGRAMS / program), str(port), ZONE, *map(str, arguments)]
        inside = ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(load.folder), *command]
        return subprocess.run(inside, capture_output=True, check=True, timeout=60 + 2 * seconds).stdout

    capacity = json.loads(told("load", _CAPACITY_SECONDS, str(made.queries), _MORE_THAN_ANY))["per_second"]

    def case(strangers: float, forged: float) -> Case:
        rates = (strangers * capacity, _KNOWN * capacity, forged)
        return msgspec.json.decode(told("flood", seconds, str(made.queries), *rates), type=Case)

    return Round(capacity, case(0, 0), case(_STRANGERS, 0), case(_STRANGERS, _FORGED))


def report(results: Results) -> str:
    """Return the table, in Markdown: medians of the rounds."""
    lines = [
        f"{results.date}, {results.kernel}; {SHARE:.0%} of a core in slices of 10 ms; cases of {results.seconds:g} s.",
        "",
        "| server | capacity, answers/s | flood | known alone: answered, p99 | in the flood | forged, too |",
        "|---|---|---|---|---|---|",
    ]
    for row in results.rows:
        if not row.rounds:
            lines.append(f"| {row.peer} | {row.note or 'not measured'} | | | | |")
            continue
        capacity = statistics.median(each.capacity for each in row.rounds)
        times = statistics.median(each.flooded.flood / each.flooded.seconds / each.capacity for each in row.rounds)
        cases = [[getattr(each, name) for each in row.rounds] for name in ("alone", "flooded", "forged")]
        cells = " | ".join(map(_cell, cases))
        lines.append(f"| {row.peer} | {capacity:,.0f} | {times:.1f} x | {cells} |")
    return "\n".join(lines)


def _cell(cases: Sequence[Case]) -> str:
    share = statistics.median(each.answered / max(each.asked, 1) for each in cases)
    return f"{share:.1%}, {statistics.median(each.p99_ms for each in cases):.0f} ms"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", nargs="+", choices=[peer.name for peer in FLOODED], help="[all]")
    parser.add_argument("--entries", type=int, default=_ENTRIES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each case")
    parser.add_argument("--server-core", type=int, default=1)
    parser.add_argument("--load-core", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--report", action="store_true", help="print the table of the last run, measure nothing")
    return parser.parse_args()


def main() -> int:
    """Measure, write, print; where it cannot be measured, say why."""
    given = _arguments()
    if not given.report:
        peers = [peer for peer in FLOODED if not given.peers or peer.name in given.peers]
        build()
        with tempfile.TemporaryDirectory(prefix="bench-dns-") as folder:
            Path(folder).chmod(0o755)  # rbldnsd does not stay root
            made = make(4, given.entries, Path(folder), zone_file=True)
            try:
                cores = Cores(given.server_core, given.load_core)
                rows = measure(peers, made, given.rounds, given.seconds, cores)
            except SliceError as error:
                _say(f"skipped: {error}")
                return 0
        results = Results(f"{datetime.now(UTC):%Y-%m-%d}", f"Linux {platform.release()}", given.seconds, rows)
        given.out.write_bytes(msgspec.json.format(msgspec.json.encode(results)) + b"\n")
    print(report(msgspec.json.decode(given.out.read_bytes(), type=Results)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
