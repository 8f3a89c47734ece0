import msgspec
import pytest

from whimbrel.pipeline.config import TABLES, Config, meaning_of, variable_of

SETTINGS = [(name, field) for name, table in TABLES.items() for field in msgspec.structs.fields(table)]


def test_every_table_is_one_of_the_settings() -> None:
    assert list(TABLES) == [field.name for field in msgspec.structs.fields(Config)]


@pytest.mark.parametrize(("table", "field"), SETTINGS)
def test_every_setting_says_what_it_means(table: str, field: msgspec.structs.FieldInfo) -> None:
    assert meaning_of(TABLES[table], field.name).endswith(".")


def test_every_setting_has_a_variable_of_its_own() -> None:
    names = [variable_of(table, field.name) for table, field in SETTINGS]
    assert len(set(names)) == len(names)
    assert "WHIMBREL_DATA" in names
    assert "WHIMBREL_CYCLE_POLL_SECONDS" in names
