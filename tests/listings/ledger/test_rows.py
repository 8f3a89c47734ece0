"""Rows hold what they are made of, and nothing that a database cannot."""

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.listings.rows import a_run, day

from whimbrel.listings.ledger.rows import allowed, allowed_row, instant, micros, run, run_row, state, state_row
from whimbrel.model.listing import Allowed


@given(keys=st.sets(st.text(st.characters(exclude_categories=["Cs"])), max_size=20))
def test_any_name_that_a_host_gave_is_a_key_of_the_state(keys: set[str]) -> None:
    assert {state(state_row(key, b"")) for key in keys} == {(key, b"") for key in keys}
    assert not any("\0" in str(state_row(key, b"")["key"]) for key in keys)


@given(at=st.datetimes(timezones=st.just(day(0).tzinfo)))
def test_times_come_back(at: datetime) -> None:
    assert instant(micros(at)) == at


def test_runs_and_what_is_allowed_come_back() -> None:
    one = replace(a_run(3.25, "people"), own=("192.0.2.0/24", "2001:db8::/32"), decided=7, number=3, last_event=12)
    assert run(run_row(one)) == one
    other = Allowed(target="192.0.2.0/24", owner="Example", why="known", since=day(0.1))
    assert allowed(allowed_row(other)) == other
