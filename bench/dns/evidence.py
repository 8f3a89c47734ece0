"""From a decision to the authoritative answer, with a list of millions: `Listed`, `Entries`, and the name server.

    python -m bench.dns.evidence [--entries 1000000] [--changes 200] [--overlay-seconds 5] [--compact-share 1.0]

The ledger is a made-up one in memory: what is before it (mail read, settled, decided) does not grow with the list, and
`make latency` measures it.  Changes come at random moments; snapshots are cut meanwhile, as often as the setting says:
the service gives a twentieth of the time to that, here it may be all, for else hardly one would fall into the run.  The
turn is the service's: follow, publish if due.
"""

import argparse
import random
import subprocess
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from statistics import quantiles
from typing import Any, Self, cast

import numpy as np
from bench.dns.changes import Prober
from bench.dns.lists import ZONE
from bench.dns.peers import free_port
from bench.service import WHIMBREL

from whimbrel.model.listing import Code, Event, Listing
from whimbrel.pipeline.config.settings import Publish
from whimbrel.pipeline.running import listed as running_listed
from whimbrel.pipeline.running.listed import Listed
from whimbrel.pipeline.running.metrics import Metrics
from whimbrel.publishing import TEXTS
from whimbrel.wire.snapshot.rows import Rows, no_rows

# One host in 64 addresses from 16/8 on, 48 million at most; those that are listed meanwhile lie beyond.
_FIRST, _STEP_BITS, _FIRST_CHANGED = 16 << 24, 6, 200 << 24
_TURN_SECONDS = 0.05  # as often as overlays go out at most


class MadeLedger:
    """What `Listed` reads of a ledger, of a list made up."""

    def __init__(self) -> None:
        self._events = list[Event]()

    def last_change(self) -> int:
        """Return the number of the last event."""
        return len(self._events)

    def listings(self, _: datetime) -> list[Listing]:
        """Return nothing: what is listed to begin with is put into the columns at once."""
        return []

    def changes(self, number: int) -> tuple[int, list[Event]]:
        """Return what was entered since."""
        last = len(self._events)
        return last, self._events[number:last]

    def note_published(self, serial: int, born: datetime, last_event: int) -> None:
        """Take no note."""

    def enter(self, target: str, now: datetime) -> None:
        """List a target from now on."""
        until = now + timedelta(days=2)
        self._events.append(
            Event(at=now, target=target, change="listed", actor="bench", code=Code.INFECTED, role="infected",
                  until=until, score=None, prior_logit=None, probability_legitimate=None, why="", evidence=())
        )  # fmt: skip


def fill(listed: Listed, count: int) -> None:
    """List so many hosts as if each had been put: one by one, ten million take minutes."""
    now, chance = datetime.now(UTC), np.random.default_rng(1)
    listed.follow(now)
    rows = Rows(
        np.arange(count, dtype=np.uint64) * np.uint64(1 << _STEP_BITS) + np.uint64(_FIRST),
        np.full(count, 32, np.uint8),
        np.zeros(count, np.uint32),
        int(now.timestamp()) + chance.integers(86_400, 8 * 86_400, count),
    )
    entries = listed._entries  # noqa: SLF001 - there is no other way to it, and no other need of one
    entries._columns, entries._count = {4: rows, 6: no_rows()}, count  # noqa: SLF001


class Turning:
    """The turns of the service, in a thread: the longest time that one took is kept."""

    def __init__(self, listed: Listed) -> None:
        self.longest_seconds = 0.0
        self._listed, self._stop = listed, threading.Event()
        self._thread = threading.Thread(target=self._turn)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _turn(self) -> None:
        while not self._stop.wait(_TURN_SECONDS):
            began = time.monotonic()
            publish(self._listed)
            self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)


def publish(listed: Listed) -> None:
    """Take one turn."""
    now = datetime.now(UTC)
    listed.follow(now)
    if listed.is_due(now, time.monotonic()):
        listed.publish(now, time.monotonic(), ())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--changes", type=int, default=200)
    parser.add_argument("--overlay-seconds", type=float, default=5.0)
    parser.add_argument("--compact-share", type=float, default=1.0)
    given = parser.parse_args()
    running_listed._COMPACT_SHARE = given.compact_share  # noqa: SLF001 - no setting, and none is wanted
    with tempfile.TemporaryDirectory() as name:
        path, ledger, metrics = Path(name) / "list.snapshot", MadeLedger(), Metrics()
        settings = Publish(zone=ZONE, overlay_seconds=given.overlay_seconds)
        listed = Listed(cast("Any", ledger), path, TEXTS, settings, demo=False, metrics=metrics)
        fill(listed, given.entries)
        began = time.monotonic()
        publish(listed)
        print(f"{given.entries:,} targets listed, the first snapshot published after {time.monotonic() - began:.1f} s")
        port = free_port()
        command: list[Any] = [WHIMBREL, "serve", "--snapshot", path, "--listen", f"127.0.0.1:{port}"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
            try:
                taken, longest = measure(listed, ledger, port, given.changes)
            finally:
                server.terminate()
    tell(taken, longest, metrics)


def measure(listed: Listed, ledger: MadeLedger, port: int, changes: int) -> tuple[list[float], float]:
    """Return how long each change took to be answered, and the longest turn."""
    chance, taken = random.Random(1), list[float]()
    time.sleep(10)  # the server starts
    prober = Prober(port)
    with Turning(listed) as turning:
        for number in range(changes):
            time.sleep(chance.uniform(0.02, 0.5))
            host = IPv4Address(_FIRST_CHANGED + (number << _STEP_BITS))
            began = time.monotonic()
            ledger.enter(str(host), datetime.now(UTC))
            while not prober.is_listed(host):
                time.sleep(0.002)
            taken.append(time.monotonic() - began)
    return taken, turning.longest_seconds


def tell(taken: list[float], longest: float, metrics: Metrics) -> None:
    """Print the quantiles."""
    cuts = quantiles(taken, n=100, method="inclusive")
    print("| changes | p50 | p99 | longest | longest turn | snapshots | overlays |")
    print("|---|---|---|---|---|---|---|")
    cells = " | ".join(f"{1000 * seconds:.0f} ms" for seconds in (cuts[49], cuts[98], max(taken), longest))
    counts = " | ".join(
        f"{metrics.sum(name):.0f}" for name in ("snapshots_published_total", "overlays_published_total")
    )
    print(f"| {len(taken)} | {cells} | {counts} |")
    assert np.isfinite(taken).all()


if __name__ == "__main__":
    main()
