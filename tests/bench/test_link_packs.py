"""Runs that share a pass: each is what it is alone, bit for bit."""

from datetime import UTC, datetime
from typing import Any

import pytest
from bench.link_packs import Run, tabulate
from bench.link_runs import WORLDS, end_of
from bench.second_generator import START_SECONDS
from bench.second_generator import generate as generate_second

from whimbrel.analysis.links import Settings, verdicts
from whimbrel.analysis.links.units import WINDOW_SECONDS
from whimbrel.worlds import generate, read_world

SETTINGS = Settings()
SMALL = ("units=150", "weeks=10", "networks=60", "base_rate=0.3")


def said(run: Run) -> list[Any]:
    looks = [verdicts(evidence).to_pylist() for evidence in run.looks(SETTINGS)]
    evidence = run.evidence(SETTINGS)
    return [looks, *evidence.state.store(), evidence.campaigns, evidence.families]


@pytest.mark.parametrize(
    ("world", "more"),
    [("null-sensor-mismatch", ()), ("null-dhcp-churn", ()), ("linked-every-confounder", ("campaigns=3",))],
)
def test_a_pack_says_of_each_run_what_it_says_alone(world: str, more: tuple[str, ...]) -> None:
    read = read_world(WORLDS / f"{world}.toml", [*SMALL[: 4 if world.startswith("null") else 1], *more])
    tables, now = [generate(read, seed) for seed in range(1, 4)], end_of(read, SETTINGS)
    together = tabulate(tables, SETTINGS, now)
    assert [said(run) for run in together] == [said(tabulate([table], SETTINGS, now)[0]) for table in tables]
    assert said(together[0]) != said(together[1])


def test_a_pack_takes_plain_texts() -> None:
    tables = [generate_second(seed, families=4, campaigns=3, weeks=5)[0] for seed in (1, 2)]
    now = datetime.fromtimestamp(START_SECONDS + 6 * WINDOW_SECONDS, UTC)
    assert [said(run) for run in tabulate(tables, SETTINGS, now)] == [
        said(tabulate([table], SETTINGS, now)[0]) for table in tables
    ]
