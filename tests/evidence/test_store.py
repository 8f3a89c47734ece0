"""One store: made, opened, refused, appended to, read while written."""

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from whimbrel.errors import StoreError
from whimbrel.evidence import Evidence
from whimbrel.evidence.manifest import VERSION
from whimbrel.model.columns import FACTS, OBSERVATIONS

Append = Callable[..., dict[str, int]]


def test_what_is_appended_is_read_back(data_dir: Path, made: Any) -> None:
    observations, facts = made.observations(range(50)), made.facts(range(50))
    with Evidence.open(data_dir, write=True) as store, store.batch("first") as batch:
        assert batch.observations(observations) == 50
        batch.facts(facts)
    assert (batch.number, batch.added) == (1, {"observations": 50, "facts": 50})
    assert batch.days == {made.seen_at(n).date() for n in range(50)}
    with Evidence.open(data_dir) as store:
        assert store.observations().sort_by("id") == observations.sort_by("id")
        assert store.facts().sort_by("message_id") == facts.sort_by("message_id")
        assert pa.Table.from_batches(store.each_facts()).sort_by("message_id") == facts.sort_by("message_id")


def test_an_empty_store_reads_as_empty_tables(data_dir: Path) -> None:
    with Evidence.open(data_dir, write=True) as store:
        assert store.observations() == OBSERVATIONS.empty_table()
        assert store.facts() == FACTS.empty_table()
        assert store.derived("hosts") is None
        assert list(store.in_decision_order()) == []
        assert store.query("SELECT count(*) AS n FROM observations JOIN facts USING (message_id)")["n"].to_pylist() == [
            0
        ]


def test_rows_are_kept_once(data_dir: Path, made: Any, append: Append) -> None:
    with Evidence.open(data_dir, write=True) as store:
        with store.batch("twice in one batch") as batch:
            assert batch.observations(made.observations([1, 2, 1])) == 2
            assert batch.observations(made.observations([2, 3])) == 1
        assert append(store, range(5)) == {"observations": 2, "facts": 5}
        assert append(store, range(5)) == {"observations": 0, "facts": 0}
        assert store.observations().num_rows == store.facts().num_rows == 5


def test_what_is_learned_after_a_moment_is_counted(data_dir: Path, made: Any, append: Append) -> None:
    with Evidence.open(data_dir, write=True) as store:
        assert (store.last_batch(), store.learned_after(made.seen_at(0))) == (0, 0)
        append(store, range(5))
        append(store, range(5, 40))
        learned = store.observations(columns=["learned_at"])["learned_at"].to_pylist()
        for at in (min(learned) - timedelta(days=1), learned[7], max(learned)):
            assert store.learned_after(at) == sum(each > at for each in learned)
        assert store.last_batch() == 2


def test_a_failed_batch_leaves_nothing(data_dir: Path, made: Any, append: Append) -> None:
    with Evidence.open(data_dir, write=True) as store:
        append(store, range(5))
        before = store.counts()
        files = sorted(data_dir.rglob("*.parquet"))
        with pytest.raises(KeyboardInterrupt), store.batch("fails") as batch:  # noqa: PT012
            batch.observations(made.observations(range(20)))
            store.remember("mark", "moved")
            raise KeyboardInterrupt
        assert store.counts() == before
        assert store.recall("mark") is None
        assert sorted(data_dir.rglob("*.parquet")) == files
        assert append(store, range(6)) == {"observations": 1, "facts": 1}


def test_a_second_writer_is_told_who_is_at_work(data_dir: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from whimbrel.evidence import Evidence\n"
        "with Evidence.open(Path(sys.argv[1]), write=True): print('open', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(data_dir)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(StoreError, match=f"pid {other.pid}") as refusal:
            Evidence.open(data_dir, write=True)
        assert "\n" not in str(refusal.value)
        with Evidence.open(data_dir) as reader:
            assert reader.counts().batches == 0
        other.stdin.close()
    Evidence.open(data_dir, write=True).close()


def test_a_store_of_another_version_is_refused(data_dir: Path) -> None:
    Evidence.open(data_dir, write=True).close()
    db = sqlite3.connect(data_dir / "evidence" / "manifest.sqlite")
    db.execute("UPDATE store SET value = '1.999' WHERE key = 'version'")
    db.commit()
    db.close()
    for write in (False, True):
        with pytest.raises(StoreError, match=r"manifest\.sqlite has schema version 1\.999.*ingest again"):
            Evidence.open(data_dir, write=write)


def test_a_store_of_the_earlier_layout_is_read_and_brought_up_to_date(
    data_dir: Path, made: Any, append: Append
) -> None:
    with Evidence.open(data_dir, write=True) as store:
        append(store, range(5))
        with store.batch("corrects") as batch:
            batch.correct(made.observations([9], supersedes=made.id(1)), [made.id(2)])
    path = data_dir / "evidence" / "manifest.sqlite"
    db = sqlite3.connect(path)
    db.execute("DROP TABLE corrections")
    db.execute("UPDATE store SET value = ? WHERE key = 'version'", (VERSION.replace("2.", "1.", 1),))
    db.commit()
    db.close()
    superseded = sorted([(made.id(1), 0, False), (made.id(2), 0, False)])
    for write in (False, True):
        with Evidence.open(data_dir, write=write) as store:
            assert store.observations().num_rows == 4
            assert store._manifest.corrections(1) == superseded
    with Evidence.open(data_dir) as store:
        assert store._manifest._version() == VERSION


def test_reading_where_nothing_is_stored_is_refused(data_dir: Path) -> None:
    with pytest.raises(StoreError, match="no evidence in"):
        Evidence.open(data_dir)
    assert list(data_dir.iterdir()) == []


def test_a_damaged_manifest_is_one_line(data_dir: Path) -> None:
    Evidence.open(data_dir, write=True).close()
    (data_dir / "evidence" / "manifest.sqlite").write_bytes(b"not a database, and long enough to be read as one" * 100)
    with pytest.raises(StoreError, match=r"cannot open .*manifest\.sqlite: file is not a database") as refusal:
        Evidence.open(data_dir)
    assert "\n" not in str(refusal.value)


def test_a_data_folder_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="Not a directory"):
        Evidence.open(tmp_path / "file", write=True)


def test_nothing_is_readable_by_others(data_dir: Path, made: Any, append: Append) -> None:
    with Evidence.open(data_dir, write=True) as store:
        append(store, range(3))
        store.stage("a", "made", [made.reading(1)])
        for path in (data_dir / "evidence").rglob("*"):
            if path.is_dir() or path.suffix in {".parquet", ".arrow", ".key"}:
                assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def test_two_readers_see_whole_batches_while_a_writer_works(data_dir: Path, made: Any, append: Append) -> None:
    with Evidence.open(data_dir, write=True) as writer:
        append(writer, range(10))
        with Evidence.open(data_dir) as one, Evidence.open(data_dir) as two:
            with writer.batch("second") as batch:
                batch.observations(made.observations(range(10, 30)))
                assert one.observations().num_rows == 10
            under_way = two.in_decision_order()
            first = next(under_way)
            assert one.observations().num_rows == 30
            append(writer, range(30, 40))
            writer.compact(min_files=2)
            rest = sum(each.num_rows for each in under_way)
            assert first.num_rows + rest == 30
            assert two.query("SELECT count(*) AS n FROM observations")["n"].to_pylist() == [40]


def test_readers_in_other_processes_see_whole_batches(data_dir: Path, append: Append) -> None:
    script = (
        "import sys; from pathlib import Path; from whimbrel.evidence import Evidence\n"
        "counts = set()\n"
        "with Evidence.open(Path(sys.argv[1])) as store:\n"
        "    print('open', flush=True)\n"
        "    while not counts or max(counts) < 60:\n"
        "        counts.add(store.observations(columns=['id']).num_rows)\n"
        "print(all(n % 10 == 0 for n in counts), flush=True)"
    )
    command = [sys.executable, "-c", script, str(data_dir)]
    with Evidence.open(data_dir, write=True) as writer:
        append(writer, range(10))
        with (
            subprocess.Popen(command, stdout=subprocess.PIPE) as one,
            subprocess.Popen(command, stdout=subprocess.PIPE) as two,
        ):
            for reader in (one, two):
                assert reader.stdout is not None
                assert reader.stdout.readline() == b"open\n"
            for start in range(10, 60, 10):
                append(writer, range(start, start + 10))
                writer.compact(min_files=2)
            for reader in (one, two):
                assert reader.stdout is not None
                assert reader.stdout.readline() == b"True\n"


def test_chunks_go_from_staged_to_ingested(data_dir: Path, made: Any, append: Append) -> None:
    with Evidence.open(data_dir, write=True) as store:
        store.stage("b", "made", [made.reading(2)])
        store.stage("a", "made", [made.reading(1)])
        append(store, range(2))  # a batch that is not made from them leaves them
        assert store.staged_keys() == ["a", "b"]
        append(store, range(4), chunks=["a"])
        assert store.staged_keys() == ["b"]
        assert [store.is_ingested(key) for key in "ab"] == [True, False]
        assert store.counts().staged_chunks == store.counts().ingested_chunks == 1


def test_settings_are_remembered(data_dir: Path) -> None:
    with Evidence.open(data_dir, write=True) as store:
        store.remember("trust", "one")
        store.remember("trust", "two")
    with Evidence.open(data_dir) as store:
        assert store.recall("trust") == "two"
        assert store.recall("other") is None


def test_counts_tell_rows_days_and_files(data_dir: Path, append: Append) -> None:
    with Evidence.open(data_dir, write=True) as store:
        append(store, range(90))
        store.replace("hosts", {"": pa.table({"host": ["a", "b"]})}, stage="hosts", version=1)
        counts = store.counts()
    assert counts.observations.rows == counts.facts.rows == 90
    assert (counts.observations.first_day, counts.observations.last_day) == (date(2002, 7, 1), date(2002, 9, 28))
    assert counts.observations.files == 3  # July, August, September: no day is dense
    assert counts.derived == {"hosts": 2}
    on_disk = sum(path.stat().st_size for path in (data_dir / "evidence" / "facts").iterdir())
    assert counts.facts.bytes == on_disk


def test_a_full_disk_is_one_line_and_harms_nothing(
    data_dir: Path, made: Any, append: Append, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, os.strerror(28))

    with Evidence.open(data_dir, write=True) as store:
        append(store, range(10))
        before = store.counts()
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            for attempt in (
                lambda: append(store, range(20)),
                lambda: store.stage("a", "made", [made.reading(1)]),
                lambda: store.replace("hosts", {"": pa.table({"host": ["a"]})}, stage="hosts", version=1),
            ):
                with pytest.raises(StoreError, match="No space left on device") as refusal:
                    attempt()
                assert "\n" not in str(refusal.value)
        assert store.counts() == before
        assert append(store, range(20)) == {"observations": 10, "facts": 10}
