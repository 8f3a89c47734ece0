"""`whimbrel simulate`, through the command line."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from whimbrel.cli.commands import main
from whimbrel.cli.simulate import command
from whimbrel.lookups.leases import read_leases
from whimbrel.lookups.networks import open_table
from whimbrel.sensors.observed import read_observations

WORLD = "weeks = 2\nunits = 30\nfamilies = 3\nnetworks = 40\nbase_rate = 0.3\nodds_ratio = 3\n"


@pytest.fixture
def world(tmp_path: Path) -> str:
    path = tmp_path / "small.toml"
    path.write_text(WORLD, encoding="utf-8")
    return str(path)


def test_a_file_and_standard_output_get_the_same_lines(world: str, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    printed = CliRunner().invoke(command, [world])
    assert CliRunner().invoke(command, [world, "--out", str(out)]).exit_code == 0
    assert out.read_bytes() == printed.stdout_bytes
    assert len(list(read_observations(out.read_bytes().splitlines()))) > 100


def test_seeds_and_settings_change_what_comes_out(world: str) -> None:
    texts = {CliRunner().invoke(command, [world, *more]).stdout for more in ([], ["--seed", "2"], ["--set", "churn=1"])}
    assert len(texts) == 3


def test_the_truth_is_printed_as_json_lines(world: str) -> None:
    lines = CliRunner().invoke(command, [world, "--truth"]).stdout.splitlines()
    assert len(lines) == 3 * 4
    assert lines[1] == '{"family":"family-01","campaign":"campaign-001","claim":"L2","holds":true,"odds_ratio":3.0}'


def test_observations_and_truth_can_be_had_at_once(world: str, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    told = CliRunner().invoke(command, [world, "--truth", "--out", str(out)])
    assert len(told.stdout.splitlines()) == 3 * 4
    assert out.stat().st_size > 10_000


def test_what_an_operator_would_know_is_written_beside(world: str, tmp_path: Path) -> None:
    out, table, leases = (tmp_path / name for name in ("out.jsonl", "as.txt", "leases.txt"))
    options = ["--as-table", str(table), "--leases", str(leases), "--set", "churn=1"]
    assert CliRunner().invoke(command, [world, "--out", str(out), *options]).exit_code == 0
    assert out.read_bytes() == CliRunner().invoke(command, [world, "--set", "churn=1"]).stdout_bytes
    assert open_table(table).notes == ["60 networks"]
    assert read_leases(leases).table.num_rows > 100


def test_a_bad_setting_is_one_line_and_exit_code_2(world: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["simulate", world, "--set", "chrun=1"])
    assert caught.value.code == 2
    assert capsys.readouterr().err == "whimbrel: --set chrun=1: unknown key 'chrun' (did you mean churn?)\n"
