"""Determinism, the planted odds ratio, bounded memory, and that whatever is set, observations come out valid."""

import tracemalloc
from math import log

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.worlds.counting import hosts, next_week_ratio, within

from whimbrel.errors import ConfigError
from whimbrel.sensors.observed import read_observations
from whimbrel.worlds import Bundle, Link, World, batches, generate, to_lines
from whimbrel.worlds.settings import BOUNDS

SMALL = World(weeks=3, units=60, controls_per_unit=4, families=5, networks=40, ases=5, base_rate=0.2)
OFF = World(weeks=2, units=8_000, controls_per_unit=2, families=3, networks=400, clean_machines=0.0, base_rate=0.05)


def test_equal_seeds_give_equal_tables_and_others_do_not() -> None:
    assert generate(SMALL, 1).equals(generate(SMALL, 1))
    assert not generate(SMALL, 1).equals(generate(SMALL, 2))


@pytest.mark.parametrize(
    "change", [{"churn": 0.5}, {"relay_share": 0.3}, {"list_share": 0.5}, {"persistence": 1.0}, {"connections": 5.0}]
)
def test_a_setting_leaves_alone_what_it_does_not_touch(change: dict[str, float]) -> None:
    wanted = {"kind": "infection", "method": "sinkhole"}
    assert hosts(generate(SMALL, 1), **wanted) == hosts(generate(replace(SMALL, **change), 1), **wanted)


def test_a_link_adds_sendings_and_takes_none_away() -> None:
    without, with_link = generate(SMALL, 1), generate(replace(SMALL, odds_ratio=5.0), 1)
    added = hosts(with_link, kind="message") - hosts(without, kind="message")
    assert added
    assert added <= hosts(with_link, kind="infection", family="family-01")


@pytest.mark.parametrize("ratio", [1.0, 1.25, 3.0, 10.0])
def test_the_planted_odds_ratio_is_found_in_a_world_without_confounders(ratio: float) -> None:
    world = replace(OFF, odds_ratio=ratio)
    found, error = next_week_ratio(generate(world, 5), world)
    assert abs(found - log(ratio)) < 4 * error
    assert error < 0.09


def test_the_base_rate_is_that_of_machines_of_unlinked_families() -> None:
    world = replace(OFF, odds_ratio=5.0, weeks=6, base_rate_weeks=5)
    table = generate(world, 5)
    others = hosts(table, family="family-02") | hosts(table, family="family-03")
    senders = hosts(within(table, world, 1, 5), kind="message") & others
    assert len(senders) / len(others) == pytest.approx(0.05, abs=0.006)  # 4 standard errors of 16,000


def test_linked_sending_waits_for_the_lag() -> None:
    world = replace(OFF, odds_ratio=1_000.0, lag_hours=48.0, base_rate=0.001, weeks=1)
    table = generate(world, 5)
    at = {
        kind: dict(zip(*(rows[name].to_pylist() for name in ("host", "seen_at")), strict=True))
        for kind in ("infection", "message")
        for rows in [table.filter(pc.equal(table["kind"].cast("string"), kind)).sort_by([("seen_at", "descending")])]
    }
    w = hosts(table, family="family-01")
    gaps = [(at["message"][host] - at["infection"][host]).total_seconds() for host in at["message"] if host in w]
    early = sum(gap < 48 * 3600 for gap in gaps)
    assert len(gaps) > 500
    assert early < 0.01 * len(gaps)  # sendings that have nothing to do with the link


def test_a_batch_is_a_week_in_order_and_nothing_comes_after_the_end() -> None:
    table = list(batches(replace(SMALL, list_share=0.5, detection_delay_hours=200.0), 1))
    assert len(table) == 3
    for batch in table:
        assert pc.equal(batch["seen_at"], batch["seen_at"].take(pc.sort_indices(batch["seen_at"])))
    last = pc.max(pa.chunked_array([batch["seen_at"] for batch in table])).as_py()
    assert (last.date() - SMALL.start).days < 21


def test_memory_does_not_grow_with_the_weeks() -> None:
    def peak(weeks: int) -> int:
        tracemalloc.start()
        for batch in batches(replace(SMALL, weeks=weeks, units=500), 1):
            del batch
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(40) < 1.3 * peak(4)


_VALUES = {
    name: st.one_of(st.just(low), st.just(min(high, low + 3)), st.floats(low, min(high, low + 3)))
    for name, (low, high) in BOUNDS.items()
    if isinstance(getattr(World(), name), float)
}
_COUNTS = {
    name: st.integers(int(BOUNDS[name][0]), most)
    for name, most in {
        "weeks": 4,
        "families": 6,
        "campaigns": 5,
        "units": 40,
        "ases": 6,
        "networks": 60,
        "sensors": 3,
        "infection_weeks": 6,
        "linked_pairs": 3,
        "base_rate_weeks": 5,
        "campaign_weeks": 4,
        "relays_per_as": 3,
        "list_family": 3,
    }.items()
}
_TABLES = {
    "links": st.lists(
        st.builds(Link, family=st.integers(1, 4), campaign=st.integers(1, 4), odds_ratio=st.floats(1, 1000)), max_size=2
    ).map(tuple),
    "bundles": st.lists(
        st.builds(Bundle, family=st.integers(1, 4), also=st.integers(1, 4), share=st.floats(0, 1)), max_size=2
    ).map(tuple),
    "method_written": st.booleans(),
}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.fixed_dictionaries({}, optional=_VALUES | _COUNTS | _TABLES), st.integers(0, 2**63))
def test_any_world_is_refused_or_gives_valid_observations(chosen: dict[str, object], seed: int) -> None:
    world = replace(SMALL, **{"weeks": 2, "units": 20, **chosen})
    try:
        tables = list(batches(world, seed))
    except ConfigError:
        return
    for batch in tables:
        batch.validate(full=True)
        lines = to_lines(batch).splitlines()
        assert len(list(read_observations(lines))) == batch.num_rows
