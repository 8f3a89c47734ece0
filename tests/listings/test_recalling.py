from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.listings.rows import seen
from tests.listings.test_policy import ROWS, neighbourhood

from whimbrel.listings.policy import Decider
from whimbrel.listings.recalling import let_go, recall, size_of
from whimbrel.listings.settings import OWN, SHARED, Settings
from whimbrel.listings.state import Seen
from whimbrel.model.listing import Event


class Forgetful:
    """A decider that keeps its state outside, as the ledger does, and lets go of it after some of its runs."""

    def __init__(self, profile: Settings) -> None:
        self.decider = Decider(profile)
        self.kept: dict[str, bytes] = {}

    def decide(self, rows: Sequence[Seen], *, lets_go: bool) -> list[Event]:
        recall(self.decider, rows, self._load)
        events = [event for row in rows for event in self.decider.decide(row)]
        self.kept |= self.decider.dumps()
        if lets_go:
            let_go(self.decider)
        return events

    def _load(self, keys: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        return ((key, self.kept[key]) for key in keys if key in self.kept)


@pytest.mark.parametrize("profile", [OWN, SHARED])
@settings(deadline=None, max_examples=60)
@given(rows=ROWS, runs=st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=20))
def test_decisions_and_state_are_the_same_whatever_is_let_go(
    profile: Settings, rows: list[Seen], runs: list[tuple[int, bool]]
) -> None:
    whole = Decider(profile)
    forgetful = Forgetful(profile)
    state: dict[str, bytes] = {}
    rest = sorted([*neighbourhood("abc"), *rows], key=lambda row: (row.learned_at, row.seen_at, row.id))
    while rest:
        for count, lets_go in runs:
            some, rest = rest[:count], rest[count:]
            expected = [event for row in some for event in whole.decide(row)]
            state |= whole.dumps()
            assert forgetful.decide(some, lets_go=lets_go) == expected
    assert forgetful.kept == state
    assert whole.expire(whole.clock.replace(year=2030)) == forgetful.decider.expire(whole.clock.replace(year=2030))


def test_what_is_listed_stays_and_all_else_goes() -> None:
    forgetful = Forgetful(OWN)
    mail = [seen(f"203.0.{number}.5", "ham", helo="mail.example", rdns="mail.example") for number in range(50)]
    forgetful.decide([*neighbourhood(), *mail], lets_go=False)
    before = size_of(forgetful.decider)
    let_go(forgetful.decider)
    listed = [target for target, standing in forgetful.decider.standings() if standing.state == "listed"]
    assert 0 < size_of(forgetful.decider) == len(listed) < before / 2
