"""A step of the cycle: timed, and after a fault tried again, later and later, while everything else goes on."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from whimbrel.errors import WhimbrelError
from whimbrel.pipeline.running.metrics import Metrics

# The first trial after a fault comes soon, for most pass by themselves (a lock, a full disk that is being cleared).
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 60.0

_Result = TypeVar("_Result")

_log = logging.getLogger(__name__)


class Step:
    """A step by its name; `meaning` says what a fault of it means for the service, for whoever reads the log."""

    def __init__(self, name: str, meaning: str, metrics: Metrics, monotonic: Callable[[], float]) -> None:
        self.name = name
        self.fault: str | None = None  # what is wrong now
        self.due = 0.0  # by `monotonic`: not to be tried before
        self._meaning = meaning
        self._metrics = metrics
        self._monotonic = monotonic
        self._wait_seconds = FIRST_WAIT_SECONDS

    def is_due(self) -> bool:
        """Tell whether the step may be tried now."""
        return self.fault is None or self._monotonic() >= self.due

    def run(self, do: Callable[[], _Result]) -> _Result | None:
        """Do it and return what it gives; None where it failed, which is logged and counted, or is not due yet."""
        if not self.is_due():
            return None
        began = time.perf_counter()
        try:
            done = do()
        except (WhimbrelError, OSError) as error:
            self._failed(str(error), trace=False)
            return None
        except Exception as error:  # noqa: BLE001 - a defect of ours must not end the service
            self._failed(f"{type(error).__name__}: {error}", trace=True)
            return None
        self._metrics.step_seconds.labels(self.name).observe(time.perf_counter() - began)
        if self.fault is not None:
            _log.info("%s works again", self.name, extra={"step": self.name})
        self.fault = None
        self._wait_seconds = FIRST_WAIT_SECONDS
        return done

    def _failed(self, text: str, *, trace: bool) -> None:
        self.fault = text
        self.due = self._monotonic() + self._wait_seconds
        self._metrics.faults.labels(self.name).inc()
        _log.error(
            "%s failed: %s; %s; tried again in %g s",
            self.name,
            text,
            self._meaning,
            self._wait_seconds,
            extra={"step": self.name, "retry_seconds": self._wait_seconds},
            exc_info=trace,
        )
        self._wait_seconds = min(2 * self._wait_seconds, LONGEST_WAIT_SECONDS)
