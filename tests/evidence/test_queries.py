"""Finding rows again: by day, batch, column, condition; in the order of decision; by SQL."""

import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from whimbrel.errors import StoreError
from whimbrel.evidence import Evidence, queries
from whimbrel.model.columns import INSTANT, OBSERVATIONS

Append = Callable[..., dict[str, int]]


def test_rows_by_day_batch_column_and_condition(data_dir: Path, made: Any, append: Append) -> None:
    with Evidence.open(data_dir, write=True) as store:
        append(store, range(100))
        append(store, range(150))
        days = [made.seen_at(3).date(), made.seen_at(4).date()]
        expected = {made.id(n) for n in range(150) if made.seen_at(n).date() in days}
        assert set(store.observations(days=days)["id"].to_pylist()) == expected
        assert store.observations(days=[]).num_rows == 0
        assert set(store.facts(after_batch=1)["message_id"].to_pylist()) == {made.id(n) for n in range(100, 150)}
        some = store.observations(columns=["host", "id"], where="label = 'spam'")
        assert some.schema == pa.schema([OBSERVATIONS.field("host"), OBSERVATIONS.field("id")])
        assert some.num_rows == 75
        store.compact(min_files=2)
        assert set(store.facts(after_batch=1)["message_id"].to_pylist()) == {made.id(n) for n in range(100, 150)}


def order_of(store: Evidence, **given: Any) -> list[bytes]:
    return [each for batch in store.in_decision_order(**given) for each in batch["id"].to_pylist()]


@pytest.mark.parametrize("seed", range(3))
def test_decision_order_is_one_whatever_the_order_of_appending(tmp_path: Path, made: Any, seed: int) -> None:
    numbers = list(range(300))
    rows = [made.observation(n) for n in numbers]
    expected = [row["id"] for row in sorted(rows, key=lambda row: (row["learned_at"], row["seen_at"], row["id"]))]
    random.Random(seed).shuffle(numbers)
    with Evidence.open(tmp_path, write=True) as store:
        with store.batch("shuffled") as batch:
            for start in range(0, 300, 50):
                batch.observations(made.observations(numbers[start : start + 50]))
        assert order_of(store) == expected
        assert order_of(store, after_batch=1) == []


def test_what_was_learned_too_late_for_a_run_is_decided_by_the_next(data_dir: Path, made: Any, append: Append) -> None:
    until = made.start + timedelta(days=45)
    with Evidence.open(data_dir, write=True) as store:
        append(store, range(100))
        early = order_of(store, until=until)
        append(store, range(100, 120))
        late = order_of(store, after_batch=1, decided_until=until)
        learned = {made.id(n): made.observation(n)["learned_at"] for n in range(120)}
        assert set(early) == {made.id(n) for n in range(100) if learned[made.id(n)] <= until}
        assert len(early) + len(late) == 120
        assert set(early) | set(late) == set(learned)


def test_superseded_observations_are_left_out(data_dir: Path, made: Any) -> None:
    with Evidence.open(data_dir, write=True) as store:
        with store.batch("first") as batch:
            batch.observations(made.observations([1, 2]))
        with store.batch("correction") as batch:
            batch.observations(made.observations([3], supersedes=made.id(1)))
        kept = {made.id(2), made.id(3)}
        assert set(store.observations()["id"].to_pylist()) == kept
        assert set(order_of(store)) == kept
        assert store.observations(superseded=True).num_rows == 3
        assert set(store.query("SELECT id FROM observations")["id"].to_pylist()) == kept
        assert store.query("SELECT id FROM observations_all").num_rows == 3
        assert store.counts().superseded == 1


def test_sql_sees_evidence_and_derived_tables(data_dir: Path, append: Append) -> None:
    with Evidence.open(data_dir, write=True) as store:
        append(store, range(100))
        store.replace("hosts", {"": pa.table({"host": ["192.0.2.5"], "score": [2.5]})}, stage="hosts", version=1)
        answer = store.query(
            "SELECT host, score, min(seen_at) AS first FROM observations JOIN hosts USING (host) "
            "WHERE label = $label GROUP BY ALL",
            {"label": "spam"},
        )
        assert answer["score"].to_pylist() == [2.5]
        assert answer.schema.field("first").type == INSTANT


@pytest.mark.parametrize("sorted_rows", [4, 40])
@pytest.mark.parametrize("learned_at", ["with each", "all at once"])
def test_sorting_piece_by_piece_is_the_same_order(
    data_dir: Path, made: Any, monkeypatch: pytest.MonkeyPatch, sorted_rows: int, learned_at: str
) -> None:
    monkeypatch.setattr(queries, "SORTED_ROWS", sorted_rows)
    given = {} if learned_at == "with each" else {"learned_at": made.start + timedelta(days=200)}
    rows = [made.observation(n, **given) for n in range(120)]  # times of seeing repeat from 90 on
    expected = [row["id"] for row in sorted(rows, key=lambda row: (row["learned_at"], row["seen_at"], row["id"]))]
    with Evidence.open(data_dir, write=True) as store:
        for part in (range(60, 120), range(60)):
            with store.batch("part") as batch:
                batch.observations(made.observations(part, **given))
        assert order_of(store) == expected


def test_sorting_takes_less_memory_than_the_rows(data_dir: Path, made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = 16_000
    monkeypatch.setattr(queries, "_MEMORY_LIMIT", "28MB")
    monkeypatch.setattr(queries, "_MOST_THREADS", 1)
    monkeypatch.setattr(queries, "SORTED_ROWS", 2_000)
    base = made.observations([1]).take(pa.array([0] * rows))
    columns = {name: base[name] for name in base.column_names}
    order = random.Random(1).sample(range(rows), rows)
    columns["id"] = pa.array([n.to_bytes(16, "big") for n in order], pa.binary(16))
    columns["seen_at"] = columns["learned_at"] = pa.array([made.start + timedelta(seconds=n) for n in order], INSTANT)
    columns["ref"] = pa.array([f"{n * 7919 % rows:02000}" for n in order])  # 32 MB
    with Evidence.open(data_dir, write=True) as store:
        with store.batch("large") as batch:
            for part in pa.table(columns, schema=OBSERVATIONS).to_batches(max_chunksize=2_000):
                batch.observations(pa.Table.from_batches([part]))
        assert order_of(store) == [n.to_bytes(16, "big") for n in range(rows)]
        monkeypatch.setattr(queries, "SORTED_ROWS", rows)
        with pytest.raises(StoreError, match="Out of Memory"):  # at once it would not have fitted
            order_of(store)


def test_a_missing_file_is_one_line(data_dir: Path, append: Append) -> None:
    with Evidence.open(data_dir, write=True) as store:
        append(store, range(3))
        for path in (data_dir / "evidence" / "facts").iterdir():
            path.unlink()
        with pytest.raises(StoreError, match=r"cannot read [^\n]*$"):
            store.facts()
        with pytest.raises(StoreError, match=r"cannot read [^\n]*$"):
            store.query("SELECT * FROM facts")


def test_a_folder_with_a_quote_in_its_name_is_read(tmp_path: Path, append: Append) -> None:
    with Evidence.open(tmp_path / "it's", write=True) as store:
        append(store, range(3))
        assert store.facts().num_rows == 3


def test_an_engine_remembers_no_file_that_it_has_read(data_dir: Path, append: Append) -> None:
    # What it holds would grow with every file, in a service that makes two for each message.
    with Evidence.open(data_dir, write=True) as store:
        for first in range(0, 50, 10):
            append(store, range(first, first + 10))
            assert store.observations(after_batch=store.last_batch() - 1).num_rows == 10
        held = "SELECT coalesce(sum(memory_usage_bytes), 0) AS bytes FROM duckdb_memory()"
        assert store.query(held)["bytes"].to_pylist() == [0]
