"""A mark takes a target's place, on either database, and nothing is left of it in free pages."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.listings.rows import a_run, day, seen

from whimbrel.errors import StoreError
from whimbrel.listings.ledger import Ledger, LedgerMovedError, opening
from whimbrel.listings.policy import Decider
from whimbrel.listings.settings import OWN
from whimbrel.model.listing import said

TARGET, OTHER = "192.0.7.1", "192.0.8.1"


@pytest.fixture
def ledger(place: Path | str) -> Iterator[Ledger]:
    decider = Decider(OWN)
    events = [event for n in range(30) for event in decider.decide(seen(f"192.0.{n}.1", day=n / 10))]
    events += [
        said(day(3), TARGET, "removal requested", "joe", "it is mine"),
        said(day(3), OTHER, "allowed", "Example", f"it is beside {TARGET}"),
        said(day(3), TARGET, "allowed", "Example", "ours"),
    ]
    with Ledger.open(place, "write") as found:
        found.commit(a_run(3), events, decider.dumps())
        yield found


def test_it_is_named_nowhere_and_the_past_stays(ledger: Ledger) -> None:
    before = ledger.listings(day(2.9))
    run = replace(a_run(4, "forgotten"), number=2)
    event = ledger.erase(TARGET, run, _without(ledger), by="operator", why="objection", must=False)
    ledger.scrub()
    assert event is not None
    assert (event.target, event.change) == ("erased-1", "erased")
    told = [ledger.history(), ledger.allowed(), dict(ledger.load_state()), dict(ledger.checkpoint())]
    assert TARGET not in repr(told)
    assert dict(ledger.checkpoint()) == dict(ledger.load_state())
    named = [replace(each, target="erased-1") if each.target == TARGET else each for each in before]
    assert ledger.listings(day(2.9)) == sorted(named, key=lambda each: each.target)
    assert "erased-1" not in {each.target for each in ledger.listings(day(5))}
    assert [each.target for each in ledger.allowed()] == [OTHER]
    assert not ledger.relisted().differing
    assert ledger.runs()[-1].last_event == ledger.counts()[0]


def test_what_is_not_there_leaves_no_event_unless_there_must_be_one(ledger: Ledger) -> None:
    before = ledger.history()
    run = replace(a_run(4, "forgotten"), number=2)
    assert ledger.erase("198.51.100.7", run, [], by="operator", why="objection", must=False) is None
    assert (ledger.history(), ledger.last_run()) == (before, ledger.runs()[0])
    event = ledger.erase(None, run, [], by="operator", why="a recipient", must=True)
    assert ledger.history() == [*before, event]


def test_it_goes_by_the_last_run(ledger: Ledger) -> None:
    with pytest.raises(LedgerMovedError):
        ledger.erase(TARGET, replace(a_run(4, "forgotten"), number=3), [], by="x", why="x", must=False)


def test_free_pages_and_log_of_sqlite_hold_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_BUSY_SECONDS", 1)  # the reader stays however long one waits
    path = tmp_path / "ledger.sqlite"
    decider = Decider(OWN)
    events = [event for n in range(30) for event in decider.decide(seen(f"192.0.{n}.1", day=n / 10))]
    with Ledger.open(path, "write") as ledger, Ledger.open(path) as reader:
        ledger.commit(a_run(3), events, decider.dumps())
        assert _holds(tmp_path, TARGET)
        run = replace(a_run(4, "forgotten"), number=2)
        ledger.erase(TARGET, run, _without(ledger), by="x", why="x", must=False)
        assert _holds(tmp_path, TARGET)  # until it is scrubbed
        with reader._found.engine.connect() as connection, connection.begin():
            connection.exec_driver_sql("SELECT count(*) FROM event").one()
            with pytest.raises(StoreError, match="others are reading"):
                ledger.scrub()
        ledger.scrub()
        assert not _holds(tmp_path, TARGET)


def _without(ledger: Ledger) -> list[tuple[str, bytes]]:
    """Return the working states that name the target beside its own, without it."""
    decider = Decider(OWN)
    decider.loads(ledger.load_state())
    decider.erase(TARGET)
    return decider.dumps()


def _holds(folder: Path, text: str) -> bool:
    return any(text.encode() in path.read_bytes() for path in folder.iterdir())
