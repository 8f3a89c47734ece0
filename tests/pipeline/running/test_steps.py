import logging

import pytest

from whimbrel.errors import StoreError
from whimbrel.pipeline.running.metrics import Metrics
from whimbrel.pipeline.running.steps import FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, Step


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def step(clock: Clock, metrics: Metrics) -> Step:
    return Step("ingest", "new mail waits", metrics, clock)


def interrupted() -> None:
    raise KeyboardInterrupt


def failing() -> None:
    raise StoreError("the disk is full")


def test_a_fault_is_told_counted_and_tried_again_later_and_later(
    step: Step, clock: Clock, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    assert step.run(lambda: 1) == 1
    waits = []
    for _ in range(12):
        assert step.run(failing) is None
        waits.append(step.due - clock.now)
        assert not step.is_due()
        assert step.run(lambda: 1) is None  # not yet
        clock.now = step.due
    assert waits[:3] == [FIRST_WAIT_SECONDS, 2 * FIRST_WAIT_SECONDS, 4 * FIRST_WAIT_SECONDS]
    assert waits[-1] == LONGEST_WAIT_SECONDS
    assert str(step.fault) == "the disk is full"
    assert metrics.sum("faults_total") == 12
    assert caplog.messages[0] == "ingest failed: the disk is full; new mail waits; tried again in 0.5 s"
    with caplog.at_level(logging.INFO):
        assert step.run(lambda: 2) == 2
    assert caplog.messages[-1] == "ingest works again"
    assert step.fault is None
    assert step.run(failing) is None
    assert step.due - clock.now == FIRST_WAIT_SECONDS


def test_a_defect_of_ours_shows_its_trace_and_ends_nothing(step: Step, caplog: pytest.LogCaptureFixture) -> None:
    nothing: dict[str, int] = {}
    assert step.run(lambda: nothing["nothing"]) is None
    assert step.fault == "KeyError: 'nothing'"
    assert caplog.records[0].exc_info


def test_what_ends_the_process_is_not_held_back(step: Step) -> None:
    with pytest.raises(KeyboardInterrupt):
        step.run(interrupted)


def test_a_disk_that_fails_is_a_fault_without_a_trace(step: Step, caplog: pytest.LogCaptureFixture) -> None:
    def failing_disk() -> None:
        raise OSError(28, "No space left on device")

    step.run(failing_disk)
    assert "No space left" in str(step.fault)
    assert not caplog.records[0].exc_info
