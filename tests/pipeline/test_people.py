"""People's decisions, from asking to what is published; what was decided by people is replayed at its place."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.pipeline.mail import day, message, received
from tests.pipeline.stores import assert_same, decisions, ingested

from whimbrel.errors import ConfigError, StoreError
from whimbrel.evidence import Evidence
from whimbrel.listings.ledger import Ledger
from whimbrel.model.listing import Event
from whimbrel.pipeline.decide import Deciding
from whimbrel.pipeline.people import allow, allowances, end_allowance, remove
from whimbrel.pipeline.places import ledger_place
from whimbrel.pipeline.rebuild import rebuild
from whimbrel.pipeline.views import listings
from whimbrel.pipeline.why import why

PEER = "24.1.2.3"


def spam(folder: Path, number: float, peer: str = PEER) -> str:
    folder.mkdir(exist_ok=True)
    path = folder / f"{peer} {number}"
    path.write_bytes(message(received(peer, day(number), name="trap-eater.example", id_=f"{number}")))
    return str(path)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store in which a host and others are listed."""
    paths = [spam(tmp_path / "mail", n / 10, peer) for n in range(10) for peer in (PEER, "62.1.2.3", "80.1.2.3")]
    ingested(tmp_path / "store", paths, now=day(2))
    assert {PEER, "62.1.2.3"} <= listed(tmp_path / "store", day(2))
    return tmp_path / "store"


def listed(data_dir: Path, at: datetime) -> set[str]:
    return {listing.target for listing in listings(data_dir, at)}


def history(data_dir: Path, target: str) -> list[Event]:
    with Ledger.open(ledger_place(data_dir)) as ledger:
        return ledger.history(target)


def test_what_is_still_listed_through_its_network_is_told(tmp_path: Path) -> None:
    peers = [f"24.1.2.{n}" for n in range(3, 9)]
    paths = [spam(tmp_path / "mail", n / 10, peer) for n in range(10) for peer in peers]
    ingested(tmp_path / "store", paths, now=day(2))
    assert {PEER, "24.1.2.0/24"} <= listed(tmp_path / "store", day(2))
    done = remove(tmp_path / "store", PEER, day(2.5), by="them", why="cleaned")
    assert (done.outcome, done.listed_through) == ("removed", "24.1.2.0/24")


def test_a_removal_works_at_once_and_is_answered_with_the_evidence(store: Path) -> None:
    done = remove(store, PEER, day(2.5), by="abuse@isp.example", why="the machine\nwas  cleaned")
    assert (done.outcome, done.at, done.listed_as, done.times_listed) == ("removed", day(2.5), "127.0.0.2", 1)
    assert {count.name: count.count for count in done.by_label} == {"spam": 10}
    assert done.listed_through is None
    assert PEER not in listed(store, day(2.6))
    assert PEER in listed(store, day(2.4))  # the past stays what it was
    asked, removed = history(store, PEER)[-2:]
    assert (asked.change, asked.actor, asked.why) == (
        "removal requested",
        "abuse@isp.example",
        "the machine was cleaned",
    )
    assert removed.change == "removed"
    told = why(store, PEER, day(3))
    assert [change.change for change in told.history[-2:]] == ["removal requested", "removed"]


def test_the_answer_tells_no_trap(store: Path) -> None:
    """Neither sensor nor recipient, id or time of day: only what, of what kind, on which days."""
    told = repr(remove(store, PEER, day(2.5), by="x", why="x"))
    with Evidence.open(store) as evidence:
        rows = evidence.observations(where=f"host = '{PEER}'").to_pylist()
    for row in rows:
        assert repr(row["sensor"]) not in told
        assert row["id"].hex() not in told
        assert f"{row['seen_at']:%H:%M}" not in told.replace(f"{day(2.5)!r}", "")
    assert "site.example" not in told


def test_spam_after_a_removal_lists_again_and_a_second_removal_is_refused(store: Path, tmp_path: Path) -> None:
    remove(store, PEER, day(2.5), by="x", why="x")
    ingested(store, [spam(tmp_path / "old", 1 + n / 1000) for n in range(20)], now=day(3))  # seen before the removal
    assert PEER not in listed(store, day(3))
    ingested(store, [spam(tmp_path / "new", 3 + n / 10) for n in range(10)], now=day(5))
    assert PEER in listed(store, day(5))
    done = remove(store, PEER, day(5), by="x", why="again")
    assert (done.outcome, done.times_listed) == ("refused", 2)
    assert PEER in listed(store, day(5))


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("198.51.100.7", "198.51.100.7 is not listed"),
        ("nonsense", "no address or network"),
        ("example.com", "no address or network"),
    ],
)
def test_what_cannot_be_removed_is_one_line(store: Path, target: str, words: str) -> None:
    before = decisions(store)
    with pytest.raises(ConfigError, match=words):
        remove(store, target, day(2.5), by="x", why="x")
    assert_same(decisions(store), before)


@pytest.mark.parametrize(("reason", "words"), [("  ", "is empty"), ("x" * 501, "501 letters")])
def test_a_reason_is_needed(store: Path, reason: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        remove(store, PEER, day(2.5), by="x", why=reason)


def test_allowed_is_never_listed_until_it_is_allowed_no_longer(store: Path, tmp_path: Path) -> None:
    word, *ended = allow(store, "24.1.0.0/16", day(2.5), owner="Example Mail", why="large provider")
    assert (word.change, word.actor) == ("allowed", "Example Mail")
    assert PEER in {event.target for event in ended}
    assert PEER not in listed(store, day(2.5) + timedelta(microseconds=1))
    assert [(each.target, each.owner, each.since) for each in allowances(store)] == [
        ("24.1.0.0/16", "Example Mail", day(2.5))
    ]
    ingested(store, [spam(tmp_path / "new", 3 + n / 10) for n in range(10)], now=day(5))
    assert PEER not in listed(store, day(5))
    assert "allowed" in {change.change for change in why(store, PEER, day(5)).history}
    end_allowance(store, "24.1.0.0/16", day(5), why="sold")
    assert allowances(store) == []
    ingested(store, [spam(tmp_path / "newer", 6 + n / 10) for n in range(10)], now=day(8))
    assert PEER in listed(store, day(8))
    with pytest.raises(ConfigError, match="is not allowed"):
        end_allowance(store, "24.1.0.0/16", day(8), why="twice")


def test_a_present_that_lies_back_counts_as_the_last_one(store: Path) -> None:
    _, *ended = allow(store, "24.1.0.0/16", day(0.1), owner="x", why="x")  # nothing was listed then
    assert PEER in {event.target for event in ended}
    assert PEER not in listed(store, day(2))
    assert rebuild(store, write=False).state_same


def test_before_anything_was_decided_it_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no ledger here"):
        allow(tmp_path, PEER, day(1), owner="x", why="x")
    Deciding.open(tmp_path).close()
    with pytest.raises(ConfigError, match="nothing was decided yet"):
        allow(tmp_path, PEER, day(1), owner="x", why="x")
    with pytest.raises(StoreError, match="there is no evidence in"):
        allowances(tmp_path / "none")


def test_a_long_run_takes_up_what_people_decide(store: Path, tmp_path: Path) -> None:
    """And the runs are replayed with what people decided at its place."""
    new = [spam(tmp_path / "new", 3 + n / 10) for n in range(10)]
    ingested(store, new, now=day(2.6))
    with Evidence.open(store, write=True) as evidence, Deciding.open(store) as deciding:
        deciding.decide(evidence, day(2.7))
        remove(store, PEER, day(2.8), by="x", why="x")
        allow(store, "62.1.2.3", day(2.9), owner="x", why="x")
        deciding.decide(evidence, day(5))
        deciding.expire(day(200))
        end_allowance(store, "62.1.2.3", day(201), why="x")
    assert history(store, PEER)[-1].change == "expired"
    assert "listed" in [event.change for event in history(store, PEER) if event.at > day(2.8)]
    done = rebuild(store, write=False)
    assert (done.list_same, done.state_same, done.carried) == (True, True, 3)
