"""A clock that jumps both ways, under the service and under the commands: the same list, or a refusal that says so."""

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.cli.running import WHIMBREL, lines_of
from tests.cli.service import deliver, spam
from tests.faults.conftest import one_line
from tests.pipeline.running.test_cycle import NOTHING, Service
from tests.pipeline.stores import decisions

from whimbrel.model.listing import Code
from whimbrel.pipeline.clock import HOLD_SECONDS, SteadyClock
from whimbrel.pipeline.running import cycle as module

YEAR = timedelta(days=365)


class Steadied(Service):
    """A service on a machine whose wall clock can be set, and whose steady clock can be moved on."""

    def __init__(self, folder: Path) -> None:
        self.passed_seconds = 0.0
        self.at = datetime.now(UTC)
        super().__init__(folder)
        self.cycle.close()
        self.cycle = module.Cycle(self.config, SteadyClock(self.clock, lambda: self.passed_seconds), self.metrics)

    def clock(self) -> datetime:
        return self.at + timedelta(seconds=self.passed_seconds) + self.ahead

    def wait(self, seconds: float) -> None:
        """Let time pass, and what had to wait be tried again."""
        self.passed_seconds += seconds
        for step in self.cycle.steps.values():
            step.due = 0.0


def served(folder: Path, ahead: timedelta) -> Steadied:
    """Serve three arrivals; the clock jumps before the second, and is put right before the third."""
    folder.mkdir()
    service = Steadied(folder)
    for number, host in enumerate(("91.1.1.7", "91.2.2.7", "91.3.3.7")):
        service.ahead = ahead if number == 1 else timedelta(0)
        deliver(service.maildir, str(number), spam(host))
        service.turn()
        service.wait(60)
        service.turn()
    service.wait(60)
    service.turn()
    service.cycle.publish(at_once=True)
    return service


@pytest.mark.parametrize("ahead", [YEAR, -YEAR, timedelta(days=3), -timedelta(days=3)])
def test_a_jump_that_is_put_right_leaves_the_list_of_an_undisturbed_run(tmp_path: Path, ahead: timedelta) -> None:
    undisturbed = served(tmp_path / "undisturbed", timedelta(0))
    jumped = served(tmp_path / "jumped", ahead)
    try:
        assert jumped.cycle.fault() is None
        assert len(undisturbed.listed()) == 3
        assert jumped.listed() == undisturbed.listed()
        assert len(jumped.published()) == len(undisturbed.published()) > 3 + len(Code)
        told, expected = (decisions(each.data)["events"] for each in (jumped, undisturbed))
        # What waited is decided together with what came later, in an order of its own.
        assert sorted((each.target, each.change) for each in told) == sorted(
            (each.target, each.change) for each in expected
        )
        assert max(event.at for event in told) <= jumped.clock()
    finally:
        undisturbed.cycle.close()
        jumped.cycle.close()


def test_while_a_jump_is_doubted_the_list_stays_and_the_reason_is_told(tmp_path: Path) -> None:
    service = Steadied(tmp_path)
    deliver(service.maildir, "1", spam("91.1.1.7"))
    service.turn()
    serial = service.published().serial
    service.ahead = YEAR
    service.wait(1)
    deliver(service.maildir, "2", spam("91.2.2.7"))
    service.turn()
    assert "jumped ahead by 365 days" in (service.cycle.fault() or "")
    assert service.published().serial == serial
    service.wait(HOLD_SECONDS + 1)
    service.turn(NOTHING)
    service.cycle.publish(at_once=True)
    assert service.cycle.fault() is None
    assert service.published().serial != serial
    # It was wrong for longer than anybody looked away: what it decided stands a year ahead, and that is told.
    service.ahead = timedelta(0)
    service.wait(1)
    deliver(service.maildir, "3", spam("91.3.3.7"))
    service.turn()
    assert "put back a backup of before" in (service.cycle.fault() or "")
    service.cycle.close()


@pytest.mark.debian
def test_a_command_whose_clock_was_ahead_is_told_when_it_is_right_again(
    tmp_path: Path, debian_program: Callable[[str, str], str]
) -> None:
    faketime = debian_program("faketime", "faketime")
    seen = {"seen_at": "2026-03-01T12:00:00Z", "sensor": "mx1", "kind": "message", "label": "spam"}

    def observe(host: str, *prefix: str, options: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
        (tmp_path / host).write_bytes(lines_of([{**seen, "host": host}]))
        command = [*prefix, str(WHIMBREL), "observe", str(tmp_path / host), "--data", str(tmp_path / "data"), *options]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    assert observe("192.0.2.1", faketime, "-f", "+1y").returncode == 0
    one_line(observe("192.0.2.2"), "the clock says", "decided up to", "--now")
    later = (datetime.now(UTC) + 2 * YEAR).isoformat()
    assert observe("192.0.2.2", options=("--now", later)).returncode == 0
    assert observe("192.0.2.3", faketime, "-f", "+3y").returncode == 0
