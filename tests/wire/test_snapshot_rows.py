"""Columns are found and changed as a dictionary of targets would be."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from whimbrel.wire.snapshot.rows import Rows, found, inserted, no_rows, spans, where, without

Flat = tuple[int, int, int, int]

# Few keys, the highest there is among them, so that targets share keys and have several rows.
keys = st.sampled_from([0, 1, 0xC0000200, 2**64 - 1])
prefixes = st.sampled_from([8, 24, 32, 64])
rows = st.lists(st.tuples(keys, prefixes, st.integers(0, 3), st.integers(0, 9)), max_size=12)
targets = st.lists(st.tuples(keys, prefixes), unique=True, max_size=8)


def columns(flat: list[Flat]) -> Rows:
    table = sorted(flat, key=lambda row: row[:2])
    key, prefix, reason, until = np.array(table, np.uint64).reshape(-1, 4).T
    return Rows(key, prefix.astype(np.uint8), reason.astype(np.uint32), until.astype(np.int64))


def flat(given: Rows) -> list[Flat]:
    return list(zip(*(column.tolist() for column in given), strict=True))


@given(rows, targets)
def test_a_target_is_found_with_all_its_rows(given: list[Flat], asked: list[tuple[int, int]]) -> None:
    table = columns(given)
    key, prefix = np.array([key for key, _ in asked], np.uint64), np.array([length for _, length in asked], np.uint8)
    for target, first, last in zip(asked, *spans(table, key, prefix), strict=True):
        expected = [row for row in flat(table) if row[:2] == target]
        assert flat(where(table, np.arange(first, last))) == expected
        assert found(table, *target) == [row[2:] for row in expected]


@given(rows, rows)
def test_what_is_inserted_stands_in_order_behind_what_was_there(before: list[Flat], more: list[Flat]) -> None:
    both = inserted(columns(before), columns(more))
    assert flat(both) == flat(columns([*flat(columns(before)), *flat(columns(more))]))
    none = no_rows()
    assert (both.key.dtype, both.prefix.dtype) == (none.key.dtype, none.prefix.dtype)
    assert (both.reason.dtype, both.until.dtype) == (none.reason.dtype, none.until.dtype)


@given(rows, targets)
def test_what_is_taken_away_is_gone_with_all_its_rows(given: list[Flat], gone: list[tuple[int, int]]) -> None:
    key, prefix = np.array([key for key, _ in gone], np.uint64), np.array([length for _, length in gone], np.uint8)
    left = without(columns(given), key, prefix)
    assert flat(left) == [row for row in flat(columns(given)) if row[:2] not in gone]
