"""docs/running.md names every setting of `whimbrel run`, and no other."""

import json

import msgspec
from tests.docs.test_docs import TEXTS, rows, section

from whimbrel.pipeline.config import TABLES, meaning_of

RUNNING = TEXTS["docs/running.md"]


def test_every_setting_is_documented_with_its_default_and_meaning() -> None:
    table = {cells[0].strip("`"): cells[1:] for cells in rows(section(RUNNING, "Settings"))[1:]}
    fields = {
        f"{name}.{field.name}": (table_type, field)
        for name, table_type in TABLES.items()
        for field in msgspec.structs.fields(table_type)
    }
    assert list(table) == list(fields)
    for key, (table_type, field) in fields.items():
        default, meaning = table[key]
        assert meaning.lower() == meaning_of(table_type, field.name).rstrip(".").lower()
        if field.required:
            assert default == "none"
        else:
            assert json.loads(default.strip("`")) == json.loads(msgspec.json.encode(field.default))


def test_lines_fit() -> None:
    assert all(len(line) <= 120 for line in RUNNING.splitlines())
