"""Which entry covers which, against a search by hand."""

import itertools

from tests.publishing.exports.conftest import World

from whimbrel.publishing.exports.content import one_by_one
from whimbrel.publishing.exports.rows import disjoint, nested


def test_ranges_do_not_overlap_and_say_what_find_says(world: World) -> None:
    content = world.content
    for family, rows in content.families:
        bits = 32 if family == 4 else 64
        pieces = list(disjoint(rows, bits))
        assert all(first.last < second.first for first, second in itertools.pairwise(pieces))
        for address in world.questions:
            if address.version == family:
                key = int(address) if family == 4 else int(address) >> 64
                held = [content.entry(p.reason, p.until) for p in pieces if p.first <= key <= p.last]
                entry = world.find(address)
                assert held == ([] if entry is None else [entry]) or int(address) >> 24 == 127


def test_neighbours_alike_are_one_range(world: World) -> None:
    for family, rows in world.content.families:
        pieces = list(disjoint(rows, 32 if family == 4 else 64))
        for first, second in itertools.pairwise(pieces):
            assert first.last + 1 < second.first or first[2:] != second[2:]


def test_a_row_is_covered_by_the_networks_that_hold_it(world: World) -> None:
    for family, rows in world.content.families:
        bits = 32 if family == 4 else 64
        every = list(one_by_one(rows))
        for row, covering in nested(rows, bits):
            assert covering == [
                other
                for other in every
                if other[1] < row[1] and row[0] >> (bits - other[1]) == other[0] >> (bits - other[1])
            ]
