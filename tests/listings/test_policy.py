import random
from collections.abc import Sequence
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.listings.rows import day, seen

from whimbrel.listings.policy import Decider
from whimbrel.listings.settings import OWN, SHARED, Settings
from whimbrel.listings.state import Seen
from whimbrel.model.listing import Code, Event


def decided(
    rows: Sequence[Seen], profile: Settings = OWN, decider: Decider | None = None
) -> tuple[Decider, list[Event]]:
    decider = decider or Decider(profile)
    return decider, [event for row in rows for event in decider.decide(row)]


def neighbourhood(sensors: Sequence[str] = ("a",)) -> list[Seen]:
    """A world: 40 spamming customers' lines and 20 mail servers, so that the prior knows what names mean."""
    rows = []
    for number in range(40):
        host = f"198.51.{number}.9"
        line = f"dsl-{number}-9.isp.example"
        rows += [seen(host, sensor=sensor, rdns=line, day=number / 100) for sensor in sensors]
    for number in range(20):
        name = f"mail.org{number}.example"
        rows.append(seen(f"203.0.{number}.5", "ham", helo=name, rdns=name, day=number / 100))
    return sorted(rows, key=lambda row: (row.learned_at, row.seen_at, row.id))


VICTIM = {"helo": "mail.victim.example", "rdns": "mail.victim.example"}
_HOSTS = [f"192.0.{third}.{last}" for third in (2, 3) for last in (1, 2, 3)] + ["2001:db8::/64", "2001:db8:0:1::/64"]
ROWS = st.lists(
    st.builds(
        seen,
        st.sampled_from(_HOSTS),
        st.sampled_from(["spam", "spam", "spam", "ham", "unknown"]),
        day=st.floats(0, 120),
        sensor=st.sampled_from("abc"),
        kind=st.sampled_from(["message", "message", "report", "infection", "connection"]),
        method=st.sampled_from([None, "payload", "list"]),
        below=st.sampled_from([None, 0, 2]),
        helo=st.sampled_from([None, "friend", "mail.org.example"]),
        rdns=st.sampled_from([None, "mail.org.example", "dsl-2-1.isp.example"]),
    ),
    max_size=60,
).map(lambda rows: sorted(rows, key=lambda row: (row.learned_at, row.seen_at, row.id)))


def test_own_lists_a_line_at_its_first_spam_and_its_return_is_answered() -> None:
    decider, _ = decided([*neighbourhood(), seen("192.0.2.77", rdns="dsl-2-77.isp.example", day=2)])
    assert decider.would_list("192.0.2.77", day(20)) == "192.0.2.77"
    assert decider.would_list("192.0.2.77", day(2 + 61)) is None


def test_ham_ends_a_listing() -> None:
    line = {"rdns": "dsl-2-77.isp.example"}
    rows = [*neighbourhood(), seen("192.0.2.77", day=2, **line), seen("192.0.2.77", "ham", day=3, **line)]  # type: ignore[arg-type]
    decider, events = decided(rows)
    assert [event.change for event in events if event.target == "192.0.2.77"] == ["listed", "expired"]
    assert decider.would_list("192.0.2.77", day(3)) is None


def test_relisting_doubles_the_term_up_to_the_half_life() -> None:
    profile = msgspec.structs.replace(OWN, static_term_seconds=86_400.0, static_half_life_seconds=3 * 86_400.0)
    rows = [*neighbourhood(), *(seen("192.0.2.77", day=10.0 + 10 * number) for number in range(4))]
    _, events = decided(rows, profile)
    terms = [(event.until or event.at) - event.at for event in events if event.target == "192.0.2.77" and event.until]
    assert terms == [timedelta(days=1), timedelta(days=2), timedelta(days=3), timedelta(days=3)]


def test_attacker_a_with_fewer_than_three_sensors_lists_nobody() -> None:
    flood = [
        seen("192.0.2.1", sensor=sensor, day=1 + n / 1000, salt=str(n), count=1000)
        for n in range(300)
        for sensor in "ab"
    ]
    worms = [seen("192.0.2.1", kind="infection", method="payload", day=2, salt=str(n)) for n in range(50)]
    decider, events = decided([*neighbourhood("abc"), *flood, *worms], SHARED)
    assert not [event for event in events if event.target.startswith("192.0.2.") and event.change == "listed"]
    assert decider.would_list("192.0.2.1", day(2)) is None


def test_a_third_sensor_lists_under_shared() -> None:
    rows = [seen("198.51.3.8", sensor=sensor, day=0.4, rdns="dsl-3-8.isp.example") for sensor in "abc"]
    decider, _ = decided([*neighbourhood("abc"), *rows], SHARED)
    assert decider.would_list("198.51.3.8", day(0.5)) == "198.51.3.8"
    assert decider.would_list("198.51.3.8", day(1.0)) is None  # a dynamic address: half a day


@pytest.mark.parametrize("name", ["mail.victim.example", "zeus.victim.example"])
@pytest.mark.parametrize("profile", [OWN, SHARED])
def test_attacker_b_gets_nothing_for_what_a_victims_server_passes_on(profile: Settings, name: str) -> None:
    forwarded = [
        seen("192.0.2.25", sensor=sensor, day=1 + n / 100, below=1 + n % 3, salt=str(n), helo=name, rdns=name)
        for n in range(200)
        for sensor in "abcd"
    ]
    bounces = [seen("192.0.2.25", "unknown", day=4, salt=str(n), **VICTIM) for n in range(100)]  # type: ignore[arg-type]
    decider, events = decided([*neighbourhood("abcd"), *forwarded, *bounces], profile)
    assert not [event for event in events if event.target.startswith("192.0.2.")]
    assert "192.0.2.25" not in decider.hosts


def test_what_its_own_lines_show_to_have_begun_there_is_a_servers_own() -> None:
    name = "www.offers.example"
    made = [
        seen("192.0.2.25", day=1 + n, below=1, salt=str(n), helo=name, rdns=name)._replace(passed_on=False)
        for n in range(5)
    ]
    decider, _ = decided([*neighbourhood(), *made])
    assert decider.would_list("192.0.2.25", day(6)) == "192.0.2.25"
    decider, _ = decided([*neighbourhood(), *(row._replace(passed_on=True) for row in made)])
    assert decider.would_list("192.0.2.25", day(6)) is None
    users = [row._replace(helo="mail.offers.example", rdns="mail.offers.example") for row in made]
    decider, _ = decided([*neighbourhood(), *users])
    assert decider.would_list("192.0.2.25", day(6)) is None


def test_a_verdict_taken_from_a_list_never_weighs_nor_extends() -> None:
    rows = [*neighbourhood(), seen("192.0.2.77", day=2)]
    _, events = decided(rows)
    _, fed = decided([*rows, *(seen("192.0.2.77", day=3 + n, basis="list", salt=str(n)) for n in range(50))])
    assert [event for event in fed if event.change == "listed"] == [
        event for event in events if event.change == "listed"
    ]


def test_hard_evidence_is_what_the_host_made_itself_and_a_trusted_sensor_saw() -> None:
    worm = seen("192.0.2.9", "unknown", kind="infection", method="payload", day=1)
    decider = Decider(SHARED, trusted=["a"])
    decided(neighbourhood("abc"), SHARED, decider)
    (event,) = [event for event in decider.decide(worm) if event.target == worm.host]
    assert (event.code, event.role) == (Code.INFECTED, "infected")
    for weak in (worm._replace(received_below=1), worm._replace(sensor="z"), worm._replace(method="list")):
        decider = Decider(SHARED, trusted=["a"])
        decided(neighbourhood("abc"), SHARED, decider)
        assert not [event for event in decider.decide(weak) if event.target == worm.host]


def test_networks_are_listed_when_proven_and_unlisted_by_ham() -> None:
    house = [
        seen(f"192.0.2.{last}", day=1 + last / 100, helo=f"m{last}.offers.example", rdns=f"m{last}.offers.example")
        for last in range(1, 7)
    ]
    decider, events = decided([*neighbourhood(), *house])
    (listed,) = [event for event in events if event.target == "192.0.2.0/24"]
    assert listed.code in {Code.SNOWSHOE, Code.NETWORK}
    assert "collateral" in listed.why
    assert listed.evidence
    assert decider.would_list("192.0.2.200", day(2)) == "192.0.2.0/24"
    decider.decide(seen("192.0.2.99", "ham", day=3, **VICTIM))  # type: ignore[arg-type]
    assert decider.would_list("192.0.2.200", day(3)) is None


def test_a_network_that_sent_ham_within_sixty_days_is_not_listed() -> None:
    house = [seen(f"192.0.2.{last}", day=2 + last / 100) for last in range(1, 30)]
    decider, events = decided([*neighbourhood(), seen("192.0.2.99", "ham", day=1, **VICTIM), *house])  # type: ignore[arg-type]
    assert not [event for event in events if event.target == "192.0.2.0/24"]
    assert decider.would_list("192.0.2.200", day(3)) is None


def test_late_arrivals_are_decided_when_they_arrive() -> None:
    decider, _ = decided([*neighbourhood(), seen("198.51.100.1", day=50)])
    late = seen("192.0.2.77", day=2)._replace(learned_at=day(40))
    assert {event.at for event in decider.decide(late)} == {day(50)}


@given(ROWS, st.lists(st.integers(0, 60), max_size=4))
@settings(max_examples=60, deadline=None)
def test_the_same_rows_give_the_same_events_whatever_the_batches(rows: list[Seen], cuts: list[int]) -> None:
    _, whole = decided(rows)
    stored: dict[str, bytes] = {}
    events: list[Event] = []
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(rows)], strict=True):
        decider = Decider(OWN)
        decider.loads(stored.items())
        for row in rows[start:end]:
            decider.probability(row.host, row.learned_at)  # reading changes nothing
            events += decider.decide(row)
        stored |= decider.dumps()
    assert events == whole


@given(ROWS)
@settings(max_examples=60, deadline=None)
def test_no_listing_without_evidence_and_never_past_its_end(rows: list[Seen]) -> None:
    decider, events = decided(rows)
    known = {row.id for row in rows}
    for event in events:
        if event.change == "listed":
            assert event.evidence
            assert set(event.evidence) <= known
            assert event.until is not None
            assert event.at < event.until <= event.at + timedelta(days=90)
    for host in _HOSTS:
        answers = [
            decider.would_list(host, decider.clock + timedelta(days=later)) is not None for later in range(0, 100, 5)
        ]
        assert answers == sorted(answers, reverse=True)  # once off, it stays off until something new is seen
        assert not answers[-1]


@given(ROWS)
@settings(max_examples=60, deadline=None)
def test_what_is_allowed_is_never_listed(rows: list[Seen]) -> None:
    decider = Decider(OWN)
    decider.allow(["192.0.2.1", "192.0.3.0/24", "2001:db8::/32"])
    _, events = decided(rows, OWN, decider)
    listed = {event.target for event in events if event.change == "listed"}
    assert listed <= {"192.0.2.2", "192.0.2.3"}


def test_allowing_ends_a_listing() -> None:
    decider, _ = decided([*neighbourhood(), seen("192.0.2.77", day=2)])
    assert {event.target for event in decider.allow(["192.0.2.77"])} >= {"192.0.2.77"}
    assert decider.would_list("192.0.2.77", day(2)) is None


def test_leaving_out_any_one_of_five_sensors_changes_a_tenth_of_the_list_at_most() -> None:
    dice = random.Random(5)
    hosts = [f"198.{number}.7.9" for number in range(200)]
    rows = [
        seen(host, sensor=sensor, day=dice.uniform(0, 1), rdns=f"dsl-7-9.isp{number % 7}.example", salt=sensor)
        for number, host in enumerate(hosts)
        for sensor in dice.sample("abcde", k=dice.choice([1, 2, 4, 5, 5, 5, 5, 5]))
    ]
    rows.sort(key=lambda row: (row.learned_at, row.seen_at, row.id))

    def listed(left_out: str) -> set[str]:
        _, events = decided([row for row in rows if row.sensor != left_out], SHARED)
        return {event.target for event in events if event.change == "listed"}

    whole = listed("")
    assert len(whole) > 100
    for sensor in "abcde":
        assert len(whole ^ listed(sensor)) <= 0.1 * len(whole)


def test_what_comes_late_counts_as_what_is_left_of_it() -> None:
    late = seen("192.0.2.77", rdns="dsl-2-77.isp.example", day=2)._replace(learned_at=day(400))
    decider, events = decided([*neighbourhood(), late])
    assert decider.would_list("192.0.2.77", day(400)) is None
    assert not [event for event in events if event.at >= day(400) and event.change == "listed"]


def test_a_witness_is_forgotten() -> None:
    hosts = [seen("192.0.2.77", rdns="dsl-2-77.isp.example", sensor=sensor, day=2) for sensor in "bc"]
    back = [seen("192.0.2.77", rdns="dsl-2-77.isp.example", sensor="a", day=9)]
    decider, _ = decided([*neighbourhood("abc"), *hosts, *back], SHARED)
    assert decider.would_list("192.0.2.77", day(9)) is None
