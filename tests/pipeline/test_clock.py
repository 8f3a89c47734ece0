"""A clock that jumps: ahead it is not followed until it has stayed there, back it is followed at once."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.listings.rows import a_run, day

from whimbrel.errors import ConfigError, StoreError
from whimbrel.listings.ledger import Ledger
from whimbrel.model.listing import Run
from whimbrel.pipeline.clock import HOLD_SECONDS, TOLERANCE, SteadyClock, check_ahead, check_behind

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
YEAR = timedelta(days=365)


class Machine:
    """A wall clock that people set, and a steady one that they do not."""

    def __init__(self) -> None:
        self.wall_at = NOON
        self.passed_seconds = 0.0
        self.clock = SteadyClock(lambda: self.wall_at, lambda: self.passed_seconds)

    def wait(self, seconds: float) -> None:
        self.passed_seconds += seconds
        self.wall_at += timedelta(seconds=seconds)


def test_a_clock_that_runs_is_followed() -> None:
    machine = Machine()
    for _ in range(20):
        machine.wait(3_600)
        machine.wall_at += timedelta(seconds=20)  # it drifts, or a time server corrects it
        assert machine.clock() == machine.wall_at


def test_a_jump_ahead_that_is_put_right_is_never_followed() -> None:
    machine = Machine()
    machine.wall_at += YEAR
    for _ in range(3):
        with pytest.raises(StoreError, match="jumped ahead by 365 days"):
            machine.clock()
        machine.wait(60)
    machine.wall_at -= YEAR
    assert machine.clock() == machine.wall_at
    machine.wall_at += YEAR  # and a second jump is doubted for as long as the first
    with pytest.raises(StoreError, match=f"in {HOLD_SECONDS:.0f} s"):
        machine.clock()


def test_a_jump_ahead_that_lasts_is_followed() -> None:
    machine = Machine()
    machine.wall_at += YEAR
    with pytest.raises(StoreError):
        machine.clock()
    machine.wait(HOLD_SECONDS)
    assert machine.clock() == machine.wall_at
    machine.wait(1)
    assert machine.clock() == machine.wall_at


def test_a_jump_back_is_followed_at_once() -> None:
    machine = Machine()
    machine.wall_at -= YEAR
    assert machine.clock() == machine.wall_at
    machine.wait(1)
    assert machine.clock() == machine.wall_at
    machine.wall_at += YEAR  # put right: that is no jump ahead
    assert machine.clock() == machine.wall_at


def test_what_is_decided_is_never_ahead_of_the_clock() -> None:
    decided = Run(kind="decided", at=NOON, batch=1, until=NOON, profile="own", rule_version="1")
    check_behind(None, NOON)
    check_behind(decided, NOON - TOLERANCE)
    with pytest.raises(StoreError, match=r"says 2026-11-24 11:42, .* decided up to 2026-11-24 12:00 UTC"):
        check_behind(decided, NOON - TOLERANCE - timedelta(minutes=1))


def test_nobody_decides_ahead_of_the_clock_and_of_what_was_decided(tmp_path: Path) -> None:
    check_ahead(tmp_path, day(9), day(1))  # there is no ledger to spoil
    with Ledger.open(tmp_path / "ledger.sqlite", "write") as ledger:
        ledger.commit(a_run(5), [], [])
    until = a_run(5).until
    for wall in (day(1), until):
        check_ahead(tmp_path, until + TOLERANCE, wall)  # a world that lives in the future may
        with pytest.raises(ConfigError, match="ahead of the clock"):
            check_ahead(tmp_path, until + TOLERANCE * 1.01, wall)
    check_ahead(tmp_path, until + TOLERANCE * 2, until + TOLERANCE)


def test_what_people_decided_by_a_wrong_clock_is_told_as_well() -> None:
    removed = Run(kind="people", at=NOON + YEAR, batch=1, until=NOON, profile="own", rule_version="1")
    with pytest.raises(StoreError, match="decided up to 2027-11-24"):
        check_behind(removed, NOON)
