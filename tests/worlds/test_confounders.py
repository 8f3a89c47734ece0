"""Each confounder does what it says: it makes the naive look wrong, or thins what is there."""

from math import exp, log
from typing import Any

import pyarrow.compute as pc
import pytest
from msgspec.structs import replace
from tests.worlds.counting import hosts, log_odds_ratio, next_week_ratio

from whimbrel.worlds import Bundle, Link, World, generate

NULL = World(weeks=2, units=1_000, controls_per_unit=5, families=6, networks=200, clean_machines=1.0, base_rate=0.1)
LINKED = replace(NULL, units=8_000, controls_per_unit=2, families=3, networks=800, odds_ratio=3.0)


def overlap(world: World, seed: int = 3) -> float:
    """The naive odds ratio: over all hosts, having W and having sent."""
    table = generate(world, seed)
    w, everybody = hosts(table, kind="infection", family="family-01"), hosts(table)
    return exp(log_odds_ratio(w, everybody - w, hosts(table, kind="message"))[0])


@pytest.mark.parametrize(
    "change",
    [
        {"as_dirt": 1.0, "as_tilt": 1.0},
        {"network_dirt": 1.0},
        {"volume_spread": 1.0, "volume_effect": 1.0},
        {"nat_share": 0.5, "nat_machines": 5.0},
        {"frail_share": 0.1, "frail_odds": 10.0},
        {"list_share": 0.5},
        {"relay_share": 0.5, "nat_share": 0.3},
        {"w_volume": 10.0, "volume_effect": 0.5},
        {"w_payload_share": 1.0, "payload_share": 0.0, "payload_quiet": 0.1, "busy_odds": 5.0},
    ],
    ids=str,
)
def test_it_inflates_naive_overlap_where_there_is_no_link(change: dict[str, float]) -> None:
    fair = replace(NULL, clean_odds=1.0)  # being infected, by whatever family, changes nothing in itself
    assert overlap(replace(fair, **change)) > 1.15 > overlap(fair)


@pytest.mark.parametrize(
    "change",
    [{"churn": 0.8}, {"lease_weeks": 0.5}, {"mislabelled": 0.6}],
    ids=str,
)
def test_it_dilutes_a_link(change: dict[str, float]) -> None:
    world = replace(LINKED, **change)
    found, error = next_week_ratio(generate(world, 3), world)
    assert found < log(3.0) - 4 * error


def test_nat_puts_several_machines_behind_an_address() -> None:
    machines, alone = 12_000, hosts(generate(NULL, 1))
    assert len(alone) == machines
    assert len(hosts(generate(replace(NULL, nat_share=0.5, nat_machines=3.0), 1))) == pytest.approx(6_000, rel=0.1)
    assert len(hosts(generate(replace(NULL, carrier_share=0.1, carrier_machines=101.0), 1))) < 0.15 * machines


def test_frail_machines_get_several_families() -> None:
    def several(world: World) -> int:
        table = generate(world, 1)
        seen = [hosts(table, family=f"family-{number:02d}") for number in range(1, 7)]
        return sum(map(len, seen)) - len(set.union(*seen))

    assert several(NULL) == 0
    assert several(replace(NULL, frail_share=0.1)) > 1_000


def test_another_family_can_be_the_real_sender() -> None:
    table = generate(replace(NULL, links=(Link(family=2, campaign=1, odds_ratio=5.0),)), 1)
    senders = hosts(table, kind="message")
    share = {name: len(senders & hosts(table, family=name)) / len(hosts(table, family=name)) for name in _first_three()}
    assert share["family-02"] > 2 * share["family-01"]
    assert share["family-02"] > 2 * share["family-03"]


def _first_three() -> tuple[str, ...]:
    return "family-01", "family-02", "family-03"


def test_a_bundle_brings_a_second_family_along() -> None:
    table = generate(replace(NULL, bundles=(Bundle(family=1, also=2, share=0.5),)), 1)
    w = hosts(table, family="family-01")
    assert len(w & hosts(table, family="family-02")) / len(w) == pytest.approx(0.5, abs=0.07)


def test_lists_name_senders_as_infected_and_say_that_they_are_lists() -> None:
    table = generate(replace(NULL, list_share=1.0, list_delay_hours=0.0), 1)
    listed = hosts(table, method="list")
    assert listed == hosts(table, kind="message")
    assert listed == hosts(table, kind="infection", label_basis="list", label="spam", family="family-01", method="list")


def test_relays_carry_all_families_and_campaigns() -> None:
    table = generate(replace(NULL, relay_share=0.3, ases=3), 1)
    relays = {host for host in hosts(table) if host.startswith("172.")}
    assert len(relays) == 6
    assert relays == hosts(table, kind="message") & relays == hosts(table, family="family-01") & relays


def test_persistent_machines_send_every_week() -> None:
    def messages(persistence: float) -> int:
        table = generate(replace(NULL, weeks=6, persistence=persistence), 1)
        return int(pc.sum(pc.equal(table["kind"].cast("string"), "message")).as_py())

    # Of six weeks, a machine that begins in week k sends in 7 - k of them, 3.5 on average; a few do so anyway.
    assert 2.5 < messages(1.0) / messages(0.0) < 3.5
    assert messages(0.0) < messages(0.3) < messages(1.0)


def _seen_by(table: Any, family: str, sensor: str) -> float:
    return len(hosts(table, family=family, sensor=sensor)) / max(1, len(hosts(table, family=family)))


def test_mismatch_lets_another_sensor_see_the_family_than_its_controls() -> None:
    table = generate(replace(NULL, sensors=3, sensor_mismatch=0.9), 1)
    assert _seen_by(table, "family-01", "sensor-1") > 0.85
    assert _seen_by(table, "family-02", "sensor-1") < 0.15


def test_detection_differs_by_family_and_sensor() -> None:
    table = generate(replace(NULL, sensors=2, detection=0.2, detection_ratio=5.0), 1)
    seen = [len(hosts(table, family="family-01", sensor=f"sensor-{number}")) for number in (1, 2)]
    assert seen[0] == pytest.approx(500, rel=0.15)
    assert seen[1] == pytest.approx(100, rel=0.4)
    assert len(hosts(table, family="family-02", sensor="sensor-1")) == pytest.approx(20, abs=20)


def test_method_can_be_left_out() -> None:
    table = generate(replace(NULL, method_written=False), 1)
    assert table["method"].null_count == table.num_rows


def test_overlap_makes_two_sensors_say_the_same() -> None:
    table = generate(replace(NULL, sensors=2, sensor_overlap=1.0), 1)
    assert hosts(table, sensor="sensor-1") == hosts(table, sensor="sensor-2")


def test_delays_part_what_happened_from_what_is_known() -> None:
    table = generate(replace(NULL, learning_delay_hours=24.0), 1)
    gaps = pc.divide(pc.subtract(pc.cast(table["learned_at"], "int64"), pc.cast(table["seen_at"], "int64")), 3_600e6)
    assert pc.min(gaps).as_py() >= 0
    assert pc.mean(gaps).as_py() == pytest.approx(24, rel=0.1)


def test_campaigns_come_and_go() -> None:
    table = generate(replace(NULL, weeks=4, campaigns=4, campaign_weeks=1), 1)
    for number in range(1, 5):
        rows = table.filter(pc.equal(table["campaign"].cast("string"), f"campaign-{number:03d}"))
        spread = pc.max(rows["seen_at"]).as_py() - pc.min(rows["seen_at"]).as_py()
        assert spread.days < 7
