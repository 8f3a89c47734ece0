"""The second generator (bench/second_generator.py): its own code, its own truth, valid observations."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from whimbrel.sensors.observed import read_observations
from whimbrel.worlds.rows import COLUMNS

PATH = Path(__file__).resolve().parents[2] / "bench" / "second_generator.py"


@pytest.fixture(scope="module")
def second() -> ModuleType:
    spec = importlib.util.spec_from_file_location("second_generator", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["second_generator"] = module
    spec.loader.exec_module(module)
    return module


def test_it_shares_no_code_with_the_first() -> None:
    assert not [line for line in PATH.read_text().splitlines() if line.startswith(("import w", "from whimbrel"))]


def test_equal_seeds_give_equal_worlds_with_a_fifth_of_the_pairs_linked(second: ModuleType) -> None:
    table, truths = second.generate(1, families=5, campaigns=6, weeks=6)
    assert table.equals(second.generate(1, families=5, campaigns=6, weeks=6)[0])
    assert not table.equals(second.generate(2, families=5, campaigns=6, weeks=6)[0])
    assert (len(truths), sum(truth.linked for truth in truths)) == (30, 6)
    assert table.schema.names == COLUMNS.names


def test_its_file_can_be_read(second: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "second.jsonl"
    small = second.generate(1, families=3, campaigns=2, weeks=2)
    monkeypatch.setattr(second, "generate", lambda _: small)
    monkeypatch.setattr(sys, "argv", ["second_generator", "--out", str(out)])
    second.main()
    lines = out.read_bytes().splitlines()
    assert json.loads(lines[0])["host"].startswith("10.")
    assert len(list(read_observations(lines))) == len(lines) > 100
