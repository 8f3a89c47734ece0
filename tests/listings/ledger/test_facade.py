import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sql
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from msgspec.structs import replace
from tests.listings.rows import a_run, day, seen
from tests.postgresql import Server

from whimbrel.errors import StoreError
from whimbrel.listings.ledger import Ledger, LedgerMovedError, replayed
from whimbrel.listings.ledger.schema import EVENT
from whimbrel.listings.policy import Decider
from whimbrel.listings.settings import OWN
from whimbrel.model.listing import Event, Listing


class LedgerMachine(RuleBasedStateMachine):
    """Decide, commit, reload, look back: the listings are always those of the log, now and at any past moment."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.ledger = Ledger.open(self.new_place(), "write")
        self.decider = Decider(OWN)
        self.day = 0.0
        self.log: list[Event] = []
        self.waiting: list[Event] = []
        self.snapshots: list[tuple[float, list[Listing]]] = []

    def new_place(self) -> Path | str:
        return Path(self.folder.name) / "ledger.sqlite"

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
        run = self.ledger.commit(a_run(self.day), self.waiting, self.decider.dumps())
        self.log += self.waiting
        self.waiting = []
        now = day(self.day)
        listings = self.ledger.listings(now)
        assert listings == replayed(self.ledger.history(), now)
        answered = {target for host in self.decider.hosts if (target := self.decider.would_list(host, now))}
        assert answered <= {listing.target for listing in listings}
        self.snapshots.append((self.day, list(listings)))
        assert self.ledger.last_run() == run
        assert run.last_event == len(self.log)

    @rule()
    def restart(self) -> None:
        self.commit()
        self.decider = Decider(OWN)
        self.decider.loads(self.ledger.load_state())

    @rule(part=st.floats(0, 1))
    def look_back(self, part: float) -> None:
        when = day(self.day * part)
        assert self.ledger.listings(when) == replayed(self.log, when)
        assert self.ledger.count_listed(when) == len(replayed(self.log, when))

    @rule()
    def publish(self) -> None:
        self.commit()
        self.day += 0.01
        assert self.ledger.note_publication(1, day(self.day)) == self.ledger.listings(day(self.day))

    @invariant()
    def the_log_is_what_was_committed(self) -> None:
        assert self.ledger.history() == self.log

    def teardown(self) -> None:
        for when, listings in self.snapshots:
            assert replayed(self.log, day(when)) == listings
            assert self.ledger.listings_at(day(when)) == listings
        self.ledger.close()
        self.folder.cleanup()


STEPS = settings(max_examples=25, stateful_step_count=25, deadline=None)


def test_the_ledger_is_its_log() -> None:
    run_state_machine_as_test(LedgerMachine, settings=STEPS)


def test_the_ledger_is_its_log_on_postgresql(postgresql_server: Server) -> None:
    class OnPostgresql(LedgerMachine):
        def new_place(self) -> str:
            return postgresql_server.new_url()

    run_state_machine_as_test(OnPostgresql, settings=STEPS)


def _filled(place: Path | str) -> list[Event]:
    decider = Decider(OWN)
    events = [event for n in range(30) for event in decider.decide(seen(f"192.0.{n}.1", day=n / 10))]
    with Ledger.open(place, "write") as ledger:
        ledger.commit(a_run(3), events, decider.dumps())
    return events


def test_readers_see_the_last_commit_while_a_writer_writes(place: Path | str) -> None:
    events = _filled(place)
    with Ledger.open(place) as reader, Ledger.open(place, "append") as writer:
        with writer._found.writing() as connection:
            connection.execute(sql.delete(EVENT))
            assert reader.history() == events
            assert reader.history("192.0.3.1") == [event for event in events if event.target == "192.0.3.1"]
            connection.rollback()
        assert reader.history() == events


def test_a_failed_commit_leaves_nothing(place: Path | str) -> None:
    events = _filled(place)
    with Ledger.open(place, "append") as ledger:
        before = ledger.last_run()
        with pytest.raises(StoreError) as refusal:
            ledger.commit(a_run(4), events, [("twice", b""), ("twice", b"")])
        assert "\n" not in str(refusal.value)
        assert ledger.history() == events
        assert ledger.last_run() == before


def test_who_decided_on_what_is_no_longer_the_last_run_is_told(place: Path | str) -> None:
    events = _filled(place)
    with Ledger.open(place, "append") as one, Ledger.open(place, "append") as other:
        number = one.runs()[-1].number
        other.commit(replace(a_run(4), number=number + 1))
        with pytest.raises(LedgerMovedError, match="somebody else"):
            one.commit(replace(a_run(4), number=number + 1), events)
        assert one.history() == events
        assert [run.number for run in one.runs()] == [1, 2]


def test_a_second_writer_waits_its_turn(place: Path | str) -> None:
    events = _filled(place)
    with Ledger.open(place, "append") as one, Ledger.open(place, "append") as other:
        with ThreadPoolExecutor() as pool, one._found.writing():
            waiting = pool.submit(other.commit, a_run(4), events[:1])
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.2)
        assert waiting.result(timeout=5).last_event == len(events) + 1


def test_times_keep_their_microseconds_and_numbers_their_bits(place: Path | str) -> None:
    decider = Decider(OWN)
    odd = seen("192.0.2.1")._replace(learned_at=day(0) + timedelta(microseconds=123_457))
    rows = [*(seen(f"192.0.{n}.1", day=-1) for n in range(3, 40)), odd]
    events = [event for row in rows for event in decider.decide(row)]
    with Ledger.open(place, "write") as ledger:
        ledger.commit(a_run(1), events, decider.dumps())
        assert ledger.history() == events
        assert ledger.history()[-1].at.microsecond == 123_457


def test_keys_and_values_of_the_state_come_back(place: Path | str) -> None:
    states = {f"group {text}": text.encode() for text in ("a\0b.com", "back\\0slash", "\\", "\u00e9", "")}
    with Ledger.open(place, "write") as ledger:
        ledger.commit(a_run(1), [], states.items())
        assert dict(ledger.load_state()) == states
        assert dict(ledger.load_state(["group a\0b.com"])) == {"group a\0b.com": b"a\0b.com"}


def test_a_publication_fixes_the_list_of_its_moment(place: Path | str) -> None:
    """What is learned late is decided for the past, and was not in what was published then."""
    decider = Decider(OWN)
    with Ledger.open(place, "write") as ledger:
        spam = [seen(f"192.0.{n}.1", day=n / 10) for n in range(30)]
        ledger.commit(a_run(3), [event for row in spam for event in decider.decide(row)], decider.dumps())
        published = ledger.note_publication(1, day(3.5))
        late = [seen(f"198.51.{n}.1", day=3) for n in range(30)]
        ledger.commit(a_run(4), [event for row in late for event in decider.decide(row)], decider.dumps())
        assert len(ledger.listings(day(3.5))) > len(published) > 0
        assert ledger.listings_at(day(3.5)) == published
        assert ledger.listings_at(day(4)) == ledger.listings(day(4))


def test_changes_are_told_from_where_a_reader_had_come(place: Path | str) -> None:
    decider = Decider(OWN)
    with Ledger.open(place, "write") as ledger:
        assert ledger.last_change() == 0
        assert ledger.changes(0) == (0, [])
        known = 0
        for number in range(3):
            rows = [seen(f"192.0.{host}.{number + 1}", day=number, salt=str(n)) for host in range(5) for n in range(3)]
            events = [event for row in rows for event in decider.decide(row)]
            ledger.commit(a_run(number), events, decider.dumps())
            known, told = ledger.changes(known)
            assert told == events
            assert known == ledger.last_change()
        assert ledger.changes(0) == (known, ledger.history())
        assert ledger.changes(known) == (known, [])
