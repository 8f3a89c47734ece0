"""Searches against Python's own, and what decides in a zone."""

from bisect import bisect_left
from typing import cast

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from whimbrel.nameserver.fast import indices
from whimbrel.nameserver.fast.insides import compiled, signed
from whimbrel.nameserver.fast.search import ABSENT, Array, Family, Lists, folded, ipv4_row, ipv6_row, row_of


def place_of(wanted: int, keys: list[int]) -> int:
    place = bisect_left(keys, wanted)
    return place if wanted in keys[place : place + 1] else ABSENT


@given(
    keys=st.lists(st.integers(0, 300), min_size=1, max_size=70, unique=True).map(sorted),
    before=st.integers(0, 5),
    wanted=st.integers(0, 300),
)
def test_a_key_is_found_where_it_is(keys: list[int], before: int, wanted: int) -> None:
    array = np.array([999] * before + keys, np.uint64)
    row = row_of(array, before, len(keys), np.uint64(wanted), len(keys).bit_length(), -1)  # type: ignore[arg-type]
    place = place_of(wanted, keys)
    assert row == (ABSENT if place == ABSENT else before + place)


def lists_with(hosts: list[int], cell_bits: int, keys: list[int], seed: int) -> Lists:
    """Return lists that can be searched, and nothing else."""
    none, ipv4 = np.zeros(0, np.uint8), np.array(hosts, np.uint64)
    block = np.searchsorted(ipv4, np.arange(65_537, dtype=np.uint64) << np.uint64(16)).astype(np.uint32)
    suffix, ipv6 = (ipv4 & np.uint64(0xFFFF)).astype(np.uint16), np.array(keys, np.uint64)
    blank = {name: cast("Array", none) for name in Lists._fields} | {"zones": 0, "seed": seed}
    family = Family(**{name: cast("Array", none) for name in Family._fields} | {"mask": -1})  # type: ignore[arg-type]
    return Lists(**blank)._replace(  # type: ignore[arg-type]
        cells=indices.cells_of(block, suffix, cell_bits), cell_bits=cell_bits, suffix=suffix, ipv4=family,
        key=ipv6, slots=indices.slots_of(ipv6, seed), row_bits=indices.row_bits_of(ipv6), ipv6=family,
    )  # fmt: skip


addresses = st.one_of(st.integers(0, 4200), st.integers(0, (1 << 32) - 1), st.integers((1 << 32) - 99, (1 << 32) - 1))


@settings(deadline=None)  # the first one compiles
@given(hosts=st.sets(addresses).map(sorted), more=st.lists(addresses), cell_bits=st.integers(13, 16))
def test_any_host_is_found_by_cells_of_any_size(hosts: list[int], more: list[int], cell_bits: int) -> None:
    lists = lists_with(hosts, cell_bits, [], 1)
    for address in hosts + more:
        assert ipv4_row(lists, address) == place_of(address, hosts)


halves = st.one_of(st.integers(0, 300), st.integers(0, (1 << 64) - 1), st.integers(0, 300).map(lambda key: key << 32))


@settings(deadline=None)
@given(keys=st.sets(halves).map(sorted), more=st.lists(halves))
def test_any_half_is_found_by_its_hash(keys: list[int], more: list[int]) -> None:
    lists = lists_with([], 16, keys, indices.new_seed())
    for key in keys + more:
        assert ipv6_row(lists, np.uint64(key)) == place_of(key, keys)  # type: ignore[arg-type]


def test_keys_of_the_same_hash_are_told_apart() -> None:
    """Who knew the seed could make them: they share slot and tag, and the last ones' way leads round the table."""
    seed = indices.new_seed()

    def crafted(low: int) -> int:
        return (int(folded(np.uint64(low * (seed & 0xFFFFFFFF)))) ^ 0xFFFF_FFF0) << 32 | low  # type: ignore[arg-type]

    alike = [crafted(low) for low in range(600)]
    keys = sorted(alike[:300])
    lists = lists_with([], 16, keys, seed)
    for key in alike:
        assert ipv6_row(lists, np.uint64(key)) == place_of(key, keys)  # type: ignore[arg-type]


@compiled
def _rows(lists: Lists, addresses: Array, keys: Array, found: Array) -> None:
    for place in range(len(keys)):
        found[0, place] = ipv4_row(lists, signed(addresses[place]))
        found[1, place] = ipv6_row(lists, keys[place])


def test_compiled_as_in_python_in_a_list_of_some_size() -> None:
    """Neighbours crowd, as customers of one network do: ascending /64s of a /48, and the first /64 of /48s and /32s."""
    chance, found = np.random.default_rng(3), np.zeros((2, 60_000), np.int64)
    hosts = np.unique(chance.integers(0, 1 << 32, 20_000) & ~np.int64(0xF000))
    runs = (np.arange(10_000, dtype=np.uint64) << np.uint64(shift) for shift in (0, 16, 32))
    keys = np.unique(np.concatenate([np.uint64(0x2A00_0000 << 32) + run for run in runs]))
    asked = (
        np.concatenate((hosts, chance.integers(0, 1 << 32, 60_000)))[:60_000],
        np.concatenate((keys, keys + np.uint64(7777), keys + np.uint64(1 << 50)))[:60_000],
    )
    _rows(lists_with(hosts.tolist(), 12, keys.tolist(), indices.new_seed()), *asked, found)
    for family, listed in enumerate((hosts, keys)):
        rows = np.minimum(np.searchsorted(listed, asked[family]), len(listed) - 1)
        assert (found[family] == np.where(listed[rows] == asked[family], rows, ABSENT)).all()
