"""The relational part, on DuckDB and (where it is there) Spark, against a plain reading of its definitions."""

import importlib.util
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import ibis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.analysis.links.plain import ROWS, Plain, Row, cells, delayed, world_rows


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
def test_spark_gives_the_samecells(tmp_path: Path) -> None:
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    if importlib.util.find_spec("pyspark") is None:
        pytest.skip("PySpark is not installed")
    session = _spark_session(tmp_path)
    try:
        assert cells(world_rows(), ibis.pyspark.connect(session)) == cells(world_rows())
    finally:
        session.stop()


def _spark_session(folder: Path) -> Any:
    sql = importlib.import_module("pyspark.sql")
    builder = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.sql.warehouse.dir", str(folder))
    return builder.config("spark.sql.session.timeZone", "UTC").config("spark.sql.shuffle.partitions", "2").getOrCreate()
