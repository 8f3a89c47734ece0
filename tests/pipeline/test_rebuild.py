"""What was decided is decided again, run by run, over the evidence as it stood; what differs is told, and mended."""

import shutil
import sqlite3
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.pipeline.conftest import Undisturbed
from tests.pipeline.mail import day, message, received
from tests.pipeline.stores import LATER, assert_same, decisions, ingested

from whimbrel.errors import StoreError
from whimbrel.evidence import Evidence
from whimbrel.listings.settings import OWN, PROFILES
from whimbrel.pipeline.decide import Deciding, decide
from whimbrel.pipeline.places import LEDGER_FILE
from whimbrel.pipeline.rebuild import rebuild


def spam(folder: Path, name: str, peer: str, at: datetime, *lines: str) -> str:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(message(*lines, received(peer, at, id_=name)))
    return str(path)


@pytest.fixture(scope="module")
def whole_life(tmp_path_factory: pytest.TempPathFactory, undisturbed: Undisturbed) -> Path:
    """A store that was decided in many runs, in which terms ended, own servers were told and clients corrected."""
    folder = tmp_path_factory.mktemp("lived")
    store = folder / "store"
    with Evidence.open(undisturbed.data_dir) as whole:
        learned = sorted(whole.observations(columns=["learned_at"])["learned_at"].to_pylist())
    paths = undisturbed.paths
    ingested(store, paths[:4], labels=undisturbed.labels, now=learned[20])
    with Evidence.open(store, write=True) as evidence, Deciding.open(store) as deciding:
        for at in learned[30:190:9]:
            deciding.decide(evidence, at)
            deciding.expire(at + timedelta(hours=1))
    ingested(store, paths[4:], labels=undisturbed.labels, now=learned[-9])
    relayed = [
        spam(folder / "relayed", f"m{n}", f"62.1.2.{n}", LATER, received("24.1.2.3", LATER + timedelta(hours=n)))
        for n in range(1, 8)
    ]
    ingested(store, relayed, now=LATER + timedelta(days=1))
    ingested(store, relayed, now=LATER + timedelta(days=2), trust=["24.1.2.3"])
    ingested(store, relayed, now=LATER + timedelta(days=2), trust=["62.1.2.0/30"])
    ingested(store, [], now=LATER + timedelta(days=3), trust=["24.1.2.3"])
    with Evidence.open(store) as evidence:
        assert evidence.counts().superseded > 0
    return store


@pytest.fixture
def lived(tmp_path: Path, whole_life: Path) -> Path:
    """A copy of that store."""
    return shutil.copytree(whole_life, tmp_path / "store")


def test_every_event_is_made_again(lived: Path) -> None:
    before = decisions(lived)
    done = rebuild(lived, write=False)
    assert (done.list_same, done.state_same, done.written, done.carried) == (True, True, False, 0)
    assert done.again > 10
    assert done.events == len(before["events"])
    assert_same(decisions(lived), before)


def test_progress_is_told(lived: Path) -> None:
    told: list[tuple[int, int]] = []
    done = rebuild(lived, write=False, progress=lambda *so_far: told.append(so_far))
    assert told[-1] == (done.observations, done.observations)


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM listing",
        "DELETE FROM state",
        "UPDATE listing SET until = until + 1, code = 99",
        "UPDATE state SET value = x'c1'",
        "UPDATE state SET value = (SELECT value FROM state WHERE key LIKE 'host%' LIMIT 1) WHERE key LIKE 'host%'",
        "INSERT INTO listing SELECT '192.0.2.77', code, role, since, until, 0, 1, '', evidence FROM listing LIMIT 1",
        "INSERT INTO allowed VALUES ('192.0.2.0/24', 'x', 'y', 0)",
        "DELETE FROM state; DELETE FROM listing",
    ],
)
def test_damaged_tables_are_found_and_mended(lived: Path, damage: str) -> None:
    before = decisions(lived)
    with sqlite3.connect(lived / LEDGER_FILE) as database:
        database.executescript(damage)
    database.close()
    found = rebuild(lived, write=False)
    assert not (found.list_same and found.state_same)
    done = rebuild(lived, write=True)
    assert done.written
    assert (done.list_same, done.state_same) == (found.list_same, found.state_same)
    assert_same(decisions(lived), before)
    again = rebuild(lived, write=True)
    assert (again.list_same, again.state_same, again.written) == (True, True, False)


def test_a_damaged_state_is_told_and_how_to_mend_it(lived: Path) -> None:
    with sqlite3.connect(lived / LEDGER_FILE) as database:
        database.execute("UPDATE state SET value = x'c1'")
    database.close()
    with pytest.raises(StoreError, match="state is damaged: run `whimbrel rebuild --write`"):
        Deciding.open(lived)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE event SET score = score + 0.001 WHERE number = (SELECT max(number) FROM event WHERE score > 0)",
        "UPDATE event SET target = '192.0.2.77' WHERE number = 7",
        "UPDATE event SET evidence = x'00' WHERE number = 7",
    ],
)
def test_an_event_that_evidence_does_not_make_is_told_and_nothing_is_written(lived: Path, change: str) -> None:
    with sqlite3.connect(lived / LEDGER_FILE) as database:
        database.execute(change)
        database.execute("DELETE FROM state WHERE key LIKE 'host%'")
    database.close()
    before = decisions(lived)
    with pytest.raises(StoreError, match=r"event \d+ of run \d+ is recorded as .* its evidence makes ") as refusal:
        rebuild(lived, write=True)
    assert "\n" not in str(refusal.value)
    assert_same(decisions(lived), before)


def test_a_missing_event_is_told(lived: Path) -> None:
    with sqlite3.connect(lived / LEDGER_FILE) as database:
        database.execute("DELETE FROM event WHERE number = (SELECT max(number) FROM event)")
    database.close()
    with pytest.raises(StoreError, match="recorded as no event, and its evidence makes"):
        rebuild(lived, write=False)


def test_runs_of_other_rules_stand_as_recorded(lived: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = decisions(lived)
    changed = replace(OWN, q=OWN.q / 50, spam_llr=OWN.spam_llr / 2)
    monkeypatch.setitem(PROFILES, "own", changed)
    done = rebuild(lived, write=False)
    assert (done.list_same, done.again) == (True, 0)
    # What was decided stands; deciding goes on by the new rules, from a checkpoint.
    with Evidence.open(lived, write=True) as store:
        for days in (5, 6):
            decide(store, lived, LATER + timedelta(days=days))
        late = [spam(lived.parent / "late", f"l{n}", f"62.9.{n}.1", LATER + timedelta(days=9)) for n in range(9)]
    ingested(lived, late, now=LATER + timedelta(days=10))
    after = decisions(lived)
    assert after["events"][: len(before["events"])] == before["events"]
    done = rebuild(lived, write=False)
    assert (done.list_same, done.state_same, done.again) == (True, True, 1)


def test_where_all_is_of_other_rules_the_state_is_led_along_the_record(
    lived: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = decisions(lived)
    with sqlite3.connect(lived / LEDGER_FILE) as database:
        database.execute("DELETE FROM state")
    database.close()
    monkeypatch.setitem(PROFILES, "own", replace(OWN, q=0.0))
    done = rebuild(lived, write=True)
    assert (done.written, done.again) == (True, 0)
    after = decisions(lived)
    assert after["events"] == before["events"]
    with Deciding.open(lived) as deciding:
        standings = dict(deciding._recalled().decider.standings())
    listed = {listing.target: listing.until for listing in before["listings"][0]}
    assert {target: standings[target].until for target in listed} == listed


def test_where_there_is_no_store_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no evidence"):
        rebuild(tmp_path / "mistyped", write=True)
    assert not (tmp_path / "mistyped").exists()


def test_nothing_decided_is_one_line(tmp_path: Path) -> None:
    Evidence.open(tmp_path, write=True).close()
    with pytest.raises(StoreError, match="no ledger here"):
        rebuild(tmp_path, write=True)
    Deciding.open(tmp_path).close()
    with pytest.raises(StoreError, match="nothing was decided yet"):
        rebuild(tmp_path, write=False)


def test_late_mail_is_decided_again_where_it_was(tmp_path: Path) -> None:
    for number, at in ((1, 9), (2, 3), (3, 12), (4, 1)):
        paths = [spam(tmp_path / f"{number}", f"m{n}", f"24.{number}.2.{n}", day(at + n / 10)) for n in range(20)]
        ingested(tmp_path / "store", paths, now=day(at + 3))
    done = rebuild(tmp_path / "store", write=False)
    assert (done.list_same, done.state_same, done.observations) == (True, True, 80)
