"""Whether the machine's clock may be believed, for decisions cannot be taken back when it is set right.

Time does not go back in a ledger: what was decided by a clock that was a year ahead would stand a year ahead of all
that comes after.  So a clock that lies far behind what the store has decided is refused, and a clock that jumps ahead
while the service runs is not followed until it has stayed there.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from whimbrel.errors import ConfigError, StoreError
from whimbrel.listings.ledger import Ledger
from whimbrel.model.listing import Run
from whimbrel.pipeline.places import ledger_place

# What time servers and leap seconds correct, and more: NTP gives up beyond 1,000 s (RFC 5905, PANICT).
TOLERANCE = timedelta(seconds=1_000)
# A clock that was set wrong by hand, or by one bad time server, is mostly put right by then.
HOLD_SECONDS = 600.0


def check_clock(data_dir: Path, now: datetime) -> None:
    """Raise StoreError where the clock is behind what the store in a folder has decided already."""
    ledger = Ledger.find(ledger_place(data_dir))
    if ledger is not None:
        with ledger:
            check_behind(ledger.last_run(), now)


def check_behind(last: Run | None, now: datetime) -> None:
    """Raise StoreError where `now` lies before the moment up to which the last run decided, or people did in it."""
    decided = None if last is None else max(last.until, last.at)
    if decided is not None and now < decided - TOLERANCE:
        said, until = f"{now:%Y-%m-%d %H:%M}", f"{decided:%Y-%m-%d %H:%M}"
        raise StoreError(
            f"the clock says {said}, and this store has decided up to {until} UTC: one of them is wrong. Set the clock "
            "right; if it was wrong then, put back a backup of before (whimbrel restore); to go on by the later time, "
            "say it with --now"
        )


def check_ahead(data_dir: Path, now: datetime, wall: datetime) -> None:
    """Raise ConfigError where a person decides at a moment that is ahead of the clock and of all that was decided.

    Whatever came in after that would be dated there too: nothing could be listed before, and no listing removed.
    """
    ledger = Ledger.find(ledger_place(data_dir))
    if ledger is None:
        return
    with ledger:
        last = ledger.last_run()
    latest = wall if last is None else max(wall, last.until)
    if now > latest + TOLERANCE:
        raise ConfigError(
            f"--now {now:%Y-%m-%d %H:%M} lies ahead of the clock, and time does not go back for decisions: leave it out"
        )


class SteadyClock:
    """A clock that does not follow a jump ahead until it has lasted; raises while that is open.

    `steady` gives seconds that nobody sets, and that go on while the machine sleeps.
    """

    def __init__(
        self,
        wall: Callable[[], datetime],
        steady: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._at = (wall(), steady())
        self._doubted_since: float | None = None

    def __call__(self) -> datetime:
        """Return the time; raises StoreError where it is ahead of the last one by more than has passed."""
        now, steady = self._wall(), self._steady()
        ahead = now - self._at[0] - timedelta(seconds=steady - self._at[1])
        if ahead < -TOLERANCE:
            return now  # set back; should it be set forth again, to where it was expected, that is no jump ahead
        if ahead > TOLERANCE:
            since = self._doubted_since = steady if self._doubted_since is None else self._doubted_since
            left_seconds = since + HOLD_SECONDS - steady
            if left_seconds > 0:
                raise StoreError(
                    f"the clock jumped ahead by {ahead}, to {now:%Y-%m-%d %H:%M}: "
                    f"it is believed if it still says so in {left_seconds:.0f} s"
                )
        self._doubted_since = None
        self._at = (now, steady)
        return now
