"""Derived tables: replaced by partition or whole, all at once."""

from pathlib import Path

import pyarrow as pa
import pytest

from whimbrel.evidence import Evidence


def table(*values: int) -> pa.Table:
    return pa.table({"value": pa.array(values, pa.int64())})


def test_partitions_are_replaced_by_name(data_dir: Path) -> None:
    with Evidence.open(data_dir, write=True) as store:
        store.replace("hosts", {"b": table(2), "a": table(1)}, stage="hosts", version=1)
        store.replace("hosts", {"b": table(3), "c": table()}, stage="hosts", version=2)
        assert store.derived("hosts") == table(1, 3)
        assert store.derived("hosts", ["b"]) == table(3)
        assert store.derived("hosts", ["c"]) == table()
        assert store.derived("hosts", ["d"]) is None
        assert store.derived_versions("hosts") == {("hosts", 1), ("hosts", 2)}
        store.replace("hosts", {"": table(9)}, stage="hosts", version=2)
        assert store.derived("hosts") == table(9)
        assert store.derived_versions("hosts") == {("hosts", 2)}


def test_a_failed_replacement_changes_nothing(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Evidence.open(data_dir, write=True) as store:
        store.replace("hosts", {"a": table(1), "b": table(2)}, stage="hosts", version=1)
        files = sorted(data_dir.rglob("*.parquet"))
        with pytest.raises(AttributeError):
            store.replace("hosts", {"a": table(3), "b": None}, stage="hosts", version=1)
        assert store.derived("hosts") == table(1, 2)
        assert sorted(data_dir.rglob("*.parquet")) == files


@pytest.mark.parametrize("name", ["", "Hosts", "facts", "observations", "a/b", 'a"b', "../a"])
def test_a_bad_name_is_refused(data_dir: Path, name: str) -> None:
    with Evidence.open(data_dir, write=True) as store, pytest.raises(ValueError, match="derived table"):
        store.replace(name, {"": table(1)}, stage="hosts", version=1)


def test_a_bad_partition_is_refused(data_dir: Path) -> None:
    with Evidence.open(data_dir, write=True) as store, pytest.raises(ValueError, match="partition"):
        store.replace("hosts", {"../a": table(1)}, stage="hosts", version=1)
