"""Counts for the log, told now and then: a busy service must not write a line for each of many turns."""

import time
from collections import Counter
from collections.abc import Callable, Mapping

# A quiet service tells at once; a busy one six times a minute, of all that came since.
EVERY_SECONDS = 10.0


class Telling:
    """Adds counts up until it is time to tell them."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._due = 0.0
        self._counts: Counter[str] = Counter()

    def add(self, counts: Mapping[str, int]) -> Counter[str] | None:
        """Add some counts; return all since they were last told where it is time to tell them, else None."""
        self._counts.update(counts)
        now = self._monotonic()
        if now < self._due:
            return None
        told, self._counts, self._due = self._counts, Counter(), now + EVERY_SECONDS
        return told
