"""Which rows share a file: by day of `seen_at`, where days are few rows by month.

A Parquet file costs about half a millisecond of CPU to write whatever it holds, and old mail spreads thin: 6,294
messages over some 600 days would cost ten times as much in files as in rows.  So within one append a day with at
least `DAY_ROWS` rows has files of its own, and the thinner days of a month share one.  Terms still end by whole days:
deletion drops the files of a day and rewrites the month files that hold part of it.  Merging a month's files later
gives the days that have grown files of their own, by this same function.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whimbrel.evidence.files import fresh_name, write_parquet
from whimbrel.evidence.manifest import LiveFile, day_of
from whimbrel.model.columns import FACTS, OBSERVATIONS, SCHEMA_VERSION

# From here on a file of its own costs a day under a tenth of what its rows cost to write (measured, 5 us a row).
DAY_ROWS = 1_000
UNDATED = "undated"
_MONTH_CHARACTERS = len("2002-07")

# What is on disk: the rows, and the number of the batch that brought them, which outlives a merge of files.
BATCH_FIELD = pa.field("batch", pa.int64(), nullable=False)
STORED = {"observations": OBSERVATIONS.append(BATCH_FIELD), "facts": FACTS.append(BATCH_FIELD)}
ID_COLUMN = {"observations": "id", "facts": "message_id"}

_DAY_MICROSECONDS = 86_400_000_000


class Slice(NamedTuple):
    """Rows that go to one file."""

    partition: str
    table: pa.Table


def laid_out(kind: str, table: pa.Table) -> Iterator[Slice]:
    """Split a table of stored rows into slices, each for one file; rows in (seen_at, id) order within each."""
    order = [("seen_at", "ascending"), (ID_COLUMN[kind], "ascending")]
    ordered = table.combine_chunks().sort_by(order)  # undated rows come last
    dated = ordered.num_rows - ordered.column("seen_at").null_count
    seen_at = ordered.column("seen_at").slice(0, dated).cast(pa.int64()).to_numpy()
    pieces: dict[str, list[list[int]]] = defaultdict(list)
    start = 0
    days, counts = np.unique(seen_at // _DAY_MICROSECONDS, return_counts=True)
    for number, rows in zip(days.tolist(), counts.tolist(), strict=True):
        day = day_numbered(number).isoformat()
        ranges = pieces[day if rows >= DAY_ROWS else day[:_MONTH_CHARACTERS]]
        if ranges and ranges[-1][1] == start:
            ranges[-1][1] += rows  # one slice for neighbouring days: slicing costs more than the rows of a thin day
        else:
            ranges.append([start, start + rows])
        start += rows
    if dated < ordered.num_rows:
        pieces[UNDATED].append([dated, ordered.num_rows])
    for partition, ranges in pieces.items():
        yield Slice(partition, pa.concat_tables(ordered.slice(first, last - first) for first, last in ranges))


def write_slices(folder: Path, kind: str, table: pa.Table, written: list[Path]) -> list[LiveFile]:
    """Write stored rows to new files, entering each path in `written` beforehand; return the manifest's lines."""
    files = []
    for piece in laid_out(kind, table):
        path = folder / kind / fresh_name(piece.partition)
        written.append(path)
        size_bytes = write_parquet(path, piece.table)
        files.append(_described(kind, path.relative_to(folder).as_posix(), size_bytes, piece))
    return files


def day_numbers(table: pa.Table) -> list[int]:
    """Return the days of `seen_at` in a table, ascending, as days since 1970."""
    seen_at = table.column("seen_at").drop_null().cast(pa.int64()).to_numpy()
    numbers: list[int] = np.unique(seen_at // _DAY_MICROSECONDS).tolist()
    return numbers


def day_numbered(number: int) -> date:
    """Return the day that is so many days after 1970-01-01."""
    return day_of(number * _DAY_MICROSECONDS)


def _described(kind: str, path: str, size_bytes: int, piece: Slice) -> LiveFile:
    """Return the manifest's line about a file just written."""
    seen_first, seen_last = _bounds(piece.table, "seen_at")
    learned_first, learned_last = _bounds(piece.table, "learned_at")
    batches = pc.min_max(piece.table.column("batch")).as_py()
    return LiveFile(
        path=path,
        kind=kind,
        partition=piece.partition,
        rows=piece.table.num_rows,
        bytes=size_bytes,
        schema_version=SCHEMA_VERSION,
        first_batch=batches["min"],
        last_batch=batches["max"],
        seen_first=seen_first,
        seen_last=seen_last,
        learned_first=learned_first,
        learned_last=learned_last,
    )


def _bounds(table: pa.Table, column: str) -> tuple[int | None, int | None]:
    if column not in table.column_names:
        return None, None
    ends = pc.min_max(table.column(column).cast(pa.int64()))
    return ends["min"].as_py(), ends["max"].as_py()
