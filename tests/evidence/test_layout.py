"""Which rows share a file."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whimbrel.evidence import Evidence, layout
from whimbrel.evidence.layout import UNDATED, day_numbered, day_numbers, laid_out, write_slices
from whimbrel.model.columns import INSTANT

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
START = datetime(2002, 7, 30, 23, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _dense_from_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "DAY_ROWS", 3)


def stored(made: Any, times: list[datetime | None]) -> Any:
    table = made.facts(range(len(times)))
    seen_at = table.schema.field("seen_at")
    table = table.set_column(table.schema.get_field_index("seen_at"), seen_at, pa.array(times, INSTANT))
    return table.append_column(layout.BATCH_FIELD, pa.array([1] * len(times), pa.int64()))


def test_dense_days_have_files_of_their_own_and_thin_ones_share_a_month(made: Any) -> None:
    days = [0, 0, 0, 1, 2, 3, 3, 3, 3, 4]  # July 30 (dense), 31, August 1, 2 (dense), 3
    slices = list(laid_out("facts", stored(made, [START + timedelta(days=day) for day in days])))
    assert {piece.partition: piece.table.num_rows for piece in slices} == {
        "2002-07-30": 3,
        "2002-07": 1,
        "2002-08": 2,
        "2002-08-02": 4,
    }


TIMES = st.lists(
    st.none() | st.integers(-2, 35 * 24).map(lambda hours: EPOCH + timedelta(hours=hours)),
    max_size=40,
)


@given(times=TIMES)
def test_every_row_is_in_one_slice_in_order(made: Any, times: list[datetime | None]) -> None:
    table = stored(made, times)
    slices = list(laid_out("facts", table))
    assert len({piece.partition for piece in slices}) == len(slices)
    ids = [each for piece in slices for each in piece.table["message_id"].to_pylist()]
    assert sorted(ids) == sorted(table["message_id"].to_pylist())
    for piece in slices:
        seen = piece.table["seen_at"].to_pylist()
        if piece.partition == UNDATED:
            assert set(seen) == {None}
        else:
            assert all(str(at.date()).startswith(piece.partition) for at in seen)
            assert seen == sorted(seen)
    assert {day_numbered(number) for number in day_numbers(table)} == {at.date() for at in times if at}


def test_a_file_is_described_by_its_times_and_batches(tmp_path: Path, made: Any) -> None:
    (tmp_path / "facts").mkdir()
    written: list[Path] = []
    [file] = write_slices(tmp_path, "facts", stored(made, [START, START + timedelta(hours=2)]), written)
    assert written == [tmp_path / file.path]
    assert (file.partition, file.rows, file.bytes) == ("2002-07", 2, written[0].stat().st_size)
    assert (file.first_batch, file.last_batch, file.learned_first) == (1, 1, None)
    assert file.may_hold(date(2002, 7, 31), date(2002, 8, 5))
    assert not file.may_hold(date(2002, 8, 1), date(2002, 8, 5))


def test_undated_rows_are_kept_and_found(tmp_path: Path, made: Any) -> None:
    with Evidence.open(tmp_path, write=True) as store, store.batch("made") as batch:
        batch.facts(made.facts([1], seen_at=None))
        batch.facts(made.facts([2]))
    with Evidence.open(tmp_path) as store:
        assert store.facts().num_rows == 2
        assert store.facts(days=[made.seen_at(2).date()])["message_id"].to_pylist() == [made.id(2)]
