"""Indices against a search without one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from whimbrel.nameserver.fast.indices import cell_bits_of, cells_of, new_seed, row_bits_of, slots_of
from whimbrel.nameserver.fast.search import EMPTY


@settings(deadline=None)  # the first one compiles
@given(
    hosts=st.lists(st.one_of(st.integers(0, 70), st.integers(0, (1 << 32) - 1)), unique=True).map(sorted),
    cell_bits=st.integers(13, 16),
)
def test_a_cell_begins_at_its_first_host(hosts: list[int], cell_bits: int) -> None:
    keys = np.array(hosts, np.uint64)

    def begins(bits: int) -> NDArray[np.uint32]:
        firsts = np.arange((1 << 32 - bits) + 1, dtype=np.uint64) << np.uint64(bits)
        return np.searchsorted(keys, firsts).astype(np.uint32)

    suffix = (keys & np.uint64(0xFFFF)).astype(np.uint16)
    assert np.array_equal(cells_of(begins(16), suffix, cell_bits), begins(cell_bits))


@pytest.mark.parametrize(("entries", "bits"), [(0, 16), (500_000, 16), (1_000_000, 15), (10_000_000, 11), (1 << 33, 8)])
def test_cells_are_smaller_where_more_is_listed(entries: int, bits: int) -> None:
    assert cell_bits_of(entries) == bits


def test_the_index_takes_a_byte_an_entry_at_most() -> None:
    for entries in range(1, 20_000_000, 9_999):
        assert 4 << 32 - cell_bits_of(entries) <= max(entries, 4 << 16)


@settings(deadline=None)
@given(keys=st.sets(st.integers(0, (1 << 64) - 1)).map(sorted))
def test_every_row_has_a_slot(keys: list[int]) -> None:
    array = np.array(keys, np.uint64)
    slots, rows = slots_of(array, new_seed()), (1 << row_bits_of(array)) - 1
    assert sorted(slot & rows for slot in slots.tolist() if slot != EMPTY) == list(range(len(keys)))
    assert (slots == EMPTY).sum() == len(keys)


def test_no_two_seeds_are_alike_and_both_halves_are_odd() -> None:
    seeds = {new_seed() for _ in range(100)}
    assert len(seeds) == 100
    assert {seed & 0x1_0000_0001 for seed in seeds} == {0x1_0000_0001}
    assert max(seeds) < 1 << 63
