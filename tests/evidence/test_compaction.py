"""Merging and forgetting change files, never what the kept ones say."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from whimbrel.evidence import CompactionReport, Evidence, compaction, layout

Append = Callable[..., dict[str, int]]


def parquet_files(data_dir: Path) -> int:
    return len(list((data_dir / "evidence").rglob("*.parquet")))


def test_small_files_are_merged_and_dead_ones_deleted_after_the_grace(
    data_dir: Path, append: Append, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Evidence.open(data_dir, write=True) as store:
        for start in range(0, 100, 20):
            append(store, range(start, start + 20))
        facts, observations = store.facts(), store.observations()
        assert store.compact(min_files=6) == CompactionReport(0, 0, 0)
        assert store.compact(min_files=5) == CompactionReport(30, 6, 0)  # three months, two kinds, five batches
        assert store.facts().sort_by("message_id") == facts.sort_by("message_id")
        assert store.observations().sort_by("id") == observations.sort_by("id")
        assert (store.counts().facts.files, parquet_files(data_dir)) == (3, 36)
        monkeypatch.setattr(compaction, "GRACE_SECONDS", -1.0)
        assert store.compact(min_files=5) == CompactionReport(0, 0, 30)
        assert (store.facts().num_rows, parquet_files(data_dir)) == (100, 6)


def test_a_merge_is_bounded_and_large_files_rest(
    data_dir: Path, append: Append, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "LARGE_ROWS", 50)
    with Evidence.open(data_dir, write=True) as store:
        for start in range(0, 600, 60):
            append(store, range(start, start + 60))  # about 20 rows a month each time
        store.compact(min_files=2)
        assert all(file.rows <= 50 for file in store._manifest.files())
        assert store.facts().num_rows == 600
        assert store.counts().facts.files < 30


def test_files_that_have_grown_rest_where_only_the_smallest_are_merged(data_dir: Path, append: Append) -> None:
    with Evidence.open(data_dir, write=True) as store:
        append(store, range(300))  # about 100 rows a month
        for start in range(300, 390, 30):
            append(store, range(start, start + 30))
        assert store.compact(min_files=3, rows=50).merged == 18  # three months, two kinds, three small batches
        assert store.counts().facts.files == 6
        assert store.facts().num_rows == 390
        assert store.compact(min_files=2).merged == 12


def test_days_that_have_grown_get_files_of_their_own(
    data_dir: Path, made: Any, append: Append, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Evidence.open(data_dir, write=True) as store:
        for start in range(0, 360, 90):
            append(store, range(start, start + 90))
        monkeypatch.setattr(layout, "DAY_ROWS", 4)
        store.compact(min_files=4)
        assert {len(file.partition) for file in store._manifest.files()} == {len("2002-07-01")}
        assert store.facts(days=[made.start.date()]).num_rows == 4


def test_a_term_ends_by_whole_days(data_dir: Path, made: Any, append: Append, monkeypatch: pytest.MonkeyPatch) -> None:
    before = date(2002, 8, 15)  # in the middle of a month's file
    kept = {made.id(n) for n in range(200) if made.seen_at(n).date() >= before}
    with Evidence.open(data_dir, write=True) as store:
        append(store, range(200))
        with store.batch("undated") as batch:
            batch.facts(made.facts([999], seen_at=None))
        assert store.forget(before=before) == 2 * (200 - len(kept))
        assert set(store.observations()["id"].to_pylist()) == kept
        assert set(store.facts()["message_id"].to_pylist()) == kept | {made.id(999)}
        assert store.counts().observations.first_day == before
        assert store.forget(before=before) == 0
        monkeypatch.setattr(compaction, "GRACE_SECONDS", -1.0)
        store.compact()
        assert parquet_files(data_dir) == store.counts().facts.files + store.counts().observations.files
        # What was forgotten is unknown: it may be learned again.
        assert append(store, range(200)) == {"observations": 200 - len(kept), "facts": 200 - len(kept)}
