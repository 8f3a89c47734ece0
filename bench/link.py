"""The link test on worlds with planted truth: false alarms, power, calibration, placebos, many pairs, size.

    python bench/link.py [report] [--section NAME ...] [--runs N] [--minutes M] [--out FILE] [--diagram FILE.svg]

Each run is one line of FILE (build/bench-link.jsonl), keyed by section, world, settings and seed; what is there is not
run again, so this may be stopped and called again at will.  `report` prints tables of whatever is there, and runs
nothing.  Runs go round over the worlds of a section, so that all of them have some at any time; each section gets its
share of the minutes, and what it leaves goes to the next ones.  FILE begins with the runs in bench/results, which the
documents quote (`code` says by which version each was made); with --fresh, empty.

Sections: null (`linked` at any of 26 weekly looks where there is no link), looks (one pass against weekly calls, equal
bit for bit), against ("evidence against", false and true), power, efficiency (units for 80 % power over those of the
exact test), calibration (on the second generator), placebo,
shipped (placebos on the mail that ships), many (e-BH over 50 x 200 pairs), lines (through text and
the command line), size (seconds and memory), huge (100 M observations; only where it is asked for: half an hour).
"""

# ruff: noqa: E402 - the project's folder is put on the path before `bench` is imported
import argparse
import hashlib
import json
import lzma
import multiprocessing
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice, product
from pathlib import Path
from typing import Any, Final, NamedTuple

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # so that `bench` is found when run as a script

from bench.link_diagram import diagram
from bench.link_runs import WORLDS, Task, run
from bench.link_tables import Line, tables

OUT = HERE.parent / "build" / "bench-link.jsonl"
RECORDED = HERE / "results" / "link.jsonl.xz"
PROCESSES = 2
_PACKS_A_PROCESS = 100  # then a new one: DuckDB keeps what it was given
_OFTENER = 4  # points for which a goal is set get so many times the runs of other points
# Its first 500 runs (18 false) could not tell 3.6 % from 5 %; decision 0002 said how many more before any of them ran.
_ASKED_AGAIN, _TIMES = ("null-quiet-and-chatty", "1.25"), 3

POWER_UNITS: Final = (250, 1_000, 2_500, 10_000)
POWER_RATIOS: Final = (1.5, 2, 3, 5)
POWER_RATES: Final = (0.003, 0.01, 0.03)
_GOALS: Final = ("units=2500 odds_ratio=2 base_rate=0.03", "units=2500 odds_ratio=3 base_rate=0.03")
# Around the units at which either test has a power of 80 %.
EFFICIENCY_UNITS: Final = {2: (400, 700, 1_000, 1_400, 2_000, 2_800), 3: (100, 160, 240, 350, 500, 700)}
LINKED_WORLDS: Final = (
    "linked-or-2",
    "linked-or-3",
    "linked-or-5",
    "linked-or-10",
    "linked-churn",
    "linked-every-confounder",
    "linked-rented-bundle",
)
SHIPPED: Final = "shipped-mail"  # no world: observations of real mail
SHIPPED_DRAWS: Final = (
    ("random infected=0.1 network=24", _OFTENER),
    ("random infected=1 network=24", _OFTENER),
    ("random infected=1 network=8", _OFTENER),
    ("planted infected=1 network=24 share=1", 1),
    ("planted infected=1 network=8 share=1", 1),
    ("planted infected=1 network=8 share=0.5", 1),
    ("planted infected=1 network=8 share=0.25", 1),
)


class Section(NamedTuple):
    """How many runs a point gets, which share of the minutes the section has, and how many runs share a pass."""

    runs: int
    share: float
    pack: int = 1
    processes: int = PROCESSES


SECTIONS: Final = {
    "null": Section(1500, 0.55, pack=4),  # 500 a world
    "looks": Section(1, 0.02),
    "against": Section(150, 0.07),
    "power": Section(200, 0.08, pack=4),
    "efficiency": Section(200, 0.04, pack=10),
    "calibration": Section(60, 0.03, pack=4),
    "placebo": Section(100, 0.04, pack=4),
    "shipped": Section(500, 0.03, pack=20),
    "many": Section(200, 0.12),
    "lines": Section(10, 0.03),
    "size": Section(1, 0.02, processes=1),
    "huge": Section(1, 0.0, processes=1),
}
DEFAULT_SECTIONS: Final = tuple(name for name, section in SECTIONS.items() if section.share)


def points(section: str) -> Iterator[tuple[str, str, int]]:
    """Yield (world, settings, how often: 1 or more) of a section."""
    nulls = sorted(path.stem for path in WORLDS.glob("null-*.toml"))
    if section == "null":
        for point in product(nulls, ("1", "1.25")):
            yield point[0], f"odds_ratio={point[1]}", _TIMES if point == _ASKED_AGAIN else 1
    elif section == "looks":
        yield from ((world, "odds_ratio=1", 1) for world in nulls)
    elif section == "against":
        yield "against", "odds_ratio=1", 1
        yield from ((world, "", 1) for world in LINKED_WORLDS)
        yield "linked-or-2", "churn=0.5 mislabelled=0.1", 1
        yield from (("against", f"odds_ratio={ratio} churn=0.5 mislabelled=0.1", 1) for ratio in ("1.5", "2"))
    elif section == "power":
        yield "linked-churn", "", _OFTENER
        yield "linked-every-confounder", "", _OFTENER
        for units in POWER_UNITS:
            for ratio in POWER_RATIOS:
                for rate in POWER_RATES:
                    change = f"units={units} odds_ratio={ratio} base_rate={rate}"
                    wide = " networks=4000" if units == POWER_UNITS[-1] else ""
                    yield "power", change + wide, _OFTENER if change in _GOALS else 1
    elif section == "efficiency":
        for ratio, counts in EFFICIENCY_UNITS.items():
            yield from (("power", f"units={units} odds_ratio={ratio} base_rate=0.03", 1) for units in counts)
    elif section == "lines":
        yield from ((world, "odds_ratio=1", 1) for world in nulls)
        yield from ((world, "", 1) for world in LINKED_WORLDS)
    elif section == "huge":
        yield "big", "units=200000 networks=65536", 1
    elif section == "calibration":
        yield "second-generator", "", 1
    elif section == "placebo":
        kinds = ("campaigns_swapped", "dates_shifted")
        yield from ((world, kind, 1) for world in LINKED_WORLDS for kind in kinds)
    elif section == "shipped":
        yield from ((SHIPPED, settings, often) for settings, often in SHIPPED_DRAWS)
    elif section == "many":
        yield "many-pairs", "", 1
    elif section == "size":
        yield from (("big", change, 1) for change in ("units=2000", ""))


def tasks(section: str, runs: int) -> list[Task]:
    """Return the section's runs: round and round over its points, those with a goal more often."""
    ranked = []
    for place, (world, settings, often) in enumerate(points(section)):
        most = max(often for _, _, often in points(section))
        count = max(1, runs * often // most)
        ranked += [((seed - 1) / often, place, Task(section, world, settings, seed)) for seed in range(1, count + 1)]
    return [task for _, _, task in sorted(ranked)]


def packs(wanted: Iterable[Task], size: int) -> list[list[Task]]:
    """Return the runs in packs of one point each, in the order of their first runs."""
    found: list[list[Task]] = []
    filling: dict[tuple[str, str], list[Task]] = {}
    for task in wanted:
        pack = filling.get((task.world, task.settings))
        if pack is None or len(pack) == size:
            pack = filling[task.world, task.settings] = []
            found.append(pack)
        pack.append(task)
    return found


def stored(path: Path) -> list[Line]:
    """Return the lines of the file; a last line that was cut short is left out."""
    found: list[Line] = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            found.append(json.loads(text))
        except json.JSONDecodeError:
            continue
    return found


def code() -> str:
    """Return a digest of what is measured: the link test, the worlds and their files, the second generator."""
    root, digest = HERE.parent, hashlib.sha256()
    patterns = ("src/whimbrel/analysis/links/*.py", "src/whimbrel/worlds/*.py", "worlds/*.toml", "bench/second_*.py")
    for path in sorted(path for pattern in patterns for path in root.glob(pattern)):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def prepare() -> None:
    """Give each process one thread of DuckDB: the processes are as many as the cores."""
    import ibis  # noqa: PLC0415 - in the worker only

    ibis.set_backend(ibis.duckdb.connect(threads=1))


def timed(pack: list[Task]) -> tuple[list[Any], float]:
    """Run in a worker, with the seconds of processor time of a run."""
    start = time.process_time()
    results = run(pack)
    return results, (time.process_time() - start) / len(pack)


def work(wanted: Iterable[list[Task]], processes: int, until: float, path: Path) -> tuple[int, int]:
    """Do packs of runs until the time is over, appending each run; return how many were done, and how many failed."""
    left, done, failed, version = iter(wanted), 0, 0, code()
    context = multiprocessing.get_context("spawn")
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = not path.exists() or path.read_bytes()[-1:] in {b"\n", b""}
    with (
        path.open("a", encoding="utf-8") as file,
        ProcessPoolExecutor(processes, context, prepare, max_tasks_per_child=_PACKS_A_PROCESS) as pool,
    ):
        file.write("" if whole else "\n")
        running: dict[Future[tuple[list[Any], float]], list[Task]] = {}
        while True:
            if time.monotonic() < until:
                running |= {pool.submit(timed, pack): pack for pack in islice(left, processes - len(running))}
            if not running:
                return done, failed
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                pack = running.pop(future)
                try:
                    results, seconds = future.result()
                except Exception as error:  # noqa: BLE001 - a crash is a finding: said, counted, and not stored
                    print(f"failed: {pack}: {error!r}", file=sys.stderr)
                    failed += len(pack)
                    continue
                for task, result in zip(pack, results, strict=True):
                    line = {**task._asdict(), "code": version, "seconds": round(seconds, 3), "result": result}
                    file.write(json.dumps(line) + "\n")
                file.flush()
                done += len(pack)


def main() -> int:
    """Run what is missing, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", nargs="?", choices=["run", "report"], default="run")
    parser.add_argument("--section", choices=list(SECTIONS), action="append", help="only this one (may be repeated)")
    parser.add_argument("--runs", type=int, help="runs a point at most (default: by section)")
    parser.add_argument("--minutes", type=float, default=150.0)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--diagram", type=Path, help="write the reliability diagram here, as SVG")
    parser.add_argument("--fresh", action="store_true", help="do not begin with the runs recorded in bench/results")
    given = parser.parse_args()
    if not given.fresh and not given.out.exists():
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_bytes(lzma.decompress(RECORDED.read_bytes()))
    sections = {name: SECTIONS[name] for name in given.section or DEFAULT_SECTIONS}
    failed = 0
    if given.action == "run":
        end = time.monotonic() + given.minutes * 60
        shares = sum(section.share for section in sections.values()) or 1.0
        for name, section in sections.items():
            there = {tuple(line[field] for field in Task._fields) for line in stored(given.out)}
            wanted = [task for task in tasks(name, given.runs or section.runs) if tuple(task) not in there]
            left = end - time.monotonic()
            until = time.monotonic() + max(0.0, left) * (section.share / shares if section.share else 1.0)
            shares -= section.share
            start = time.monotonic()
            done, bad = work(packs(wanted, section.pack), section.processes, until, given.out)
            failed += bad
            spent = time.monotonic() - start
            print(f"{name}: {done} of {len(wanted)} missing runs done in {spent:.0f} s", file=sys.stderr, flush=True)
    if given.diagram is not None:
        told = [line["result"] for line in stored(given.out) if line["section"] == "calibration"]
        given.diagram.write_text(diagram([pair for one in told for pair in one["pairs"]]), encoding="utf-8")
    print(tables([line for line in stored(given.out) if line["section"] in sections]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
