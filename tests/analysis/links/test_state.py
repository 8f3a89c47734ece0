"""The fold: adding windows one by one is replaying them all, bit for bit."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.analysis.links.conftest import World

from whimbrel.analysis.links import Settings, State, grow, verdicts
from whimbrel.analysis.links.columns import CELLS
from whimbrel.model.columns import INSTANT

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
SETTINGS = Settings()


def test_growing_week_by_week_is_replay_bit_for_bit(world: World) -> None:
    observations = world(odds_ratio=3, hosts=1_500)
    state = None
    for weeks in (2, 3, 6):
        now = MONDAY + timedelta(weeks=weeks, days=1)
        known = observations.filter(pc.less_equal(observations["learned_at"], pa.scalar(now, INSTANT)))
        evidence = grow(known, SETTINGS, now, state)
        state = State.restore(evidence.state.store(), SETTINGS)  # and through its stored form
    whole = grow(observations, SETTINGS, now)
    assert whole.state.store().evidence.equals(evidence.state.store().evidence, check_metadata=True)
    assert whole.state.store().controls.equals(evidence.state.store().controls, check_metadata=True)
    assert verdicts(whole).equals(verdicts(evidence))


def test_the_order_of_rows_does_not_show(world: World) -> None:
    observations, now = world(odds_ratio=2, hosts=600), MONDAY + timedelta(weeks=7)
    turned = observations.take(list(reversed(range(observations.num_rows))))
    one, other = (grow(rows, SETTINGS, now).state.store() for rows in (observations, turned))
    assert one.evidence.equals(other.evidence)
    assert one.controls.equals(other.controls)


def test_a_closed_window_is_not_added_twice() -> None:
    state = State(SETTINGS)
    state.close(5, CELLS.empty_table())
    with pytest.raises(ValueError, match="closed already"):
        state.close(5, CELLS.empty_table())


def test_a_state_of_other_settings_or_version_is_refused() -> None:
    stored = State(SETTINGS).store()
    with pytest.raises(ValueError, match="other settings"):
        State.restore(stored, Settings(theta0=1.5))
    bare = stored._replace(evidence=pa.Table.from_batches([], schema=stored.evidence.schema.remove_metadata()))
    with pytest.raises(ValueError, match="another version"):
        State.restore(bare, SETTINGS)
