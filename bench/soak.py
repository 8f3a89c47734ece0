"""The service for an hour: mail, queries, publishes, expiry.  Nothing lost, no wrong answer, nothing that grows.

    make soak                  an hour
    make soak MINUTES=5
    make soak MINUTES=15 RATE=16    messages a second; what grows with messages shows sooner

Beforehand listings are made whose terms end one after the other meanwhile.  Then mail comes from a fixed set of hosts,
spam and some ham, so that what the service remembers has a bound; queries of every kind come without a pause.  Each
answer is compared, byte for byte, with what the clear reference (`nameserver.answer`) says from the snapshots that were
in place when it was given.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dns.message
import dns.query
from bench.service import WHIMBREL, ZONE, Service, deliver, message, running

from whimbrel.errors import SnapshotError
from whimbrel.evidence import Evidence
from whimbrel.listings.settings import OWN
from whimbrel.nameserver import answer
from whimbrel.wire.snapshot import Overlay, Snapshot, overlay_path

HOSTS = 2_000  # that mail comes from
MAILS_A_SECOND = 4.0
SEEDED = 20_000  # hosts whose listings end meanwhile, or soon after
SAMPLE_SECONDS = 5.0
# How far a figure may be above what it was in the second quarter, in the last: an allocator's slack, not a leak.
GROWTH = 1.10
# Merged files stay for an hour, so this grows for the first hour by design, and is printed only.
DEAD_FOR_AN_HOUR = "files on disk"


def seed(data_dir: Path, seconds: float) -> None:
    """List hosts as they were listed a term ago: their listings end over the soak and a quarter of it beyond."""
    began = datetime.now(UTC) - timedelta(seconds=OWN.static_term_seconds) + timedelta(seconds=20)
    rows = data_dir.parent / "seed.jsonl"
    with rows.open("w") as file:
        for number in range(SEEDED):
            at = began + timedelta(seconds=1.25 * seconds * number / SEEDED)
            row = {
                "seen_at": at.isoformat().replace("+00:00", "Z"),
                "sensor": "mx1", "host": f"77.{number // 250}.{number % 250}.9", "kind": "message", "label": "spam",
                "count": 3, "helo": "mail.example.net", "rdns": "mail.example.net",
            }  # fmt: skip
            file.write(json.dumps(row) + "\n")
    then = (began + timedelta(seconds=2 * seconds)).isoformat()  # when all of them were learned
    asked = [str(WHIMBREL), "observe", str(rows), "--profile", "own", "--data", str(data_dir), "--now", then]
    subprocess.run(asked, capture_output=True, check=True)


class Asking(threading.Thread):
    """Asks without a pause, and compares each answer with the reference."""

    def __init__(self, service: Service, snapshot: Path, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._service = service
        self._path = snapshot
        self._ends = stop
        self._recent: deque[Snapshot] = deque(maxlen=24)  # what may be in force: a second of publishing
        self._chance = random.Random(3)

    def run(self) -> None:
        """Ask until told to stop."""
        while not self._ends.is_set():
            query = self._query()
            self._look()
            packet = query.to_wire()
            before = int(time.time())
            try:
                found = dns.query.udp(query, "127.0.0.1", port=self._service.port, timeout=10).to_wire()
            except Exception as error:  # noqa: BLE001 - counted as lost
                self.counts["lost"] += 1
                self.wrong.append(f"{query.question[0]}: {error}")
                continue
            self._look()
            times = range(before - 1, int(time.time()) + 2)
            right = {self._said(packet, snapshot, now) for snapshot in self._recent for now in times}
            self.counts["asked"] += 1
            if dns.message.from_wire(found).to_text() not in right:
                self.counts["wrong"] += 1
                self.wrong.append(dns.message.from_wire(found).to_text())

    def _said(self, packet: bytes, snapshot: Snapshot, now: int) -> str:
        told = answer(packet, snapshot, now, tcp=False)
        return "" if told is None else dns.message.from_wire(told).to_text()

    def _look(self) -> None:
        """Take note of what is published: a name that changed only once since the last look is one of the two."""
        snapshot = Snapshot(self._path.read_bytes())
        with suppress(FileNotFoundError, SnapshotError):  # none, or of the snapshot before or after
            snapshot = snapshot.overlaid(Overlay(overlay_path(self._path).read_bytes()))
        last = self._recent[-1] if self._recent else None
        if last is None or _state(last) != _state(snapshot):
            self._recent.append(snapshot)

    def _query(self) -> dns.message.Message:
        chance = self._chance
        host = chance.choice(
            (
                f"77.{chance.randrange(SEEDED) // 250}.{chance.randrange(250)}.9",
                f"93.{chance.randrange(HOSTS) // 250}.{chance.randrange(250)}.7",
                f"{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(256)}",
                "127.0.0.2",
            )
        )
        name = ".".join(reversed(host.split(".")[: chance.choice((4, 4, 4, 3, 2))]))
        return dns.message.make_query(f"{name}.{ZONE}.", chance.choice(("A", "A", "A", "TXT", "SOA")))


def _state(snapshot: Snapshot) -> tuple[int, int]:
    return snapshot.serial, 0 if snapshot.overlay is None else snapshot.overlay.number


def mailing(folder: Path, rate: float, stop: threading.Event) -> int:
    """Deliver `rate` messages a second until told to stop; return how many messages."""
    chance = random.Random(2)
    number = 0
    while not stop.wait(chance.expovariate(rate)):
        host = chance.randrange(HOSTS)
        peer = f"93.{host // 250}.{host % 250}.7"
        place = "ham" if chance.random() < 0.05 else "Maildir"
        deliver(folder / place, f"{number}.soak", message(number, peer, datetime.now(UTC)))
        number += 1
    return number


def sampled(service: Service, data_dir: Path) -> dict[str, float]:
    """Return what must not grow: memory and open files of both processes, files of the store."""
    figures: dict[str, float] = {}
    for name, pid in (("control", service.pid), ("name server", service.name_server)):
        status = Path(f"/proc/{pid}/status").read_text()
        figures[f"{name} MB"] = int(status.partition("VmRSS:")[2].split()[0]) / 1024
        figures[f"{name} files"] = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    with Evidence.open(data_dir) as store:
        counts = store.counts()
    figures["live files"] = counts.observations.files + counts.facts.files
    figures[DEAD_FOR_AN_HOUR] = len(list((data_dir / "evidence").rglob("*.parquet")))
    return figures


def main() -> None:
    """Soak, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=MAILS_A_SECOND, help="messages a second")
    given = parser.parse_args()
    seconds = 60 * given.minutes
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data_dir = folder / "data"
        for each in ("new", "cur", "tmp"):
            (folder / "ham" / each).mkdir(parents=True)
        seed(data_dir, seconds)
        ham = '[[watch]]\npath = "ham"\nsensor = "mx1"\nlabel = "ham"\ntrust = ["192.0.2.0/24"]\n'
        settings = f"{ham}[cycle]\nanalyse_seconds = {max(10.0, seconds / 60)}"
        with running(folder, settings=settings) as service:
            told = soak(service, folder, data_dir, seconds, given.rate)
        tell(told, data_dir, seconds)


class Told:
    """What a soak saw."""

    def __init__(self) -> None:
        self.samples: list[dict[str, float]] = []
        self.mailed = 0
        self.asking: Asking | None = None
        self.metrics: dict[str, float] = {}


def soak(service: Service, folder: Path, data_dir: Path, seconds: float, rate: float) -> Told:
    """Keep the service busy, and look at it now and then."""
    told, stop = Told(), threading.Event()
    told.asking = Asking(service, data_dir / "list.snapshot", stop)
    told.asking.start()

    def mail() -> None:
        told.mailed = mailing(folder, rate, stop)

    mails = threading.Thread(target=mail, daemon=True)
    mails.start()
    due = time.monotonic() + seconds
    while time.monotonic() < due:
        time.sleep(SAMPLE_SECONDS)
        told.samples.append(sampled(service, data_dir))
    stop.set()
    mails.join()
    told.asking.join()
    patience = time.monotonic() + 30
    while time.monotonic() < patience:
        told.metrics = service.metrics()
        if total(told.metrics, "whimbrel_messages_total") >= told.mailed:
            break
        time.sleep(1)
    return told


def total(metrics: dict[str, float], name: str) -> float:
    """Return a metric's value over all labels."""
    return sum(value for key, value in metrics.items() if key.partition("{")[0] == name)


def tell(told: Told, data_dir: Path, seconds: float) -> None:
    """Print what was seen; end with an error where something is not as it should be."""
    assert told.asking is not None
    with Evidence.open(data_dir) as store:
        kept = store.counts().facts.rows
    counts, quarter = told.asking.counts, max(1, len(told.samples) // 4)
    expired = told.metrics.get('whimbrel_events_total{change="expired"}', 0)
    published = told.metrics.get("whimbrel_snapshots_published_total", 0)
    overlays = told.metrics.get("whimbrel_overlays_published_total", 0)
    faults = total(told.metrics, "whimbrel_faults_total")
    print(f"{seconds / 60:.0f} minutes: {told.mailed:,} messages, {told.mailed - kept:,} of them lost")
    print(f"{counts['asked']:,} queries, {counts['lost']} without an answer, {counts['wrong']} wrong answers")
    print(f"{published:,.0f} snapshots, {overlays:,.0f} overlays, {expired:,.0f} listings ended, {faults:.0f} faults")
    print("\n| highest | in the second quarter | in the last |\n|---|---|---|")
    grown = []
    for figure in told.samples[0]:
        parts = told.samples[quarter : 2 * quarter] or told.samples, told.samples[-quarter:]
        first, last = (max(sample[figure] for sample in part) for part in parts)
        print(f"| {figure} | {first:,.0f} | {last:,.0f} |")
        if last > GROWTH * first + 3 and figure != DEAD_FOR_AN_HOUR:
            grown.append(figure)
    for text in told.asking.wrong[:3]:
        print(text, file=sys.stderr)
    problems = [name for name, is_so in (("lost", told.mailed != kept), ("wrong", counts["wrong"] + counts["lost"]),
                                         ("nothing ended", not expired), ("faults", faults)) if is_so]  # fmt: skip
    if problems or grown:
        raise SystemExit(f"not as it should be: {', '.join([*problems, *grown])}")


if __name__ == "__main__":
    main()
