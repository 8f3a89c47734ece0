"""docs/worlds.md documents every setting with its default, every key of a table, every claim, and every world file."""

from pathlib import Path

import pytest

from whimbrel.worlds import Bundle, Link, World
from whimbrel.worlds.rows import COLUMNS

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "worlds.md").read_text(encoding="utf-8")


def as_written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize("name", World.__struct_fields__)
def test_every_setting_is_documented_with_its_default(name: str) -> None:
    rows = [line.split(" | ") for line in TEXT.splitlines() if line.startswith(f"| `{name}` | ")]
    assert any(len(row) == 4 and row[2] == as_written(getattr(World(), name)) for row in rows)


@pytest.mark.parametrize("name", {*Link.__struct_fields__, *Bundle.__struct_fields__})
def test_every_key_of_a_table_is_documented(name: str) -> None:
    assert f"| `{name}` | " in TEXT.partition("### `[[links]]`")[2]


@pytest.mark.parametrize("name", [path.name for path in (ROOT / "worlds").glob("*.toml")])
def test_every_world_file_is_named(name: str) -> None:
    assert f"| `{name}` | " in TEXT


def test_every_column_is_named() -> None:
    assert all(f"`{name}`" in TEXT for name in COLUMNS.names)
