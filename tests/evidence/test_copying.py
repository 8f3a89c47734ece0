"""One moment of a store: what is committed while it is copied is not in it, and what it names is."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from whimbrel.errors import StoreError
from whimbrel.evidence import Evidence
from whimbrel.evidence.checking import check
from whimbrel.evidence.copying import (
    Copied,
    MomentPassedError,
    copy_database,
    copy_file,
    copy_moment,
    copy_staged,
    moment,
    write_ahead,
)

Append = Callable[..., dict[str, int]]


@pytest.fixture
def folder(data_dir: Path, append: Append) -> Path:
    with Evidence.open(data_dir, write=True) as store:
        append(store, range(40))
        append(store, range(40, 60))
    return data_dir / "evidence"


def copied(folder: Path, goal: Path, earlier: Path | None = None, *, link: bool = False) -> Copied:
    copy_staged(folder, goal)
    with moment(folder / "manifest.sqlite") as manifest:
        return copy_moment(folder, manifest, goal, earlier, link=link)


def rows_of(data_dir: Path) -> int:
    with Evidence.open(data_dir) as store:
        return int(store.observations().num_rows)


def test_a_moment_is_held_whatever_is_committed_after_it(folder: Path, data_dir: Path, append: Append) -> None:
    goal = data_dir / "copy" / "evidence"
    copy_staged(folder, goal)
    with moment(folder / "manifest.sqlite") as manifest:
        with Evidence.open(data_dir, write=True) as store:
            append(store, range(60, 80))
            store.compact(min_files=2)  # what the moment names is dead by now, and still there
        copy_moment(folder, manifest, goal, None, link=False)
    assert (rows_of(data_dir / "copy"), rows_of(data_dir)) == (60, 80)
    assert list(check(goal)) == []


def test_a_moment_whose_files_are_deleted_has_passed(
    folder: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whimbrel.evidence.compaction.GRACE_SECONDS", -1.0)
    goal = data_dir / "copy"
    copy_staged(folder, goal)
    with moment(folder / "manifest.sqlite") as manifest:
        with Evidence.open(data_dir, write=True) as store:
            assert store.compact(min_files=2).deleted
        with pytest.raises(MomentPassedError):
            copy_moment(folder, manifest, goal, None, link=False)


def test_a_copied_database_is_one_file_until_it_is_used_again(folder: Path, tmp_path: Path) -> None:
    goal = tmp_path / "copy.sqlite"
    with moment(folder / "manifest.sqlite") as manifest:
        copy_database(manifest, goal)
    assert [path.name for path in tmp_path.glob("copy.sqlite*")] == ["copy.sqlite"]
    assert goal.stat().st_mode & 0o777 == 0o600
    write_ahead(goal)
    db = sqlite3.connect(goal)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    db.close()


def test_a_chunk_is_in_staging_or_in_the_manifest_whenever_it_is_appended(
    folder: Path, data_dir: Path, made: Any
) -> None:
    """Appended between the copy of staging and the manifest's moment, it is in both, and once when it is opened."""
    goal = data_dir / "copy" / "evidence"
    with Evidence.open(data_dir, write=True) as store:
        store.stage("chunk", "made", [made.reading(n) for n in range(90, 95)])
        (folder / "staging" / ".draft-other.arrow").write_bytes(b"half")
        copy_staged(folder, goal)
        with store.batch("mail", chunks=["chunk"]) as batch:
            for table in store.staged():
                batch.facts(table)
        with moment(folder / "manifest.sqlite") as manifest:
            copy_moment(folder, manifest, goal, None, link=False)
        copy_file(folder / "recipients.key", goal / "recipients.key")
    assert [path.name for path in (goal / "staging").iterdir()] == ["chunk.arrow"]
    with Evidence.open(data_dir / "copy", write=True) as store:
        assert store.staged_keys() == []
        assert store.facts().num_rows == 65
    assert list(check(goal)) == []


def test_a_second_copy_links_what_the_first_has(folder: Path, data_dir: Path, append: Append) -> None:
    first, second = data_dir / "1", data_dir / "2"
    whole = copied(folder, first)
    assert whole.copied == whole.files > 2
    with Evidence.open(data_dir, write=True) as store:
        append(store, range(60, 80))
    new = copied(folder, second, first)
    assert new.files > whole.files
    assert new.copied == new.files - whole.files
    (old,) = {path.name for path in (first / "facts").iterdir()} - {
        path.name for path in (folder / "facts").iterdir()
    } or {min(path.name for path in (first / "facts").iterdir())}
    assert (first / "facts" / old).samefile(second / "facts" / old)
    assert not (first / "facts" / old).samefile(folder / "facts" / old)
    assert list(check(second)) == []


def test_an_earlier_copy_that_is_torn_is_not_linked(folder: Path, data_dir: Path) -> None:
    first, second = data_dir / "1", data_dir / "2"
    copied(folder, first)
    torn = min((first / "facts").iterdir())
    torn.write_bytes(torn.read_bytes()[:-1])
    assert copied(folder, second, first).copied == 1
    assert list(check(second)) == []


def test_with_link_the_stores_own_files_are_linked(folder: Path, data_dir: Path) -> None:
    copied(folder, data_dir / "1", link=True)
    for path in (folder / "facts").iterdir():
        assert path.samefile(data_dir / "1" / "facts" / path.name)


def test_without_links_files_are_copied(folder: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", no_links)
    copied(folder, data_dir / "1", link=True)
    copied(folder, data_dir / "2", data_dir / "1")
    assert list(check(data_dir / "2")) == []


def test_a_damaged_store_is_not_copied_in_silence(folder: Path, data_dir: Path) -> None:
    path = min((folder / "facts").iterdir())
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(StoreError, match=r"is torn.*whimbrel check"):
        copied(folder, data_dir / "1")
    path.unlink()
    with pytest.raises(StoreError, match=r"cannot be found.*whimbrel check"):
        copied(folder, data_dir / "2")
