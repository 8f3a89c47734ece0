"""Decisions wait for their time, use only what was known, and come out the same in one step or in many."""

from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from tests.pipeline.conftest import Undisturbed
from tests.pipeline.mail import day, message, received
from tests.pipeline.stores import LATER, assert_same, decisions, ingested, rows_of

from whimbrel.errors import ConfigError, StoreError
from whimbrel.evidence import Evidence
from whimbrel.listings.ledger import Ledger
from whimbrel.pipeline.decide import Decided, Deciding, check_profile, decide, settings_of
from whimbrel.pipeline.places import LEDGER_FILE, ledger_place


def spam(folder: Path, name: str, peer: str, at: datetime) -> str:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(message(received(peer, at, id_=name)))
    return str(path)


def test_what_is_learned_later_waits_and_a_later_run_decides_it(tmp_path: Path) -> None:
    paths = [spam(tmp_path / "mail", f"m{n}", f"24.1.2.{n}", day(n)) for n in range(1, 7)]
    early = ingested(tmp_path / "store", paths, now=day(3)).decided
    assert (early.decided, early.waiting) == (3, 3)
    before = decisions(tmp_path / "store")["events"]
    assert before
    assert max(event.at for event in before) == day(3)
    again = ingested(tmp_path / "store", paths, now=day(3)).decided
    assert (again.decided, again.waiting, again.events) == (0, 3, 0)
    late = ingested(tmp_path / "store", paths, now=day(6)).decided
    assert (late.decided, late.waiting) == (3, 0)
    ingested(tmp_path / "at once", paths, now=day(6))
    assert_same(decisions(tmp_path / "store"), decisions(tmp_path / "at once"))


def test_deciding_in_many_steps_makes_the_ledger_of_one(tmp_path: Path, undisturbed: Undisturbed) -> None:
    """Real mail, cut where it is densest and on the microsecond of an observation."""
    with Evidence.open(undisturbed.data_dir) as store:
        learned = sorted(store.observations(columns=["learned_at"])["learned_at"].to_pylist())
    ingested(tmp_path, undisturbed.paths, labels=undisturbed.labels, now=learned[0])
    with Evidence.open(tmp_path, write=True) as store:
        for at in (learned[50], learned[50], learned[150], learned[-2]):
            decide(store, tmp_path, at)
    last = ingested(tmp_path, [], labels=undisturbed.labels).decided
    assert (last.decided, last.waiting) == (len([at for at in learned if at > learned[-2]]), 0)
    expected = {part: undisturbed.contents[part] for part in ("events", "listings", "state", "until", "rules")}
    assert_same(decisions(tmp_path), expected)


def test_what_arrives_late_is_decided_when_it_arrives(tmp_path: Path) -> None:
    ingested(tmp_path / "store", [spam(tmp_path / "mail", "new", "24.1.2.3", day(30))], now=day(40))
    ingested(tmp_path / "store", [spam(tmp_path / "mail", "old", "62.1.2.3", day(5))], now=day(40))
    events = [event for event in decisions(tmp_path / "store")["events"] if event.target == "62.1.2.3"]
    assert events
    assert {event.at for event in events} == {day(30)}  # never earlier than what had been decided


def test_a_run_with_an_earlier_now_loses_nothing(tmp_path: Path) -> None:
    """Decided at once or later, but decided some time."""
    ingested(tmp_path / "store", [spam(tmp_path / "mail", "a", "24.1.2.3", day(5))], now=day(30))
    first = ingested(tmp_path / "store", [spam(tmp_path / "mail", "b", "62.1.2.3", day(20))], now=day(10)).decided
    later = ingested(tmp_path / "store", [], now=day(40)).decided
    assert first.decided + later.decided == 1
    assert "62.1.2.3" in {event.target for event in decisions(tmp_path / "store")["events"]}


def test_no_decision_uses_what_was_learned_after_it(tmp_path: Path, undisturbed: Undisturbed) -> None:
    """Every event rests on observations learned by then."""
    with Evidence.open(undisturbed.data_dir) as store:
        learned = {row["id"]: row["learned_at"] for row in rows_of(store.observations(columns=["id", "learned_at"]))}
    events = undisturbed.contents["events"]
    assert sum(len(event.evidence) for event in events) > 100
    assert all(learned[id_] <= event.at for event in events for id_ in event.evidence)


def test_own_servers_are_never_listed_and_their_listings_end_when_told(tmp_path: Path) -> None:
    paths = [spam(tmp_path / "mail", f"m{n}", "24.1.2.3", day(n / 10)) for n in range(20)]
    ingested(tmp_path / "store", paths, now=day(3))
    assert "24.1.2.3" in listed(tmp_path / "store")
    before = len(decisions(tmp_path / "store")["events"])
    ingested(tmp_path / "store", [], now=day(3), trust=["24.1.2.3"])
    ended = decisions(tmp_path / "store")["events"][before:]
    assert ("24.1.2.3", "removed") in {(event.target, event.change) for event in ended}
    assert "24.1.2.3" not in listed(tmp_path / "store")
    ingested(tmp_path / "told first", paths, now=day(3), trust=["24.1.2.3"])
    assert decisions(tmp_path / "told first")["events"] == []


def listed(data_dir: Path) -> set[str]:
    with Ledger.open(ledger_place(data_dir)) as ledger:
        return {listing.target for listing in ledger.listings(day(3))}


def test_profiles(tmp_path: Path) -> None:
    check_profile(tmp_path, "own")  # no store yet: nothing to disagree with
    done = ingested(tmp_path / "store", [spam(tmp_path / "mail", "a", "24.1.2.3", day(1))], profile=None)
    assert done.decided.profile == "shared"
    check_profile(tmp_path / "store", "shared")
    check_profile(tmp_path / "store", None)
    with pytest.raises(ConfigError, match="profile shared, not own"):
        check_profile(tmp_path / "store", "own")
    with pytest.raises(ConfigError, match="no profile 'mine'; it is one of shared, own"):
        settings_of("mine")


def test_one_long_run_makes_the_ledger_of_many_short_ones(tmp_path: Path, undisturbed: Undisturbed) -> None:
    with Evidence.open(undisturbed.data_dir) as store:
        learned = sorted(store.observations(columns=["learned_at"])["learned_at"].to_pylist())
    ingested(tmp_path, undisturbed.paths, labels=undisturbed.labels, now=learned[0])
    with Evidence.open(tmp_path, write=True) as store, Deciding.open(tmp_path) as deciding:
        done = [deciding.decide(store, at) for at in (*learned[10:-1:10], LATER, LATER)]
    assert (done[-2].waiting, done[-1].decided, done[-1].events) == (0, 0, 0)
    expected = {part: undisturbed.contents[part] for part in ("events", "listings", "state", "until", "rules")}
    assert_same(decisions(tmp_path), expected)


def test_what_is_let_go_of_in_memory_changes_no_decision(
    tmp_path: Path, undisturbed: Undisturbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With room for a few records, in a long run and where one begins with more than there is room for."""
    monkeypatch.setattr("whimbrel.pipeline.decide._MOST_RECORDS", 20)
    with Evidence.open(undisturbed.data_dir) as store:
        learned = sorted(store.observations(columns=["learned_at"])["learned_at"].to_pylist())
    ingested(tmp_path, undisturbed.paths, labels=undisturbed.labels, now=learned[0])
    with Evidence.open(tmp_path, write=True) as store:
        for some in (learned[10:100:10], learned[100:-1:50], [LATER]):
            with Deciding.open(tmp_path) as deciding:
                for at in some:
                    deciding.decide(store, at)
            assert deciding._memory is not None
            assert not deciding._memory._is_whole
    expected = {part: undisturbed.contents[part] for part in ("events", "listings", "state", "until", "rules")}
    assert_same(decisions(tmp_path), expected)


def test_an_idle_call_writes_nothing(tmp_path: Path) -> None:
    ingested(tmp_path, [spam(tmp_path / "mail", "a", "24.1.2.3", day(1))], now=day(2))
    with Evidence.open(tmp_path, write=True) as store, Deciding.open(tmp_path) as deciding:
        path = tmp_path / LEDGER_FILE
        before = path.stat().st_mtime_ns
        deciding.decide(store, day(3))
        assert deciding.expire(day(1.5)) == 0
        assert path.stat().st_mtime_ns == before
        assert not path.with_name("ledger.sqlite-wal").stat().st_size


def test_terms_end_when_nothing_is_seen(tmp_path: Path) -> None:
    early = [spam(tmp_path / "mail", f"m{n}", "24.1.2.3", day(n / 10)) for n in range(20)]
    ingested(tmp_path / "store", early, now=day(2))
    before = decisions(tmp_path / "store")["events"]
    until = max(event.until for event in before if event.target == "24.1.2.3" and event.until)
    with Deciding.open(tmp_path / "store") as deciding:
        assert deciding.expire(until + timedelta(days=1)) >= 1
        assert deciding.expire(until + timedelta(days=1)) == 0
    ended = [event for event in decisions(tmp_path / "store")["events"][len(before) :] if event.target == "24.1.2.3"]
    assert [(event.at, event.change) for event in ended] == [(until, "expired")]
    # Mail that came between the end and the call, and is read after it, is decided as if it had been read before.
    late = [spam(tmp_path / "mail", f"late{n}", "24.1.2.3", until + timedelta(minutes=n)) for n in range(1, 9)]
    ingested(tmp_path / "store", late)
    ingested(tmp_path / "at once", [*early, *late])
    assert_same(decisions(tmp_path / "store"), decisions(tmp_path / "at once"))


def test_a_call_that_fails_leaves_the_ledger_and_the_next_one_does_its_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [spam(tmp_path / "mail", f"m{n}", "24.1.2.3", day(n / 10)) for n in range(20)]
    ingested(tmp_path / "store", paths, now=day(1))
    before = decisions(tmp_path / "store")
    with Evidence.open(tmp_path / "store", write=True) as store, Deciding.open(tmp_path / "store") as deciding:
        with monkeypatch.context() as full:
            full.setattr(Ledger, "commit", _full_disk)
            with pytest.raises(StoreError):
                deciding.decide(store, day(3))
        assert_same(decisions(tmp_path / "store"), before)
        deciding.decide(store, day(3))
    ingested(tmp_path / "at once", paths, now=day(3))
    assert_same(decisions(tmp_path / "store"), decisions(tmp_path / "at once"))


def test_what_somebody_else_appends_meanwhile_is_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [spam(tmp_path / "mail", f"m{n}", "24.1.2.3", day(n / 10)) for n in range(20)]
    ingested(tmp_path / "store", paths, now=day(1))
    with Evidence.open(tmp_path / "store", write=True) as store, Deciding.open(tmp_path / "store") as deciding:
        calls = count()
        other: list[Decided] = []

        def disturbed(_: Evidence) -> list[str]:
            if next(calls) == 0:  # in the middle of the one's decisions
                other.append(decide(store, tmp_path / "store", day(1.5)))
            return []

        monkeypatch.setattr("whimbrel.pipeline.decide.own_networks", disturbed)
        one = deciding.decide(store, day(3))
        assert (other[0].decided, one.decided) == (5, 4)
    ingested(tmp_path / "at once", paths, now=day(3))
    assert_same(decisions(tmp_path / "store"), decisions(tmp_path / "at once"))


def _full_disk(*_: object, **__: object) -> None:
    raise StoreError("the disk is full")
