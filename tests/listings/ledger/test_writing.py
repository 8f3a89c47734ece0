"""Rows go in and over each other, few or many, whatever the driver's way for so many."""

from pathlib import Path

import pytest

from whimbrel.listings.ledger.opening import opened
from whimbrel.listings.ledger.rows import state_row
from whimbrel.listings.ledger.schema import STATE
from whimbrel.listings.ledger.writing import insert, replace


@pytest.mark.parametrize("count", [0, 1, 99, 100, 12_000])
def test_rows_are_written_and_written_over(place: Path | str, count: int) -> None:
    found = opened(place, "write")
    assert found is not None
    first = {f"key {n}": b"\x00\xff" + b"%d" % n for n in range(count)}
    second = {f"key {n}": b"" for n in range(count // 2, count + 3)}
    for write, rows in ((insert, first), (replace, second)):
        with found.writing() as connection:
            if write is insert:
                insert(connection, STATE, [state_row(*row) for row in rows.items()])
            else:
                replace(connection, STATE, "key", [state_row(*row) for row in rows.items()])
    with found.reading() as connection:
        stored = {row.key: bytes(row.value) for row in connection.execute(STATE.select())}
    assert stored == first | second
    found.engine.dispose()
