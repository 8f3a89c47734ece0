"""The truth of every pair and claim, and that the world bears it out."""

from math import log

import pytest
from msgspec.structs import replace
from tests.worlds.counting import hosts, log_odds_ratio, next_week_ratio

from whimbrel.worlds import Bundle, Link, Truth, World, generate, truth

WORLD = World(families=3, campaigns=2, units=100, controls_per_unit=2, odds_ratio=3.0)


def told(world: World) -> dict[tuple[str, str, str], Truth]:
    return {(row.family[-1], row.campaign[-1], row.claim): row for row in truth(world)}


def test_each_pair_has_four_claims() -> None:
    assert len(list(truth(WORLD))) == 3 * 2 * 4


def test_a_link_holds_and_nothing_else_does() -> None:
    rows = told(WORLD)
    assert [rows["1", "1", claim].holds for claim in ("L2", "L3", "L4")] == [True, True, True]
    assert rows["1", "1", "L2"].odds_ratio == 3.0
    assert rows["1", "1", "L3"].odds_ratio is None
    assert not any(row.holds for key, row in rows.items() if key[:2] != ("1", "1") and key[2] != "L1")


def test_a_null_world_has_no_link() -> None:
    assert not any(row.holds for row in truth(replace(WORLD, odds_ratio=1.0)) if row.claim != "L1")


def test_linked_pairs_are_those_of_equal_number() -> None:
    rows = told(replace(WORLD, linked_pairs=2))
    assert sorted(key[:2] for key, row in rows.items() if key[2] == "L2" and row.holds) == [("1", "1"), ("2", "2")]


def test_a_rented_botnet_sends_and_is_not_controlled() -> None:
    rented = Link(family=2, campaign=1, odds_ratio=5.0, tooling=False, control=False)
    bundle = Bundle(family=3, also=2, share=0.5)
    rows = told(replace(WORLD, odds_ratio=1.0, links=(rented,), bundles=(bundle,)))
    assert [rows["2", "1", claim].holds for claim in ("L2", "L3", "L4")] == [True, False, False]
    assert (rows["3", "1", "L2"].odds_ratio, rows["3", "1", "L4"].holds) == (3.0, False)
    assert not rows["1", "1", "L2"].holds


def test_colocation_is_against_all_other_machines() -> None:
    rows = told(replace(WORLD, odds_ratio=1.0, clean_machines=1.0, clean_odds=0.1))
    # 100 machines with W; the others are 200 infected at odds 1 and 300 clean ones at 0.1.
    assert rows["1", "1", "L1"].odds_ratio == pytest.approx(500 / 230, rel=1e-5)
    assert rows["1", "1", "L1"].holds
    assert told(replace(WORLD, odds_ratio=1.0, clean_machines=0.0))["1", "1", "L1"].odds_ratio == 1.0


def test_the_world_bears_out_a_bundle() -> None:
    world = World(
        weeks=2,
        units=8_000,
        controls_per_unit=2,
        families=3,
        networks=400,
        clean_machines=0.0,
        base_rate=0.05,
        links=(Link(family=2, campaign=1, odds_ratio=5.0),),
        bundles=(Bundle(family=1, also=2, share=0.5, delay_hours=0.0),),
    )
    table = generate(world, 1)
    w, third = hosts(table, family="family-01"), hosts(table, family="family-03")
    found, error = log_odds_ratio(w, third, hosts(table, kind="message"))
    assert abs(found - log(told(world)["1", "1", "L2"].odds_ratio or 0)) < 4 * error + 0.05  # two weeks, not one
    assert next_week_ratio(table, world)[1] < 0.1
