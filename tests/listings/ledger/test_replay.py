"""The list of a moment is what was recorded by then, and nothing else."""

from datetime import timedelta

import pytest
from tests.listings.rows import day

from whimbrel.errors import StoreError
from whimbrel.listings.ledger.replay import apply, apply_allowed, replayed
from whimbrel.model.listing import Allowed, Code, Event, Listing, State, said

TARGET = "192.0.2.1"


def listed(at: float, until: float) -> Event:
    return Event(
        at=day(at),
        target=TARGET,
        change="listed",
        actor="rules",
        code=Code.SPAM_SOURCE,
        role="unknown",
        until=day(until),
        score=1.0,
        prior_logit=0.0,
        probability_legitimate=0.001,
        why="sent spam",
        evidence=(b"x" * 16,),
    )


def test_a_renewal_keeps_since_and_a_relisting_counts() -> None:
    events = [listed(1, 3), listed(2, 5), listed(9, 12)]
    (renewed,) = replayed(events, day(4))
    assert (renewed.since, renewed.until, renewed.times_listed) == (day(1), day(5), 1)
    (again,) = replayed(events, day(10))
    assert (again.since, again.times_listed) == (day(9), 2)
    assert replayed(events, day(7)) == []


@pytest.mark.parametrize("change", ["expired", "removed", "erased"])
def test_what_ends_a_listing_ends_it(change: State) -> None:
    events = [listed(1, 9), said(day(3), TARGET, change, "x", "x")]
    assert len(replayed(events, day(3) - timedelta(microseconds=1))) == 1
    assert replayed(events, day(3)) == []
    kept: dict[str, Listing] = {}
    apply(kept, {}, [*events, said(day(5), TARGET, "erased", "x", "x")], keep_ended=True)
    assert kept[TARGET].until == day(3)  # an end that has been is not put off


@pytest.mark.parametrize("change", ["candidate", "removal requested", "refused", "allowed", "no longer allowed"])
def test_what_ends_none_does_not(change: State) -> None:
    events = [listed(1, 9), said(day(3), TARGET, change, "x", "x")]
    assert replayed(events, day(4)) == replayed(events[:1], day(4))


def test_an_event_that_lacks_something_is_told() -> None:
    with pytest.raises(StoreError, match=r"event for 192\.0\.2\.1 .* is incomplete"):
        replayed([said(day(1), TARGET, "listed", "x", "x")], day(2))


def test_the_allow_list_is_its_last_word() -> None:
    kept: dict[str, Allowed] = {}
    words = [
        said(day(1), "192.0.2.0/24", "allowed", "a", "one"),
        said(day(2), "192.0.2.0/24", "allowed", "b", "two"),
        said(day(3), "198.51.100.0/24", "allowed", "c", "three"),
        said(day(4), "198.51.100.0/24", "no longer allowed", "c", "sold"),
        said(day(5), "203.0.113.0/24", "no longer allowed", "d", "never was"),
    ]
    apply_allowed(kept, words)
    assert kept == {"192.0.2.0/24": Allowed(target="192.0.2.0/24", owner="b", why="two", since=day(2))}
