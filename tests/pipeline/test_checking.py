"""A whole store, with exactly one thing wrong at a time."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests import forks
from tests.cli.running import WHIMBREL
from tests.pipeline.conftest import Undisturbed
from tests.pipeline.mail import day

from whimbrel.errors import StoreError
from whimbrel.evidence.checking import Finding
from whimbrel.listings.ledger import Ledger, rows
from whimbrel.pipeline import keys
from whimbrel.pipeline.checking import check, is_sound
from whimbrel.pipeline.keys import KeyPlace
from whimbrel.pipeline.publish import publish

NOW = day(60)


@pytest.fixture
def store(tmp_path: Path, undisturbed: Undisturbed) -> Path:
    """A copy of the store, with a list that is published and signed."""
    data_dir = tmp_path / "store"
    shutil.copytree(undisturbed.data_dir, data_dir)
    keys.make(KeyPlace.of("signing", data_dir), NOW)
    published(data_dir)
    return data_dir


def published(data_dir: Path) -> None:
    publish(data_dir, NOW, zone="bl.example", servers=("ns",), mailbox=None, valid=timedelta(hours=2))


def one(data_dir: Path, now: datetime | None = NOW) -> Finding:
    findings = check(data_dir, now)
    (finding,) = findings
    assert is_sound(findings) == (finding.grade == "note")
    return finding


def execute(path: Path, statement: str) -> None:
    db = sqlite3.connect(path)
    assert db.execute(statement).rowcount > 0
    db.commit()
    db.close()


_LAST = "SELECT target FROM listing ORDER BY until DESC, target LIMIT 1"


def test_a_sound_store_is_sound(store: Path) -> None:
    assert check(store, NOW) == []


def test_where_there_is_no_store_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no evidence"):
        check(tmp_path, NOW)


def test_what_is_wrong_with_evidence_is_told_with_its_place(store: Path) -> None:
    path = min((store / "evidence" / "facts").iterdir())
    path.write_bytes(path.read_bytes()[:-1])
    assert one(store).place == f"evidence/facts/{path.name}"


def test_a_list_that_is_not_what_its_log_says_is_told(store: Path) -> None:
    execute(
        store / "ledger.sqlite",
        f"UPDATE listing SET until = until + 1 WHERE target = ({_LAST})",
    )
    finding = one(store)
    assert (finding.grade, finding.place) == ("wrong", "ledger.sqlite")
    assert "the list is not what its log says of 1: " in finding.problem


def test_a_log_that_lost_an_event_is_told(store: Path) -> None:
    execute(
        store / "ledger.sqlite",
        "DELETE FROM event WHERE number = (SELECT max(number) FROM event WHERE change = 'listed')",
    )
    assert "the list is not what its log says" in one(store).problem


def test_a_log_that_decided_more_than_there_is_is_told(store: Path) -> None:
    """As where an older manifest was put beside a newer ledger: new evidence would never be decided."""
    execute(store / "evidence" / "manifest.sqlite", "DELETE FROM batches")
    assert "is decided up to batch" in one(store).problem


def test_batches_that_wait_are_a_note(store: Path) -> None:
    execute(store / "evidence" / "manifest.sqlite", "INSERT INTO batches (name) VALUES ('later')")
    assert one(store).problem == "1 batches wait to be decided"
    for path in store.glob("ledger.sqlite*"):
        path.unlink()
    finding = one(store)
    assert (finding.grade, finding.place) == ("note", "ledger.sqlite")


def observing(store: Path, folder: Path) -> Callable[[], None]:
    """Return what lets another process append evidence, and list a host."""
    given = folder / "given.jsonl"
    row = {"seen_at": "2002-09-20T00:00:00Z", "sensor": "mx", "host": "24.1.2.3", "kind": "message", "label": "spam"}
    given.write_text("".join(json.dumps(row | {"ref": str(number)}) + "\n" for number in range(5)))

    def observe() -> None:
        command = ("observe", given, "--data", store, "--now", "2003-01-02")
        forks.run(WHIMBREL, *command).check_returncode()

    return observe


def test_a_run_that_falls_into_the_check_is_no_damage(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mark is read when a writer has just gone on."""
    original, observe, calls = Ledger.last_run, observing(store, tmp_path), [0]

    def last_run(ledger: Ledger) -> Any:
        calls[0] += 1
        if calls[0] == 2:
            observe()
        return original(ledger)

    monkeypatch.setattr(Ledger, "last_run", last_run)
    assert check(store, NOW) == []
    assert calls[0] >= 2


@pytest.mark.parametrize("is_damaged", [True, False])
def test_a_writer_that_goes_on_between_log_and_list_changes_nothing(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_damaged: bool
) -> None:
    """Both are read as they were at one moment: damage is seen, and what is sound is not called damaged."""
    day = 86_400 * 1_000_000
    if is_damaged:
        execute(store / "ledger.sqlite", f"UPDATE listing SET until = until + 99 * {day} WHERE target = ({_LAST})")
    original, observe, calls = rows.event, observing(store, tmp_path), [0]

    def event(row: Any) -> Any:
        calls[0] += 1
        if calls[0] == 1:
            observe()
        return original(row)

    monkeypatch.setattr(rows, "event", event)
    found = [(finding.grade, finding.place) for finding in check(store, NOW)]
    assert found == ([("wrong", "ledger.sqlite")] if is_damaged else [])
    assert calls[0] > 1


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _overwrite(path: Path) -> None:
    path.write_bytes(b"no database" * 1_000)


@pytest.mark.parametrize("damage", [_cut, _overwrite])
def test_a_damaged_ledger_is_told(store: Path, damage: Callable[[Path], None]) -> None:
    for path in store.glob("ledger.sqlite-*"):
        path.unlink()
    damage(store / "ledger.sqlite")
    finding = one(store)
    assert (finding.grade, finding.place) == ("wrong", "ledger.sqlite")
    assert "is damaged" in finding.problem


def test_a_ledger_of_a_newer_version_is_told(store: Path) -> None:
    execute(store / "ledger.sqlite", "UPDATE alembic_version SET version_num = '99'")
    assert "version 99" in one(store).problem


def test_the_snapshot_is_verified(store: Path) -> None:
    path = store / "list.snapshot"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert "cut or torn" in one(store).problem
    path.write_bytes(whole)
    assert "it expired" in one(store, NOW + timedelta(hours=3)).problem
    assert check(store, None) == []
    keys.rotate(KeyPlace.of("signing", store), NOW)
    assert check(store, NOW) == []  # the older key signs, too
    (store / "signing.key").unlink()
    assert check(store, NOW) == []
    keys.make(KeyPlace.of("signing", store), NOW)
    finding = one(store)
    assert "not signed by" in finding.problem
    assert "whimbrel publish" in finding.mend
    published(store)
    assert check(store, NOW) == []


def test_the_signing_key_is_looked_at(store: Path) -> None:
    (store / "signing.key").chmod(0o640)
    finding = one(store)
    assert (finding.grade, finding.place) == ("wrong", "signing.key")
    assert "chmod 600" in finding.problem


def test_drafts_are_notes(store: Path) -> None:
    (store / ".list.snapshot.x1").write_bytes(b"half")
    assert (one(store).grade, one(store).place) == ("note", ".list.snapshot.x1")
