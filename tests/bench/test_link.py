"""The bench of the link test: bounds, the order of runs, and that a rerun skips what is there."""

import json
from pathlib import Path

import numpy as np
import pytest
from bench.link import SECTIONS, SHIPPED, packs, points, stored, tasks
from bench.link_bounds import interval, lower, upper
from bench.link_runs import Task, normal_tail, world_of
from bench.link_tables import calibration_of, tables


def test_bounds_are_those_of_clopper_and_pearson() -> None:
    # For no event in n runs the bounds have a closed form.
    assert upper(0, 500) == pytest.approx(1 - 0.05 ** (1 / 500))
    assert lower(500, 500) == pytest.approx(0.05 ** (1 / 500))
    assert interval(0, 20)[1] == pytest.approx(1 - 0.025 ** (1 / 20))
    assert interval(5, 5)[0] == pytest.approx(0.025 ** (1 / 5))
    assert upper(3, 3) == 1
    assert lower(0, 3) == 0
    assert upper(5, 100) == pytest.approx(0.1023, abs=1e-4)  # tables: 5 of 100


def test_normal_tail() -> None:
    assert normal_tail(1.6448536) == pytest.approx(0.05)


def test_calibration_of_a_true_and_of_a_false_prophet() -> None:
    true = np.array([0.0, 1.0] * 50)
    assert calibration_of(np.full(100, 0.5), true) == (0.0, 0.25)
    assert calibration_of(1 - true, true) == (1.0, 1.0)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_point_has_a_run_early_and_no_run_twice(section: str) -> None:
    found = tasks(section, 12)
    assert len(set(found)) == len(found)
    wanted = {(world, settings) for world, settings, _ in points(section)}
    assert {(task.world, task.settings) for task in found[: 4 * len(wanted)]} == wanted


@pytest.mark.parametrize("section", SECTIONS)
def test_packs_hold_every_run_once_and_one_point_each(section: str) -> None:
    wanted = tasks(section, 10)
    found = packs(wanted, 4)
    assert sorted(task for pack in found for task in pack) == sorted(wanted)
    assert all(len({(task.world, task.settings) for task in pack}) == 1 for pack in found)
    assert max(len(pack) for pack in found) <= 4
    assert [pack[0] for pack in found] == sorted((pack[0] for pack in found), key=wanted.index)


def test_every_world_of_the_bench_can_be_read() -> None:
    for section in SECTIONS:
        for world, settings, _ in points(section):
            if world not in {"second-generator", SHIPPED}:
                world_of(Task(section, world, settings, 1), skip=int(section == "placebo"))


def test_lines_are_stored_and_a_cut_one_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    line = {"section": "size", "world": "big", "settings": "", "seed": 1, "code": "x", "seconds": 1.0}
    path.write_text(json.dumps(line) + '\n{"section": "nu')
    assert stored(path) == [line]
    assert stored(tmp_path / "none.jsonl") == []
    assert tables([]) == "no runs yet"
