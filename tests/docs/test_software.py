"""docs/software.md names every file to copy, and says truly which of them the tests use."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "software.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| \[([\w.-]+)\]\(software/\1\) \|.*\| ([^|]+) \|$", TEXT, re.MULTILINE))
TESTS = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "software").glob("*.py"))


def test_every_file_is_named_and_no_other() -> None:
    assert set(ROWS) == {path.name for path in (ROOT / "docs" / "software").iterdir()}


def test_what_is_called_tested_is_used_by_the_tests_and_nothing_else_is() -> None:
    for name, tested in ROWS.items():
        assert tested.startswith("yes") == (f'"{name}"' in TESTS), name
