"""Verdicts on tiny worlds: linked, not linked, and all that is not enough to tell."""

from datetime import UTC, datetime, timedelta
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.analysis.links.conftest import World

from whimbrel.analysis.links import VERDICTS, Settings, explain_pair, grow, judge, verdicts
from whimbrel.analysis.links.placebos import campaigns_swapped, dates_shifted

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
NOW = MONDAY + timedelta(weeks=8)
Rows = list[dict[str, Any]]


def _verdict(rows: pa.Table | Rows, family: str = "W", campaign: str = "C1", claim: str = "L2") -> dict[str, Any]:
    listed = rows if isinstance(rows, list) else rows.to_pylist()
    return next(row for row in listed if (row["family"], row["campaign"], row["claim"]) == (family, campaign, claim))


def _changed(observations: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return observations.set_column(observations.schema.get_field_index(name), name, values)


@pytest.fixture(scope="module")
def linked(world: World) -> pa.Table:
    return world(odds_ratio=4)


def test_a_link_is_found_and_only_that_one(linked: pa.Table) -> None:
    rows = judge(linked, Settings(), NOW)
    assert rows.schema.equals(VERDICTS)
    assert rows.num_rows == 6 * 2 * 4
    row = _verdict(rows)
    assert row["verdict"] == "linked"
    assert row["odds_ratio_low"] < 4 < row["odds_ratio_high"]
    assert row["gamma"] >= 2
    assert row["words"] == "likely"  # five negative controls are too few for more
    assert row["probability"] > 0.9
    others = [
        one for one in rows.to_pylist() if one["claim"] == "L2" and (one["family"], one["campaign"]) != ("W", "C1")
    ]
    assert not [one for one in others if one["verdict"] in {"linked", "strongly linked"}]
    assert _verdict(rows, claim="L4")["verdict"] == "not assessed"


@pytest.mark.parametrize("odds_ratio", [1.0, 1.25])
def test_no_link_is_said_in_null_worlds(world: World, odds_ratio: float) -> None:
    found = [_verdict(judge(world(odds_ratio=odds_ratio, seed=seed), Settings(), NOW)) for seed in range(1, 3)]
    assert {row["verdict"] for row in found} <= {"insufficient data", "evidence against"}


def test_much_data_without_a_link_is_evidence_against(world: World) -> None:
    row = _verdict(judge(world(hosts=12_000, families=3, rate=0.06), Settings(), NOW))
    assert row["verdict"] == "evidence against"
    assert "churn" in " ".join(row["reasons"])


def test_a_rival_that_sends_the_campaign_forbids_evidence_against(world: World) -> None:
    rows = judge(world(hosts=12_000, families=3, rate=0.06, odds_ratio=4), Settings(), NOW)
    assert _verdict(rows, family="F1")["verdict"] == "insufficient data"
    assert any("another family" in reason for reason in _verdict(rows, family="F1")["reasons"])


def test_without_method_nothing_is_said_and_why(world: World) -> None:
    row = _verdict(judge(world(odds_ratio=4, method=None), Settings(), NOW))
    assert row["verdict"] == "insufficient data"
    assert "method" in row["reasons"][0]


def test_labels_from_lists_are_no_labels(world: World) -> None:
    assert judge(world(odds_ratio=4, method="list"), Settings(), NOW).num_rows == 0


def test_a_campaign_that_carries_a_payload_is_not_used(linked: pa.Table) -> None:
    one = linked.filter(pc.equal(linked["campaign"], "C1")).slice(0, 1)
    worm = _changed(one, "family", pa.array(["F1"]))
    row = _verdict(judge(pa.concat_tables([linked, worm]), Settings(), NOW))
    assert row["verdict"] == "insufficient data"
    assert any("payload" in reason for reason in row["reasons"])


def test_a_family_seen_by_a_sensor_of_its_own_has_no_controls(linked: pa.Table) -> None:
    sensors = pc.if_else(pc.equal(linked["family"], "W"), "s2", "s1")
    row = _verdict(judge(_changed(linked, "sensor", pc.fill_null(sensors, "s1")), Settings(), NOW))
    assert row["verdict"] == "insufficient data"
    assert any("no controls: s2" in reason for reason in row["reasons"])


def test_a_single_family_has_no_controls(world: World) -> None:
    row = _verdict(judge(world(families=1, hosts=300), Settings(), NOW))
    assert (row["verdict"], row["odds_ratio"]) == ("insufficient data", None)


@pytest.mark.parametrize("weeks", [0, 1])
def test_too_early_is_no_crash(linked: pa.Table, weeks: int) -> None:
    rows = judge(linked, Settings(), MONDAY + timedelta(weeks=weeks)).to_pylist()
    assert all(row["verdict"] in {"insufficient data", "not assessed"} for row in rows)


def test_no_observations_give_no_rows(linked: pa.Table) -> None:
    assert judge(linked.slice(0, 0), Settings(), NOW).num_rows == 0


def test_duplicates_and_clocks_that_go_back_are_borne(linked: pa.Table) -> None:
    twice = pa.concat_tables([linked, linked.filter(pc.not_equal(linked["kind"], "connection"))])
    assert judge(twice, Settings(), NOW).equals(judge(linked, Settings(), NOW))
    early = pc.subtract(linked["learned_at"], pa.scalar(timedelta(days=400)))
    assert _verdict(judge(_changed(linked, "learned_at", early), Settings(), NOW)) == _verdict(
        judge(linked, Settings(), NOW)
    )


def test_campaigns_of_one_message_are_not_followed(linked: pa.Table) -> None:
    count = 50_000
    template = linked.filter(pc.equal(linked["campaign"], "C1")).slice(0, 1).take(pa.array(np.zeros(count, np.int64)))
    noise = _changed(template, "campaign", pa.array([f"X{n}" for n in range(count)]))
    rows = judge(pa.concat_tables([linked, noise]), Settings(), NOW)
    assert set(rows["campaign"].to_pylist()) == {"C1", "C2"}


def test_one_pair_explained(linked: pa.Table) -> None:
    told = explain_pair(linked, Settings(), NOW, "W", "C1")
    row = _verdict(told.verdicts)
    assert row["verdict"] == "linked"
    steps = [step.log_e["L2"] for step in told.path]
    assert steps[-1] == pytest.approx(np.log(row["e_value"]))
    assert {effect.sensor for effect in told.effects if effect.arm == "sending"} == {None, "s1"}
    assert len(told.controls) == 5
    assert {one.part for one in told.confounders} == {"network", "volume", "sensor", "method", "window"}
    assert told.overturned_by
    alone = verdicts(grow(linked, Settings(), NOW), only=("W", "C1"))
    assert _verdict(alone)["e_value"] == row["e_value"]


def test_a_pair_nobody_knows_is_explained_as_such(linked: pa.Table) -> None:
    told = explain_pair(linked, Settings(), NOW, "nobody", "nothing")
    assert _verdict(told.verdicts, "nobody", "nothing")["verdict"] == "insufficient data"


def test_placebos_stay_silent(linked: pa.Table) -> None:
    table = ibis.memtable(linked)
    for turn in (1, 7):
        assert _verdict(judge(campaigns_swapped(table, turn), Settings(), NOW))["verdict"] != "linked"
    shifted = dates_shifted(table, 2)
    assert shifted.count().to_pyarrow().as_py() == linked.num_rows
    assert judge(shifted, Settings(), NOW).num_rows > 0
