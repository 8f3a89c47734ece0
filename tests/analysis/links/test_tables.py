"""The relational part, on DuckDB and (where it is there) Spark, against a plain reading of its definitions."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.analysis.links.plain import ROWS, Plain, Row, cells, delayed, spark, world_rows


@given(st.lists(ROWS, min_size=10, max_size=90))
@settings(max_examples=8, deadline=None)
def test_cells_are_those_of_a_plain_reading(rows: list[Row]) -> None:
    rows = [delayed(row) for row in rows]
    assert cells(rows) == Plain(rows).cells()


def test_every_arm_has_cells_in_the_smallworld_rows() -> None:
    found = cells(world_rows())
    assert {cell[0] for cell in found} == {"sending", "time", "co-location"}
    assert found == Plain(world_rows()).cells()


def test_only_the_first_sending_of_a_unit_counts() -> None:
    once = world_rows()
    again = [row | {"seen_at": row["seen_at"] + timedelta(weeks=1)} for row in once if row["kind"] == "message"]
    sent_once = sum(cell[-1] for cell in cells(once) if cell[0] == "sending")
    assert sent_once == sum(cell[-1] for cell in cells(once + again) if cell[0] == "sending") > 0


@pytest.mark.filterwarnings("ignore")  # PySpark and Ibis on pandas 3
def test_spark_gives_the_same_cells(tmp_path: Path) -> None:
    with spark(tmp_path) as backend:
        assert cells(world_rows(), backend) == cells(world_rows())
