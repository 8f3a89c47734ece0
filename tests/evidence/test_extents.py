"""What a run went over, read again later, is what it went over then."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from whimbrel.evidence import Evidence, extents
from whimbrel.evidence.extents import NOTHING, Extent
from whimbrel.model.columns import OBSERVATIONS

Run = tuple[Extent, list[bytes]]


@pytest.fixture
def runs(data_dir: Path, made: Any) -> list[Run]:
    """Twelve batches, a run after each: up to a time that jumps, with corrections and withdrawals in between."""
    done: list[Run] = []
    with Evidence.open(data_dir, write=True) as store:
        last = NOTHING
        for number in range(12):
            with store.batch("made") as batch:
                batch.observations(made.observations(range(number * 40, number * 40 + 40)))
                if number % 3 == 2:  # of two batches before: some are withdrawn, some corrected, some stand again
                    first = (number - 2) * 40
                    corrections = [
                        made.observation(n, id=made.id(-n), supersedes=made.id(n)) for n in range(first, first + 9)
                    ]
                    batch.correct(_table(corrections), [made.id(n) for n in range(first + 9, first + 18)])
                if number % 4 == 3:
                    batch.correct(_table([made.observation(n) for n in range(3)]), [])
            until = max(last.until, made.start + timedelta(days=(number * 29) % 95 - 1))
            found = _ids(
                store.in_decision_order(
                    after_batch=last.batch, decided_until=None if last == NOTHING else last.until, until=until
                )
            )
            last = Extent(store.last_batch(), until, len(found))
            done.append((last, found))
    return done


def _table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), OBSERVATIONS)


def _ids(batches: Iterable[pa.RecordBatch]) -> list[bytes]:
    return [each for batch in batches for each in batch["id"].to_pylist()]


def _again(store: Evidence, runs: Sequence[Run], first: int) -> list[list[bytes]]:
    found: list[list[bytes]] = [[] for _ in runs[first:]]
    before = runs[first - 1][0] if first else NOTHING
    for index, rows in store.in_order_of_runs([extent for extent, _ in runs[first:]], before):
        found[index] += rows["id"].to_pylist()
    return found


@pytest.mark.parametrize("together", [1, 50, 100_000])
def test_each_run_has_what_it_had(
    data_dir: Path, runs: list[Run], together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sum(len(ids) for _, ids in runs) > 300
    assert not all(ids for _, ids in runs)
    monkeypatch.setattr(extents, "SORTED_ROWS", together)
    with Evidence.open(data_dir, write=True) as store:
        for first in (0, 1, 7, 12):
            assert _again(store, runs, first) == [ids for _, ids in runs[first:]]
        store.compact(min_files=2)  # merged files hold rows of many batches
        assert _again(store, runs, 0) == [ids for _, ids in runs]


def test_what_is_corrected_later_was_there_then(data_dir: Path, made: Any, append: Callable[..., Any]) -> None:
    far = datetime.max.replace(tzinfo=made.start.tzinfo)
    with Evidence.open(data_dir, write=True) as store:
        append(store, range(4))
        with store.batch("corrects") as batch:
            batch.correct(_table([made.observation(9, supersedes=made.id(1))]), [made.id(2)])
        one, two = Extent(1, far, 4), Extent(2, far, 1)
        assert sorted(map(sorted, _again(store, [(one, []), (two, [])], 0))) == sorted(
            [sorted(map(made.id, range(4))), [made.id(9)]]
        )
        assert _again(store, [(Extent(2, far, 3), [])], 0) == [
            _ids(store.in_decision_order())  # decided in one run, they were corrected before
        ]
