"""Evidence as it stood: what each of a series of runs of decisions went over, read again.

A run reaches up to one batch, as far as observations were learned by one moment; neither ever goes back from run to
run.  So an observation belongs to the first run that reaches both its batch and its time.  It is left out if it was
superseded by the run's last batch, whatever became of it later.

Runs of few rows are read many at a time: a query for each of ten thousand would take minutes.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from whimbrel.evidence.layout import STORED
from whimbrel.evidence.manifest import LiveFile, Manifest, microseconds_of
from whimbrel.evidence.queries import SORTED_ROWS, Queries, undecided

_MOST_RUNS = 4_096  # read at once: bounds what is held of runs that decided nothing


class Extent(NamedTuple):
    """How far a run reached, and how many observations it decided (a guide: the rows themselves are told by reach)."""

    batch: int
    until: datetime
    rows: int = 0


NOTHING = Extent(0, datetime(1, 1, 1, tzinfo=UTC))


def in_order_of_runs(
    queries: Queries, manifest: Manifest, runs: Sequence[Extent], before: Extent
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield (index of the run, rows) in the order of runs, and of (learned_at, seen_at, id) within each."""
    with manifest.moment():
        files = manifest.files("observations")
        corrections = manifest.corrections(runs[-1].batch) if runs else []
    start = 0
    while start < len(runs):
        end, rows = start + 1, runs[start].rows
        while end < len(runs) and end - start < _MOST_RUNS and rows + runs[end].rows <= SORTED_ROWS:
            rows += runs[end].rows
            end += 1
        part, reached = runs[start:end], runs[start - 1] if start else before
        if end == start + 1:
            yield from ((start, rows) for rows in _one(queries, files, corrections, part[0], reached))
        else:
            yield from ((start + index, rows) for index, rows in _many(queries, files, corrections, part, reached))
        start = end


_Corrections = Sequence[tuple[bytes, int, bool]]


def _one(
    queries: Queries, files: Sequence[LiveFile], corrections: _Corrections, run: Extent, reached: Extent
) -> Iterator[pa.RecordBatch]:
    conditions, parameters = _conditions(run, reached)
    stands = {each: is_standing for each, batch, is_standing in corrections if batch <= run.batch}
    without = sorted(each for each, is_standing in stands.items() if not is_standing)
    files = _within(files, run, reached)
    yield from queries.in_order(conditions=conditions, parameters=parameters, files=files, without=without)


def _many(
    queries: Queries, files: Sequence[LiveFile], corrections: _Corrections, runs: Sequence[Extent], reached: Extent
) -> Iterator[tuple[int, pa.RecordBatch]]:
    conditions, parameters = _conditions(runs[-1], reached)
    schema = STORED["observations"]
    found = pa.Table.from_batches(
        queries.select(
            "observations",
            columns=None,
            conditions=conditions,
            parameters=parameters,
            files=_within(files, runs[-1], reached),
            schema=schema,
        ),
        schema,
    )
    of_run = np.maximum(
        np.searchsorted([run.batch for run in runs], found["batch"].to_numpy()),
        np.searchsorted([microseconds_of(run.until) for run in runs], found["learned_at"].cast(pa.int64()).to_numpy()),
    )
    table = found.append_column("run", pa.array(of_run))
    left_out = _superseded(table, corrections, runs)
    if left_out.any():
        table = table.filter(pa.array(~left_out))
    keys = [(name, "ascending") for name in ("run", "learned_at", "seen_at", "id")]
    table = table.sort_by(keys).combine_chunks()
    numbers, starts, counts = np.unique(table["run"].to_numpy(), return_index=True, return_counts=True)
    rows = table.drop_columns(["run", "batch"])
    for number, start, count in zip(numbers.tolist(), starts.tolist(), counts.tolist(), strict=True):
        for some in rows.slice(start, count).to_batches():
            yield number, some


def _superseded(table: pa.Table, corrections: _Corrections, runs: Sequence[Extent]) -> np.ndarray:
    """Tell of each row whether it was superseded by the last batch of its run."""
    history: dict[bytes, list[tuple[int, bool]]] = {}
    for each, batch, stands in corrections:
        history.setdefault(each, []).append((batch, stands))
    left_out = np.zeros(table.num_rows, bool)
    if not history:
        return left_out
    for row, (each, run) in enumerate(zip(table["id"].to_pylist(), table["run"].to_pylist(), strict=True)):
        by_then = [stands for batch, stands in history.get(each, ()) if batch <= runs[run].batch]
        left_out[row] = bool(by_then) and not by_then[-1]
    return left_out


def _conditions(run: Extent, reached: Extent) -> tuple[list[str], dict[str, object]]:
    conditions, parameters = undecided(reached.batch, reached.until, run.until)
    return [*conditions, "batch <= $up_to_batch"], parameters | {"up_to_batch": run.batch}


def _within(files: Sequence[LiveFile], run: Extent, reached: Extent) -> list[LiveFile]:
    return [
        file
        for file in files
        if file.first_batch <= run.batch and (file.last_batch > reached.batch or file.is_learned_after(reached.until))
    ]
