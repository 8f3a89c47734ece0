"""Observations that others made: lines in, and the same analysis and decisions as for mail.

A file is one batch: with an error too many, nothing of it is kept.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple

from whimbrel.evidence import Evidence
from whimbrel.model.observation import Observation
from whimbrel.pipeline.analyse import Analysed, analyse
from whimbrel.pipeline.decide import Decided, check_profile, decide
from whimbrel.sensors.observed import LineError, open_lines, read_observations, to_columns

# Rows turned into columns at once: a constant part of memory, and enough that columns pay.
_BATCH_ROWS = 20_000


class Observed(NamedTuple):
    """What was read: observations new to the store, those it knew, lines with errors, and what each step reports."""

    new: int
    known: int
    errors: int
    analysed: Analysed
    decided: Decided


def observe(
    data_dir: Path,
    path: str,
    now: datetime,
    *,
    profile: str | None = None,
    max_errors: int = 0,
    on_error: Callable[[LineError], None] = lambda _: None,
    progress: Callable[[int], None] = lambda _: None,
    stdin: BinaryIO | None = None,
) -> Observed:
    """Take in a file of observations (`-`: standard input), then analyse and decide.

    Raises ConfigError at the first line with an error after `max_errors`; up to then they are given to `on_error`.
    """
    check_profile(data_dir, profile)
    lines = open_lines(path, stdin or sys.stdin.buffer)
    read = errors = 0

    def good() -> Iterator[Observation]:
        nonlocal errors
        for found in read_observations(lines, max_errors):
            if isinstance(found, LineError):
                errors += 1
                on_error(found)
            else:
                yield found

    with Evidence.open(data_dir, write=True) as store:
        with store.batch("observations") as batch:
            for rows in _in_lots(good()):
                batch.observations(to_columns(rows))
                read += len(rows)
                progress(read)
        new = batch.added["observations"]
        analysed = analyse(store)
        decided = decide(store, data_dir, now, profile)
        store.compact()
    return Observed(new, read - new, errors, analysed, decided)


def _in_lots(observations: Iterable[Observation]) -> Iterator[list[Observation]]:
    lot: list[Observation] = []
    for observation in observations:
        lot.append(observation)
        if len(lot) == _BATCH_ROWS:
            yield lot
            lot = []
    if lot:
        yield lot
