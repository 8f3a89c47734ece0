"""The relational part against a plain reading of its definitions."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.analysis.links.plain import ROWS, Plain, cells, delayed, world_rows
from tests.analysis.links.tiny import Row


@given(st.lists(ROWS, min_size=10, max_size=90))
@settings(max_examples=8, deadline=None)
def test_cells_are_those_of_a_plain_reading(rows: list[Row]) -> None:
    rows = [delayed(row) for row in rows]
    assert cells(rows) == Plain(rows).cells()


def test_every_arm_has_cells_in_the_small_world() -> None:
    found = cells(world_rows())
    assert {cell[0] for cell in found} == {"sending", "time", "co-location"}
    assert found == Plain(world_rows()).cells()


def test_only_the_first_sending_of_a_unit_counts() -> None:
    once = world_rows()
    again = [row | {"seen_at": row["seen_at"] + timedelta(weeks=1)} for row in once if row["kind"] == "message"]
    sent_once = sum(cell[-1] for cell in cells(once) if cell[0] == "sending")
    assert sent_once == sum(cell[-1] for cell in cells(once + again) if cell[0] == "sending") > 0
