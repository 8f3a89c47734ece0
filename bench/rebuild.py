"""Rebuilding a ledger: N made observations, decided in K runs as they came, then decided again and compared.

    python bench/rebuild.py [--count N] [--runs K] [--folder DIR]

Made are messages to two sensors over 60 days, in order of time with a few late ones: hosts of unlike zeal (Zipf) in
networks that are clean or not.  Prints seconds and events; ends with 1 where anything differs.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from whimbrel.evidence import Evidence
from whimbrel.listings.ledger import Ledger
from whimbrel.model.columns import INSTANT, OBSERVATIONS
from whimbrel.pipeline.decide import Deciding
from whimbrel.pipeline.places import ledger_place
from whimbrel.pipeline.rebuild import rebuild

START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 60
GOAL_SECONDS = 60.0
_ZEAL = 1.3  # exponent of Zipf's law
_LATE = 0.02  # share of observations learned up to two days after they happened


def made(count: int, runs: int, seed: int = 1) -> Iterator[pa.Table]:
    """Yield `count` observations in as many batches as there are runs, in order of `learned_at`."""
    random = np.random.default_rng(seed)
    span = DAYS * 86_400_000_000
    learned = np.sort(random.integers(0, span, count))
    seen = learned - np.where(random.random(count) < _LATE, random.integers(0, 2 * 86_400_000_000, count), 0)
    hosts = np.minimum(random.zipf(_ZEAL, count), count // 6) * 2_654_435_761 % (1 << 24)
    is_spam = random.random(count) < np.where((hosts >> 8) % 5 == 0, 0.02, 0.98)
    ids = random.bytes(16 * count)
    epoch = int((START - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))
    for rows in np.array_split(np.arange(count), runs):
        first, last = int(rows[0]), int(rows[-1]) + 1
        part = slice(first, last)
        size = last - first
        columns = {field.name: pa.nulls(size, field.type) for field in OBSERVATIONS}
        columns |= {
            "id": pa.FixedSizeBinaryArray.from_buffers(
                pa.binary(16), size, [None, pa.py_buffer(ids[16 * first : 16 * last])]
            ),
            "seen_at": pa.array(seen[part] + epoch).cast(INSTANT),
            "learned_at": pa.array(learned[part] + epoch).cast(INSTANT),
            "sensor": pa.array(np.where(hosts[part] % 2, "mx1", "mx2")),
            "host": pa.array([f"24.{host >> 16}.{host >> 8 & 255}.{host & 255}" for host in hosts[part].tolist()]),
            "kind": pa.repeat("message", size),
            "label": pa.array(np.where(is_spam[part], "spam", "ham")),
            "label_basis": pa.repeat("given", size),
            "received_below": pa.array(np.zeros(size, np.int32)),
            "helo": pa.array([f"mail{host & 255}.example.net" for host in hosts[part].tolist()]),
            "count": pa.array(np.ones(size, np.int64)),
        }
        yield pa.table(columns, schema=OBSERVATIONS)


def fill(data_dir: Path, count: int, runs: int) -> int:
    """Make a store, decided run by run; return its events."""
    events = 0
    with Evidence.open(data_dir, write=True) as store, Deciding.open(data_dir, "own") as deciding:
        for table in made(count, runs):
            with store.batch("made") as batch:
                batch.observations(table)
            events += deciding.decide(store, table["learned_at"][-1].as_py()).events
        store.compact()
    return events


def main() -> None:
    """Measure once and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    data_dir = asked.folder or Path(tempfile.mkdtemp(prefix="bench-rebuild-"))
    try:
        start = time.perf_counter()
        events = fill(data_dir, asked.count, asked.runs)
        print(f"{asked.count:,} observations, {asked.runs:,} runs, {events:,} events: {_since(start):.1f} s to make")
        ok = True
        for name, write in (("compared", False), ("mended", True)):
            if write:
                _damage(data_dir)
            start, cpu = time.perf_counter(), time.process_time()
            done = rebuild(data_dir, write=write)
            seconds, cpu = _since(start), time.process_time() - cpu
            ok = ok and done.observations == asked.count and (done.list_same and done.state_same) != write
            print(f"rebuilt and {name}: {seconds:.1f} s (goal {GOAL_SECONDS:.0f} s), {cpu:.1f} s of processor; {done}")
    finally:
        if asked.folder is None:
            shutil.rmtree(data_dir)
    sys.exit(not ok)


def _damage(data_dir: Path) -> None:
    import sqlalchemy as sql  # noqa: PLC0415 - only here

    with Ledger.open(ledger_place(data_dir), "append") as ledger, ledger._found.writing() as connection:  # noqa: SLF001
        for table in ("listing", "state"):
            connection.execute(sql.text(f"DELETE FROM {table}"))


def _since(start: float) -> float:
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
