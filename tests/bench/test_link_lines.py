"""A world through text and the command line: the verdicts are those on its columns."""

from bench.link_lines import by_command_line
from bench.link_runs import WORLDS, end_of

from whimbrel.analysis.links import Settings, judge
from whimbrel.worlds import generate, read_world


def test_the_command_line_says_what_the_function_says() -> None:
    world = read_world(WORLDS / "linked-or-5.toml", ["units=150", "networks=60", "base_rate=0.2"])
    observations, now = generate(world, 1), end_of(world, Settings())
    told = by_command_line(observations, now)
    assert told == judge(observations, Settings(), now).to_pylist()
    assert any(row["claim"] == "L2" and row["odds_ratio"] is not None for row in told)
