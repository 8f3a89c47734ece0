"""What is wrong with the observations is said: a verdict, its reason, and never a crash."""

import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.analysis.links.bad_input import NOW, VILLAGES, Village, again, all_villages, changed, of_kind, pair_of
from tests.analysis.links.conftest import World
from tests.analysis.links.tiny import MONDAY

from whimbrel.analysis.links import Settings, explain_pair, judge
from whimbrel.analysis.links.picture import picture

Row = dict[str, Any]
_MILLION = 1_000_000


@pytest.fixture(scope="module")
def villages() -> pa.Table:
    return all_villages()


@pytest.fixture(scope="module")
def said(villages: pa.Table) -> list[Row]:
    rows: list[Row] = judge(villages, Settings(), NOW).to_pylist()
    return rows


def _of(rows: list[Row], pair: tuple[str, str], claim: str = "L2") -> list[Row]:
    return [row for row in rows if (row["family"], row["campaign"], row["claim"]) == (*pair, claim)]


@pytest.mark.parametrize("village", [one for one in VILLAGES if one.listed], ids=lambda one: one.name)
def test_each_mistake_is_told_as_the_reason(said: list[Row], village: Village) -> None:
    (row,) = _of(said, pair_of(village))
    if village.reason is None:
        (sound,) = _of(said, pair_of(VILLAGES[0]))
        assert row["verdict"] == "linked"
        assert row | {"family": "", "campaign": ""} == sound | {"family": "", "campaign": ""}
        return
    assert row["verdict"] == "insufficient data"
    assert any(village.reason in reason for reason in row["reasons"]), row["reasons"]
    assert (row["words"], row["odds_ratio"], row["probability"]) == ("not known", None, None)


@pytest.mark.parametrize("village", [one for one in VILLAGES if not one.listed], ids=lambda one: one.name)
def test_pairs_without_a_row_are_told_why_when_asked_about(
    villages: pa.Table, said: list[Row], village: Village
) -> None:
    assert not _of(said, pair_of(village))
    (row,) = _of(explain_pair(villages, Settings(), NOW, *pair_of(village)).verdicts, pair_of(village))
    assert row["verdict"] == "insufficient data"
    assert any(str(village.reason) in reason for reason in row["reasons"]), row["reasons"]


def test_what_is_seen_twice_counts_once(world: World) -> None:
    once = world(odds_ratio=4, hosts=1_500)
    assert judge(again(once), Settings(), NOW).equals(judge(once, Settings(), NOW))


@pytest.mark.parametrize("weeks", [-1, 0, 0.9])
def test_before_a_week_is_over_that_is_the_reason(world: World, weeks: float) -> None:
    rows = world(odds_ratio=4, hosts=300)
    now = MONDAY + (NOW - MONDAY) * weeks / 8
    assert judge(rows, Settings(), now).num_rows == 0
    for row in explain_pair(rows, Settings(), now, "W", "C1").verdicts[:2]:
        assert row["verdict"] == "insufficient data"
        assert [reason for reason in row["reasons"] if "no week with observations is over yet" in reason]


def test_one_week_of_sendings_is_said_to_be_one(world: World) -> None:
    rows = judge(world(hosts=600, weeks=2, rate=0.1), Settings(), NOW).to_pylist()
    (row,) = _of(rows, ("W", "C1"))
    assert row["verdict"] == "insufficient data"
    assert "a single window only" in row["reasons"]


def test_a_million_campaigns_of_one_message_change_nothing(world: World) -> None:
    rows = world(odds_ratio=4, hosts=1_500)
    sent = of_kind(rows, "message")
    noise = sent.take(pa.array(np.arange(_MILLION) % sent.num_rows))
    noise = changed(noise, "campaign", pa.array([f"X{number}" for number in range(_MILLION)]))
    whole = pa.concat_tables([rows, noise])
    assert judge(whole, Settings(), NOW).equals(judge(rows, Settings(), NOW))
    (row,) = _of(explain_pair(whole, Settings(), NOW, "W", "X7").verdicts, ("W", "X7"))
    assert row["verdict"] == "insufficient data"
    assert "the campaign was never sent by 5 units" in row["reasons"]


@pytest.mark.parametrize(
    ("senders", "verdict", "ratio"), [("own", "linked", np.inf), ("others", "evidence against", 0.0)]
)
def test_a_ratio_without_bound_is_told_and_drawn(world: World, senders: str, verdict: str, ratio: float) -> None:
    rows = world(odds_ratio=6, hosts=1_200, rate=0.04)
    own = pc.is_in(rows["host"], rows.filter(pc.equal(rows["family"], "W"))["host"].combine_chunks())
    sent = pc.equal(rows["campaign"], "C1").fill_null(False)
    rows = rows.filter(pc.or_(pc.invert(sent), pc.equal(own, senders == "own")))
    told = explain_pair(rows, Settings(), NOW, "W", "C1")
    (row,) = _of(told.verdicts, ("W", "C1"))
    assert (row["verdict"], row["odds_ratio"]) == (verdict, ratio)
    ET.fromstring(picture(told))
