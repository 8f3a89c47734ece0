import sqlite3
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.listings.rows import day, seen

from whimbrel.errors import StoreError
from whimbrel.listings.ledger import Ledger, replayed
from whimbrel.listings.policy import Decider
from whimbrel.listings.settings import OWN
from whimbrel.model.listing import Event


class LedgerMachine(RuleBasedStateMachine):
    """Decide, commit, reload, look back: the listings are always those of the log, now and at any past moment."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.ledger = Ledger.open(Path(self.folder.name) / "ledger.sqlite", "write")
        self.decider = Decider(OWN)
        self.day = 0.0
        self.log: list[Event] = []
        self.waiting: list[Event] = []
        self.snapshots: list[tuple[float, list[object]]] = []

    @rule(
        host=st.sampled_from(["192.0.2.1", "192.0.2.2", "192.0.2.3", "198.51.100.7", "2001:db8::/64"]),
        label=st.sampled_from(["spam", "spam", "spam", "ham"]),
        later=st.floats(0.01, 40),
    )
    def see(self, host: str, label: str, later: float) -> None:
        self.day += later
        self.waiting += self.decider.decide(seen(host, label, day=self.day))

    @rule(later=st.floats(0.01, 40))
    def wait(self, later: float) -> None:
        self.day += later
        self.waiting += self.decider.expire(day(self.day))

    @rule()
    def commit(self) -> None:
        self.waiting += self.decider.expire(day(self.day))
        mark = len(self.log).to_bytes(8, "big")
        self.ledger.commit(self.waiting, self.decider.dumps(), mark, profile="own", rule_version=OWN.rule_version)
        self.log += self.waiting
        self.waiting = []
        now = day(self.day)
        listings = self.ledger.listings(now)
        assert listings == replayed(self.ledger.history(), now)
        answered = {target for host in self.decider.hosts if (target := self.decider.would_list(host, now))}
        assert answered <= {listing.target for listing in listings}
        self.snapshots.append((self.day, list(listings)))
        assert self.ledger.mark() == (mark, "own", OWN.rule_version)

    @rule()
    def restart(self) -> None:
        self.commit()
        self.decider = Decider(OWN)
        self.decider.loads(self.ledger.load_state())

    @invariant()
    def the_log_is_what_was_committed(self) -> None:
        assert self.ledger.history() == self.log

    def teardown(self) -> None:
        for when, listings in self.snapshots:
            assert replayed(self.log, day(when)) == listings
        self.ledger.close()
        self.folder.cleanup()


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


def _filled(path: Path) -> list[Event]:
    decider = Decider(OWN)
    events = [event for n in range(30) for event in decider.decide(seen(f"192.0.{n}.1", day=n / 10))]
    with Ledger.open(path, "write") as ledger:
        ledger.commit(events, decider.dumps(), b"m", profile="own", rule_version=OWN.rule_version)
    return events


def test_readers_see_the_last_commit_while_a_writer_writes(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    events = _filled(path)
    with Ledger.open(path) as reader, sqlite3.connect(path) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM event")
        assert reader.history() == events
        assert reader.history("192.0.3.1") == [event for event in events if event.target == "192.0.3.1"]
        writer.rollback()
    writer.close()


def test_a_failed_commit_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    events = _filled(path)
    with Ledger.open(path, "write") as ledger:
        with pytest.raises(StoreError):
            ledger.commit(events, [("twice", b""), ("twice", b"")], b"n", profile="own", rule_version="x")
        assert ledger.history() == events
        assert ledger.mark() == (b"m", "own", OWN.rule_version)


def test_errors_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no ledger"):
        Ledger.open(tmp_path / "none")
    (tmp_path / "text").write_text("this is not a database, whatever its name may be\n" * 100)
    with pytest.raises(StoreError, match="not a ledger"):
        Ledger.open(tmp_path / "text")


def test_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    _filled(path)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE mark SET ledger_version = 99")
    database.close()
    with pytest.raises(StoreError, match="version 99"):
        Ledger.open(path)


def test_times_keep_their_microseconds(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    decider = Decider(OWN)
    odd = seen("192.0.2.1")._replace(learned_at=day(0) + timedelta(microseconds=123_457))
    rows = [*(seen(f"192.0.{n}.1", day=-1) for n in range(3, 40)), odd]
    events = [event for row in rows for event in decider.decide(row)]
    with Ledger.open(path, "write") as ledger:
        ledger.commit(events, decider.dumps(), b"", profile="own", rule_version="x")
        assert ledger.history()[-1].at.microsecond == 123_457
