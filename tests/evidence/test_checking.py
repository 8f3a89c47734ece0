"""Each kind of damage, made exactly, is found and named, and nothing else is."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whimbrel.evidence import Evidence
from whimbrel.evidence.checking import Finding, check
from whimbrel.evidence.files import write_parquet

Append = Callable[..., dict[str, int]]


@pytest.fixture
def folder(data_dir: Path, append: Append, made: Any) -> Path:
    """A store of two batches, a derived table, and a chunk that waits."""
    with Evidence.open(data_dir, write=True) as store:
        append(store, range(40))
        append(store, range(30, 60))
        store.replace("hosts", {"a": pa.table({"n": [1, 2]})}, stage="hosts", version=1)
        store.stage("chunk", "made", [made.reading(n) for n in range(90, 95)])
    return data_dir / "evidence"


def found(folder: Path) -> list[tuple[str, str]]:
    return [(each.grade, each.place) for each in check(folder)]


def one(folder: Path) -> Finding:
    (finding,) = check(folder)
    assert "\n" not in finding.problem + finding.mend
    return finding


def live(folder: Path, kind: str) -> Path:
    """Return the first file of a kind."""
    return min((folder / kind).glob("*.parquet"))


def execute(folder: Path, statement: str, *parameters: object) -> None:
    db = sqlite3.connect(folder / "manifest.sqlite")
    assert db.execute(statement, parameters).rowcount > 0
    db.commit()
    db.close()


def rewrite(folder: Path, kind: str, change: Callable[[pa.Table], pa.Table]) -> Path:
    """Write another table over a file, whose size and rows the manifest then has right."""
    path = live(folder, kind)
    table = change(pq.read_table(path, partitioning=None))
    path.unlink()
    size = write_parquet(path, table)
    name = path.relative_to(folder).as_posix()
    execute(folder, "UPDATE files SET bytes = ?, rows = ? WHERE path = ?", size, table.num_rows, name)
    return path


def test_a_folder_may_have_any_name(folder: Path, tmp_path: Path) -> None:
    odd = folder.rename(tmp_path / "50% of?it #1")
    assert found(odd) == []
    (odd / "manifest.sqlite").write_bytes(b"no database at all" * 300)
    assert "is damaged" in one(odd).problem


def test_a_sound_store_has_no_findings(folder: Path) -> None:
    assert found(folder) == []
    with Evidence.open(folder.parent, write=True) as store:
        store.compact(min_files=2)
        with store.batch("made") as batch:  # and beside a writer in the midst of a batch
            assert found(folder) == []
            del batch


@pytest.mark.parametrize("kind", ["observations", "facts", "derived/hosts"])
def test_a_file_that_is_missing_torn_or_damaged_is_named(folder: Path, kind: str) -> None:
    path = live(folder, kind)
    name = f"{kind}/{path.name}"
    whole = path.read_bytes()
    path.unlink()
    finding = one(folder)
    assert (finding.grade, finding.place) == ("wrong", name)
    assert "cannot be found" in finding.problem
    assert "whimbrel restore" in finding.mend
    path.write_bytes(whole[:-20])
    assert "is torn" in one(folder).problem
    path.write_bytes(bytes(len(whole)))
    assert "is damaged" in one(folder).problem
    flipped = bytearray(whole)
    flipped[40] ^= 1  # within the first page, whose CRC tells
    path.write_bytes(flipped)
    assert "is damaged" in one(folder).problem


def test_a_file_of_other_rows_is_named(folder: Path) -> None:
    path = rewrite(folder, "facts", lambda table: table.slice(0, 1))
    (finding,) = check(folder)
    assert "in no file" in finding.problem
    execute(folder, "UPDATE files SET rows = 9 WHERE path = ?", f"facts/{path.name}")
    assert one(folder).problem == "holds 1 rows, and the manifest says 9"


def test_a_file_of_other_columns_is_named(folder: Path) -> None:
    path = rewrite(folder, "observations", lambda table: table.drop_columns(["host"]))
    finding = one(folder)
    assert finding.place == f"observations/{path.name}"
    assert "is damaged" in finding.problem


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("seen_at", "seen_first = seen_first + 1"),
        ("learned_at", "learned_last = learned_last - 1"),
        ("batch", "last_batch = 0"),
    ],
)
def test_rows_outside_of_what_the_manifest_says_of_their_file_are_told(folder: Path, column: str, change: str) -> None:
    name = f"observations/{live(folder, 'observations').name}"
    execute(folder, f"UPDATE files SET {change} WHERE path = ?", name)
    finding = one(folder)
    assert finding.place == name
    assert f"rows whose {column} the manifest does not cover" in finding.problem


def test_ids_that_differ_are_counted(folder: Path, made: Any) -> None:
    execute(folder, "DELETE FROM facts_ids WHERE id IN (?, ?)", made.id(3), made.id(4))
    finding = one(folder)
    assert (finding.grade, finding.place) == ("wrong", "facts")
    assert finding.problem.startswith("2 rows are not known to the manifest")
    execute(folder, "INSERT INTO facts_ids VALUES (?), (?), (?)", made.id(3), made.id(4), b"\0" * 16)
    assert one(folder).problem == "1 rows that the manifest knows are in no file"


def test_a_row_that_is_there_twice_is_counted(folder: Path) -> None:
    rewrite(folder, "observations", lambda table: pa.concat_tables([table, table.slice(0, 1)]))
    assert one(folder).problem == "1 rows are there more than once"


def test_a_damaged_manifest_is_told_and_nothing_else_guessed(folder: Path) -> None:
    path = folder / "manifest.sqlite"
    whole = path.read_bytes()
    for damaged in (
        b"no database at all" * 300,
        whole[:4096] + b"\xff" * 4096 + whole[8192:],
        whole[: len(whole) // 2],
    ):
        path.write_bytes(damaged)
        finding = one(folder)
        assert (finding.grade, finding.place) == ("wrong", "manifest.sqlite")
        assert "is damaged" in finding.problem
    path.unlink()
    assert one(folder).problem == "is not there"


def test_another_version_is_told(folder: Path) -> None:
    execute(folder, "UPDATE store SET value = '0.1' WHERE key = 'version'")
    finding = one(folder)
    assert "has schema version 0.1" in finding.problem
    assert "the Whimbrel that wrote it" in finding.mend


def test_a_torn_chunk_is_named(folder: Path) -> None:
    path = folder / "staging" / "chunk.arrow"
    path.write_bytes(path.read_bytes()[:-50])
    finding = one(folder)
    assert (finding.grade, finding.place) == ("wrong", "staging/chunk.arrow")
    assert "ingest again" in finding.mend


def test_what_a_crash_left_is_a_note(folder: Path) -> None:
    (folder / "staging" / ".draft-x.arrow").write_bytes(b"half")
    (folder / "facts" / "2002-07-0badcafe.parquet").write_bytes(b"half")
    (folder / "derived" / "notes.txt").write_text("mine")
    (folder / "odd").write_text("")
    assert found(folder) == [
        ("note", "staging/.draft-x.arrow"),
        ("note", "derived/notes.txt"),
        ("note", "facts/2002-07-0badcafe.parquet"),
        ("note", "odd"),
    ]
    Evidence.open(folder.parent, write=True).close()
    assert found(folder) == [("note", "derived/notes.txt"), ("note", "odd")]


def test_keys_are_looked_at(folder: Path, data_dir: Path, made: Any) -> None:
    path = folder / "recipients.key"
    with Evidence.open(data_dir, write=True) as store, store.batch("mail", chunks=["chunk"]) as batch:
        for table in store.staged():
            batch.facts(table)
    key_id = path.read_text().splitlines()[1].split()[0]
    assert found(folder) == []
    path.chmod(0o644)
    assert "can be read by others" in one(folder).problem
    path.chmod(0o600)
    path.write_text("id torn\n")
    assert "is not a key" in one(folder).problem
    path.unlink()
    finding = one(folder)
    assert (finding.grade, finding.place) == ("note", "recipients.key")
    assert key_id in finding.problem


def test_a_million_ids_are_compared_in_seconds(made: Any) -> None:
    import numpy as np  # noqa: PLC0415

    from whimbrel.evidence.checking import _ids_differ  # noqa: PLC0415

    ids = np.random.default_rng(1).integers(0, 1 << 63, (1_000_000, 2), dtype=np.uint64)
    assert list(_ids_differ("facts", ids, ids[::-1], 0)) == []
    (finding,) = _ids_differ("facts", ids, ids[1:], 0)
    assert finding.problem.startswith("1 rows are not known")
