"""Which entry covers which, against a search by hand."""

import itertools
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from tests.publishing.exports.conftest import World

from whimbrel.model.listing import Code
from whimbrel.publishing import Entries
from whimbrel.publishing.exports import content_of
from whimbrel.publishing.exports.content import one_by_one
from whimbrel.publishing.exports.rows import carved, disjoint, nested
from whimbrel.wire.snapshot import Snapshot


def test_ranges_do_not_overlap_and_say_what_find_says(world: World) -> None:
    content = world.content
    for family, rows in content.families:
        bits = 32 if family == 4 else 64
        pieces = list(disjoint(rows, bits))
        assert all(first.last < second.first for first, second in itertools.pairwise(pieces))
        for address in world.questions:
            if address.version == family:
                key = int(address) if family == 4 else int(address) >> 64
                held = [
                    content.entry(p.reason, p.until)
                    for p in pieces
                    if p.first <= key <= p.last and not content.excludes(p.reason)
                ]
                entry = world.find(address)
                assert held == ([] if entry is None else [entry]) or int(address) >> 24 == 127


def test_neighbours_alike_are_one_range(world: World) -> None:
    for family, rows in world.content.families:
        pieces = list(disjoint(rows, 32 if family == 4 else 64))
        for first, second in itertools.pairwise(pieces):
            assert first.last + 1 < second.first or first[2:] != second[2:]


def test_what_is_left_of_rows_has_no_exclusions_and_says_what_find_says(world: World) -> None:
    content = world.content
    for family, rows in content.families:
        bits = 32 if family == 4 else 64
        left = list(one_by_one(carved(content, rows, bits)))
        assert left == sorted(left)
        assert len({row[:2] for row in left}) == len(left)
        assert len(left) >= len(rows.key) or not content.listed(rows.reason).all()
        for address in world.questions:
            if address.version == family:
                key = int(address) if family == 4 else int(address) >> 64
                covering = [row for row in left if row[0] == key >> (bits - row[1]) << (bits - row[1])]
                entry = world.find(address)
                if entry is None or int(address) >> 24 == 127:
                    assert covering == []
                else:
                    assert content.entry(*max(covering, key=lambda row: row[1])[2:]) == entry


@given(
    st.lists(
        st.tuples(st.integers(0, 255), st.integers(24, 32), st.sampled_from([None, Code.NETWORK, Code.INFECTED])),
        max_size=12,
    ),
)
def test_addresses_are_carved_as_a_table_of_them_is(targets: list[tuple[int, int, Code | None]]) -> None:
    born = datetime(2002, 7, 27, tzinfo=UTC)
    entries, listed = Entries(), dict[int, Code | None]()
    distinct = {(low >> (32 - bits) << (32 - bits), bits): code for low, bits, code in targets}
    for (low, bits), code in sorted(distinct.items(), key=lambda each: each[0][1]):
        target = f"192.0.2.{low}/{bits}"
        if code is None:
            entries.exclude(target)
        else:
            entries.put(target, code, born + timedelta(hours=1))
        listed |= dict.fromkeys(range(low, low + (1 << (32 - bits))), code)
    data = entries.moment().snapshot(zone="bl.example", serial=1, born=born, expires=born + timedelta(hours=2))
    content = content_of(Snapshot(data), int(born.timestamp()))
    found, rows = dict[int, Code | None](), list(one_by_one(carved(content, content.ipv4, 32)))
    for key, prefix, reason, _ in sorted(rows, key=lambda row: row[1]):
        low, has = key & 255, Code(content.reasons[reason].code)
        found |= dict.fromkeys(range(low, low + (1 << (32 - prefix))), has)
    assert found == {low: code for low, code in listed.items() if code is not None}
    assert len({row[:2] for row in rows}) == len(rows)


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
