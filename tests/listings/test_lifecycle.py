"""A standing led along recorded events stands where deciding left it."""

from hypothesis import given
from hypothesis import strategies as st
from tests.listings.rows import day, seen

from whimbrel.listings import decisions
from whimbrel.listings.lifecycle import carried, term_after
from whimbrel.listings.policy import Decider
from whimbrel.listings.settings import OWN
from whimbrel.listings.state import Standing

HOSTS = ["192.0.2.1", "192.0.2.2", "198.51.100.7"]
DOINGS = ["spam", "spam", "spam", "ham", "remove"]


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(HOSTS), st.sampled_from(["spam", "spam", "spam", "ham", "remove"]), st.floats(0.1, 60)
        ),
        max_size=40,
    )
)
def test_carried_events_lead_where_deciding_led(steps: list[tuple[str, str, float]]) -> None:
    decider, standings, now = Decider(OWN), dict[str, Standing](), 0.0
    for host, what, later in steps:
        now += later
        if what != "remove":
            events = decider.decide(seen(host, what, day=now))
        else:
            events = decider.expire(day(now))
            decider.clock = max(decider.clock, day(now))
            if decisions.is_listed(decider, host):
                events += decisions.remove(decider, host, by="x", why="x")
        for event in events:
            carried(standings.setdefault(event.target, Standing()), event)
    assert {target: standing for target, standing in decider.standings() if standing.state} == standings


def test_a_term_doubles_and_never_passes_the_half_life() -> None:
    assert [term_after(n, 2.0, 30.0) for n in (1, 2, 3, 4, 5, 1000)] == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
