"""Searches against Python's own, and what decides in a zone."""

from bisect import bisect_left

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from whimbrel.nameserver.fast.search import ABSENT, row_of


@given(
    keys=st.lists(st.integers(0, 300), min_size=1, max_size=70, unique=True).map(sorted),
    before=st.integers(0, 5),
    wanted=st.integers(0, 300),
)
def test_a_key_is_found_where_it_is(keys: list[int], before: int, wanted: int) -> None:
    array = np.array([999] * before + keys, np.uint64)
    row = row_of(array, before, len(keys), np.uint64(wanted), len(keys).bit_length(), -1)  # type: ignore[arg-type]
    place = bisect_left(keys, wanted)
    assert row == (before + place if wanted in keys else ABSENT)
