"""Ingest by the real command: messages per CPU-second, by stage, in memory, and beside the peers of `peers.py`.

    python bench/throughput.py [--count N] [--repeats K]

Two corpora: the mail that ships, and N messages made from it (`corpus.py`; default 100,000).  For each it prints

- the whole path, `whimbrel ingest --jobs 2`: processor time of all its processes, wall time, peak memory;
- the peers over the same files (the first 6,294 messages of the made ones);
- microseconds of processor time a message by stage, in one process;
- and, at the end, memory at 1,000, 10,000 ... N made messages.

Figures of the shipped mail are medians of K runs (the spread is printed), those of made mail are of one run.  The
machine's speed is in all figures alike: compare the ratios.
"""

# ruff: noqa: E402 - the project's folder is put on the path before `bench` is imported
import argparse
import ctypes
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # so that `bench` is found when run as a script

from bench.peers import SAMPLE, Peer, Rate, messages_of, peers, show

from whimbrel.evidence import Evidence
from whimbrel.model.reading import Reading
from whimbrel.pipeline.analyse import analyse
from whimbrel.pipeline.decide import decide
from whimbrel.pipeline.reading import read_work
from whimbrel.pipeline.settle import settle
from whimbrel.pipeline.work import Work
from whimbrel.sensors.labels import Labels
from whimbrel.sensors.mailfiles import Chunk, open_sources

MAIL = HERE.parent / "samples" / "mail" / "spamassassin.tar.xz"
MADE_LABELS = "spam spam\nham ham\n"  # the folders of a made tar
WHIMBREL = Path(sys.executable).with_name("whimbrel")
JOBS = 2
GOAL = 5.0  # times rspamd's messages per CPU-second
SIZES = (1_000, 10_000)  # of the memory table, with the size asked for
RUN_SECONDS = 600.0
SAMPLE_SECONDS = 0.2
_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_KIB, _MIB = 1 << 10, 1 << 20


class Corpus(NamedTuple):
    """Mail and its labels."""

    name: str
    mail: Path
    labels: Path


class Run(NamedTuple):
    """One ingest: how fast, and the most memory that all its processes, and the parent alone, held at once."""

    rate: Rate
    tree_bytes: int
    parent_bytes: int
    summary: dict[str, object]


# The whole path


def ingest(corpus: Corpus, data: Path) -> Run:
    """Run the real command on a corpus into an empty folder and measure all of its processes."""
    command: list[str | Path] = [
        WHIMBREL,
        "ingest",
        corpus.mail,
        "--labels",
        corpus.labels,
        "--data",
        data,
        "--jobs",
        str(JOBS),
        "--json",
    ]
    before, start = _children_cpu(), time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    with _watching(process.pid) as watch:
        limit = threading.Timer(RUN_SECONDS, os.killpg, (process.pid, signal.SIGKILL))
        limit.start()
        out, _ = process.communicate()
        limit.cancel()
    wall = time.perf_counter() - start
    _reap_all()
    if process.returncode != 0:
        raise SystemExit(f"throughput: whimbrel ingest of {corpus.name} ended with {process.returncode}")
    summary = json.loads(out)
    rate = Rate(int(summary["read"]), _children_cpu() - before, wall)
    return Run(rate, watch.tree_bytes, watch.parent_bytes, summary)


def adopt_orphans() -> None:
    """Become the parent of what a command leaves behind: its fork server and readers are then counted when they end."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _reap_all() -> None:
    try:
        while True:
            os.wait()
    except ChildProcessError:
        return


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class _Watch:
    """The most memory seen; resident sizes are summed, so pages that processes share count once for each."""

    def __init__(self, session: int) -> None:
        self._session = session
        self.tree_bytes = self.parent_bytes = 0

    def look(self) -> None:
        total = 0
        for path in Path("/proc").glob("[0-9]*"):
            try:
                fields = (path / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == self._session:
                    total += int(fields[21]) * _PAGE_BYTES
            except OSError:  # it ended while we looked
                continue
        self.tree_bytes = max(self.tree_bytes, total)
        try:
            status = Path(f"/proc/{self._session}/status").read_text()
        except OSError:
            return
        peaks = [int(line.split()[1]) * _KIB for line in status.splitlines() if line.startswith("VmHWM:")]
        self.parent_bytes = max(self.parent_bytes, *peaks, 0)


@contextmanager
def _watching(session: int) -> Iterator[_Watch]:
    watch, ended = _Watch(session), threading.Event()

    def keep_looking() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            watch.look()

    thread = threading.Thread(target=keep_looking)
    thread.start()
    try:
        yield watch
    finally:
        ended.set()
        thread.join()


# By stage


class Stages:
    """Processor time by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Count the time within as the stage's."""
        start = time.process_time()
        try:
            yield
        finally:
            self.seconds[name] += time.process_time() - start


def by_stage(corpus: Corpus, data: Path) -> tuple[int, dict[str, float]]:
    """Do what `pipeline.ingest` does, in one process; return the messages and each stage's seconds."""
    stages, labels = Stages(), Labels.load(str(corpus.labels))
    encode, works_of = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(list[Work]).decode
    readings_of = msgspec.msgpack.Decoder(list[Reading]).decode
    chunks = iter(open_sources([str(corpus.mail)]).chunks(lambda _: False))
    messages = 0
    with Evidence.open(data, write=True) as store:
        while True:
            with stages.timed("open files, unpack, split"):
                chunk = next(chunks, None)
            if chunk is None:
                break
            with stages.timed("transfer to and from readers"):
                works = works_of(encode(_works(chunk, labels)))
            with stages.timed("read messages and traces"):
                readings = [read_work(work) for work in works]
            with stages.timed("transfer to and from readers"):
                readings = readings_of(encode(readings))
            with stages.timed("stage"):
                store.stage(chunk.key, "mail", readings)
            messages += len(readings)
        _after_reading(store, data, stages)
    return messages, stages.seconds


def _works(chunk: Chunk, labels: Labels) -> list[Work]:
    works = []
    for item in chunk.items:
        label, basis = labels.label_of(item.location) or ("unknown", None)
        works.append(Work(item.location, label, basis, item.envelope, item.content))
    return works


def _after_reading(store: Evidence, data: Path, stages: Stages) -> None:
    steps: dict[str, Callable[[], object]] = {
        "settle": lambda: settle(store, "mail"),
        "analyse": lambda: analyse(store),
        "decide": lambda: decide(store, data, datetime.now(UTC)),
        "compact": store.compact,
    }
    for name, step in steps.items():
        with stages.timed(name):
            step()


# The report


def make(count: int, folder: Path) -> Corpus:
    """Make a corpus of `count` messages."""
    mail, labels = folder / f"made-{count}.tar", folder / "labels"
    subprocess.run([sys.executable, HERE / "corpus.py", "--count", str(count), "--out", mail], check=True)
    # An index's lines match inside an archive by their tails, so one index serves all made corpora.
    labels.write_text(MADE_LABELS)
    return Corpus(f"{count:,} made messages", mail, labels)


def report(corpus: Corpus, repeats: int) -> Run:
    """Measure a corpus and print its tables; return the run of median processor time."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        runs = [ingest(corpus, folder / f"run-{number}") for number in range(repeats)]
        runs.sort(key=lambda run: run.rate.cpu_seconds)
        middle = runs[len(runs) // 2]
        sample = messages_of([str(corpus.mail)], SAMPLE)
        measured = peers(sample)
        print(f"\n{corpus.name} ({sum(map(len, sample)) / max(1, len(sample)):,.0f} bytes on average)")
        show([Peer("whimbrel ingest", middle.rate), *measured])
        _show_spread(runs)
        _show_ratios(middle.rate, measured)
        _show_stages(*by_stage(corpus, folder / "stages"), middle.rate)
    return middle


def _show_spread(runs: Sequence[Run]) -> None:
    if len(runs) > 1:
        rates = [run.rate.per_cpu_second for run in runs]
        print(f"whimbrel: median of {len(runs)} runs, which differ by {_spread(rates):.1%}; peers: one run each")
    else:
        print("one run each")


def _spread(values: Sequence[float]) -> float:
    return (max(values) - min(values)) / statistics.median(values)


def _show_ratios(whole: Rate, measured: Sequence[Peer]) -> None:
    for name, rate in measured:
        if isinstance(rate, Rate):
            ratio = whole.per_cpu_second / rate.per_cpu_second
            goal = f"  (goal >= {GOAL:g}: {'reached' if ratio >= GOAL else 'MISSED'})" if "rspamd" in name else ""
            print(f"whole path / {name:<20} {ratio:6.2f} x messages per CPU-second{goal}")


def _show_stages(messages: int, seconds: dict[str, float], whole: Rate) -> None:
    print(f"{'stage':<30} {'us CPU/msg':>11} {'share':>7}")
    total = sum(seconds.values())
    for name, spent in seconds.items():
        print(f"{name:<30} {spent / max(1, messages) * 1e6:>11.1f} {spent / total:>7.1%}")
    print(f"{'sum, one process':<30} {total / max(1, messages) * 1e6:>11.1f}")
    print(f"{'the command, all processes':<30} {1e6 / whole.per_cpu_second:>11.1f}")


def _show_memory(runs: Sequence[Run]) -> None:
    heads = f"{'parent MiB':>11} {'all MiB':>9} {'CPU s':>8} {'wall s':>8} {'msg/CPU s':>10}"
    print(f"\n{'memory, peak':<14} {'messages':>9} {heads}")
    for run in runs:
        rate = run.rate
        print(
            f"{'':<14} {rate.messages:>9,} {run.parent_bytes / _MIB:>11.0f} {run.tree_bytes / _MIB:>9.0f}"
            f" {rate.cpu_seconds:>8.1f} {rate.wall_seconds:>8.1f} {rate.per_cpu_second:>10,.0f}"
        )
    print(f"all: the command, its fork server and {JOBS} readers, resident; what they share counts once for each")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000, help="made messages")
    parser.add_argument("--repeats", type=int, default=3, help="runs over the shipped mail")
    given = parser.parse_args()
    adopt_orphans()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start, --jobs {JOBS}")
    report(Corpus("shipped mail", MAIL, MAIL.with_name("labels")), max(1, given.repeats))
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        sizes = [size for size in SIZES if size < given.count]
        runs = [ingest(make(size, folder), folder / f"store-{size}") for size in sizes]
        runs.append(report(make(given.count, folder), 1))
    _show_memory(runs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
