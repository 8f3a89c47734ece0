"""What people decide changes a listing's life as the published rules say."""

from datetime import timedelta

import pytest
from msgspec.structs import replace
from tests.listings.rows import day, seen

from whimbrel.listings import decisions
from whimbrel.listings.policy import Decider
from whimbrel.listings.settings import OWN
from whimbrel.model.listing import Event

HOST = "192.0.2.1"


def spamming(decider: Decider, *days: float, host: str = HOST) -> list[Event]:
    return [event for when in days for event in decider.decide(seen(host, day=when))]


@pytest.fixture
def decider() -> Decider:
    """A decider that has listed a host for spam of one day."""
    found = Decider(OWN)
    spamming(found, *(n / 100 for n in range(9)))
    assert decisions.is_listed(found, HOST)
    return found


def test_a_first_listing_is_removed_at_once(decider: Decider) -> None:
    decider.clock = day(1)
    asked, removed = decisions.remove(decider, HOST, by="abuse@isp.example", why="cleaned")
    assert (asked.change, asked.actor, asked.why) == ("removal requested", "abuse@isp.example", "cleaned")
    assert (removed.change, removed.actor, removed.at) == ("removed", OWN.rule_version, day(1))
    assert not decisions.is_listed(decider, HOST)
    assert decider.would_list(HOST, day(1)) in {None, "192.0.2.0/24"}


def test_what_was_seen_before_a_removal_counts_no_more_whenever_it_comes_in(decider: Decider) -> None:
    decider.clock = day(1)
    decisions.remove(decider, HOST, by="x", why="x")
    late = [seen(HOST, day=1 - n / 100)._replace(learned_at=day(2)) for n in range(1, 30)]
    assert not [event for row in late for event in decider.decide(row) if event.target == HOST]
    state = decider.hosts[HOST]
    assert all(mass.spam == mass.hard == mass.reports == 0 for mass in state.sensors.values())
    assert state.evidence == []


def test_new_spam_lists_again_for_twice_the_term_and_only_with_new_evidence(decider: Decider) -> None:
    decider.settings = replace(OWN, static_half_life_seconds=1e9)  # which the doubled term may not pass
    decider.clock = day(1)
    decisions.remove(decider, HOST, by="x", why="x")
    rows = [seen(HOST, day=3 + n / 100) for n in range(9)]
    listed = [event for row in rows for event in decider.decide(row) if event.change == "listed"]
    again = next(event for event in listed if event.target == HOST)
    assert again.until is not None
    assert again.until - again.at == timedelta(seconds=2 * OWN.static_term_seconds)
    assert set(again.evidence) <= {row.id for row in rows}
    assert decider.hosts[HOST].standing.times_listed == 2


def test_a_second_removal_is_refused_with_its_reason(decider: Decider) -> None:
    decider.clock = day(1)
    decisions.remove(decider, HOST, by="x", why="x")
    spamming(decider, *(3 + n / 100 for n in range(9)))
    until = decider.hosts[HOST].standing.until
    asked, refused = decisions.remove(decider, HOST, by="y", why="really cleaned")
    assert (asked.actor, refused.change, refused.actor) == ("y", "refused", OWN.rule_version)
    assert "listed for the second time" in refused.why
    assert f"{until:%Y-%m-%d %H:%M}" in refused.why
    assert decisions.is_listed(decider, HOST)
    assert decider.hosts[HOST].standing.until == until


@pytest.mark.parametrize("target", [HOST, "192.0.2.0/24", "192.0.0.0/16"])
def test_what_is_allowed_ends_at_once(decider: Decider, target: str) -> None:
    decider.clock = day(1)
    allowed, *ended = decisions.allow(decider, target, [HOST, "24.1.2.3", "erased-1"], owner="Example", why="ours")
    assert (allowed.change, allowed.target, allowed.actor, allowed.why) == ("allowed", target, "Example", "ours")
    assert [(event.target, event.change) for event in ended] == [(HOST, "removed")]
    assert not decisions.is_listed(decider, HOST)


def test_what_lies_elsewhere_is_not_touched(decider: Decider) -> None:
    (allowed,) = decisions.allow(decider, "198.51.100.0/24", [HOST], owner="Example", why="ours")
    assert allowed.change == "allowed"
    assert decisions.is_listed(decider, HOST)
    assert [event.change for event in decisions.end_allowance(decider, "198.51.100.0/24", owner="E", why="w")] == [
        "no longer allowed"
    ]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("192.0.2.1", "192.0.2.0/24", True),
        ("192.0.2.0/24", "192.0.2.1", True),
        ("2001:db8::/64", "2001:db8::/32", True),
        ("192.0.2.1", "2001:db8::/32", False),
        ("192.0.2.1", "198.51.100.0/24", False),
        ("erased-1", "192.0.2.0/24", False),
        ("example.com", "example.com", False),
    ],
)
def test_overlap(one: str, other: str, *, expected: bool) -> None:
    assert decisions.overlap(one, other) is expected
