"""The list, kept in memory change by change, and published when it changed or its snapshot grows old.

What changes goes out at once, in an overlay; a snapshot is cut of it later, or where an overlay does not do.  Of a long
list that takes seconds: overlays go out meanwhile, of the snapshot before.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import inf
from pathlib import Path

from whimbrel.errors import ConfigError
from whimbrel.listings.ledger import Ledger
from whimbrel.listings.ledger.replay import ENDS
from whimbrel.model.listing import Code, Event
from whimbrel.pipeline.config.settings import Publish
from whimbrel.pipeline.running.cutting import Cutting, Of
from whimbrel.pipeline.running.metrics import Metrics
from whimbrel.pipeline.running.telling import Telling
from whimbrel.publishing import Entries, next_serial, previous_serial, signing, write_overlay, write_snapshot
from whimbrel.wire.keyfile import KeyLine
from whimbrel.wire.snapshot import Overlay
from whimbrel.wire.snapshot.overlay import MAX_ROWS, Base

# A busy stream changes the list many times a second; two snapshots a second keep it fresh at a fifth of a core.
LEAST_SECONDS = 0.5
# An overlay takes 2 to 30 ms, by its size: no more than this share of the time, and no more often than a turn.
OVERLAY_SHARE = 0.2
OVERLAY_LEAST_SECONDS = 0.05
# Of what an overlay may hold; the rest is room for what changes while a snapshot must wait.
_OVERLAY_FULL = MAX_ROWS // 2
# A snapshot of a long list takes seconds: no more than this share of the time goes into those that only compact.
_COMPACT_SHARE = 0.05

# A snapshot of fewer is cut in a quarter of a second here: nothing need go out meanwhile.
_LONG = 200_000

_log = logging.getLogger(__name__)


class Listed:
    """The targets in force by the ledger, and the snapshot of them."""

    def __init__(
        self,
        ledger: Ledger,
        path: Path,
        texts: Mapping[Code, str],
        settings: Publish,
        *,
        demo: bool,
        metrics: Metrics,
    ) -> None:
        self.path = path
        self._settings = settings
        self.serial: int | None = None  # of the snapshot published last
        self._mark: tuple[int, int] | None = None  # of the file that lay in its place when last looked at
        self._ledger = ledger
        self._texts = texts
        self._demo = demo
        self._metrics = metrics
        self._entries = Entries()
        self._number: int | None = None  # of the last event that the entries know
        self._is_changed = True
        self._is_whole_due = True  # whatever changed, it takes a snapshot
        self._is_urgent = True  # and nothing else goes out before
        self._cutting: Cutting | None = None
        self._base: Base | None = None  # the snapshot published last
        self._overlays = 0  # of it
        self._is_signed = False
        self._cut_at = self._published_at = self._wait_seconds = 0.0
        self._compact_seconds = settings.overlay_seconds
        self._changes = 0  # in the ledger, since the last snapshot
        self._published_lately = Telling()
        self._next_at: datetime | None = None  # when a new snapshot is due, changed or not

    def follow(self, now: datetime) -> int:
        """Take up what was entered in the ledger since the last call; return how many events.

        A snapshot that somebody else put in the place of ours, or took away, is a change too: it may be of other
        settings, above all of another zone.
        """
        if self._is_replaced():
            self.renew(self._settings)
        if self._number is None:
            self._take_all(now)
        assert self._number is not None
        self._number, events = self._ledger.changes(self._number)
        for event in events:
            self._apply(event)
        if any(event.change == "erased" for event in events):
            self._take_all(now)  # what was erased is named nowhere any more, so it is what is left that tells
        self._metrics.in_force.set(len(self._entries))
        self._changes += len(events)
        return len(events)

    def _take_all(self, now: datetime) -> None:
        number = self._ledger.last_change()
        self._entries = Entries()
        for listing in self._ledger.listings(now):
            self._put(listing.target, listing.code, listing.until)
        self._number = number
        self._is_changed = True
        self._demand_now()

    def is_due(self, now: datetime, monotonic: float, *, at_once: bool = False) -> bool:
        """Tell whether the list should be published; `at_once`: however soon that is after the last time."""
        if self._cutting is None:
            is_old = self._next_at is None or now >= self._next_at
            self._is_whole_due |= is_old or (self._overlays > 0 and monotonic - self._cut_at >= self._compact_seconds)
        return (at_once and self._cutting is not None) or (
            self._has_something() and (at_once or self.due_seconds(monotonic) <= 0)
        )

    def due_seconds(self, monotonic: float) -> float:
        """Return in how many seconds may be published what now waits for that; infinity where nothing waits."""
        if not self._has_something():
            return inf
        if self._cutting is not None and self._cutting.is_done():
            return 0.0
        return max(0.0, self._published_at + self._least_seconds() - monotonic)

    def _has_something(self) -> bool:
        """Tell whether something could go out: while a snapshot is cut, only that or what an overlay can say."""
        if self._cutting is None:
            return self._is_changed or self._is_whole_due
        return self._cutting.is_done() or (self._is_changed and self._sayable() is not None)

    def _least_seconds(self) -> float:
        return self._wait_seconds if self._does_overlay() else LEAST_SECONDS

    def _does_overlay(self) -> bool:
        changes = self._sayable()
        return not self._is_whole_due and changes is not None and changes <= _OVERLAY_FULL

    def _sayable(self) -> int | None:
        """Return how many targets an overlay would have; None where it cannot say what changed, or none is wanted."""
        return self._entries.changes if self._settings.overlay_seconds > 0 else None

    def renew(self, settings: Publish) -> None:
        """Publish a snapshot at the next occasion, by some settings, whatever changed."""
        self._settings = settings
        self._demand_now()

    def _demand_now(self) -> None:
        """Demand a snapshot before anything else goes out; one that is being cut is not the one."""
        self._is_whole_due = self._is_urgent = True
        self._cutting = None

    def publish(self, now: datetime, monotonic: float, signers: Sequence[KeyLine], *, at_once: bool = False) -> None:
        """Publish the list as it is now, signed by some keys or by none.

        A snapshot of a long list is cut in a thread, while overlays of the one before go out; the call that finds it
        ready puts it in its place.  `at_once` waits for it.
        """
        if bool(signers) != self._is_signed:
            self._demand_now()
        if self._cutting is None and (self._base is None or not self._does_overlay()):
            self._begin_cut(now, monotonic, signers)
        if self._cutting is not None and (at_once or self._is_awaited() or self._cutting.is_done()):
            self._put_in_place(self._cutting, now, signers)
            self._published_at = monotonic
        elif self._base is not None and self._is_changed and self._sayable() is not None:
            self._publish_overlay(self._base, now, signers)
            self._is_changed = False
            self._published_at = monotonic

    def _is_awaited(self) -> bool:
        return self._is_urgent or self._base is None or len(self._entries) < _LONG

    def _begin_cut(self, now: datetime, monotonic: float, signers: Sequence[KeyLine]) -> None:
        settings, moment = self._settings, self._entries.moment()
        signing.check_kept(self.path, signers)
        expires = now + timedelta(hours=settings.valid_hours)
        serial = next_serial(now, previous_serial(self.path))

        def cut() -> bytes:
            data = moment.snapshot(
                zone=settings.zone,
                serial=serial,
                born=now,
                expires=expires,
                texts=self._texts,
                servers=settings.servers,
                mailbox=settings.mailbox or None,
                demo=self._demo,
            )
            return signing.signed(data, signers) if signers else data

        of = Of(moment, serial, now, expires, self._number or 0, self._changes, is_signed=bool(signers))
        self._cutting = Cutting(of, cut)
        self._cut_at = monotonic
        self._is_whole_due = False

    def _put_in_place(self, cutting: Cutting, now: datetime, signers: Sequence[KeyLine]) -> None:
        self._demand_now()  # until all of this is done; what fails is done again while all wait
        cut, of = cutting.result(), cutting.of
        self._ledger.note_published(of.serial, of.born, of.last_event)
        self._entries.begin_overlay(of.moment)
        since = self._sayable()
        overlay = self._overlay(cut.snapshot.base, 1, now, signers) if since else None
        write_snapshot(self.path, cut.data, overlay)
        self.serial, self._mark = of.serial, _mark(self.path)
        self._base, self._overlays = cut.snapshot.base, int(overlay is not None)
        self._is_signed = of.is_signed
        self._is_whole_due = self._is_urgent = False
        # More than an overlay can say needs another snapshot, if anything came in meanwhile.
        self._is_changed = since is None and self._number != of.last_event
        self._next_at = of.born + (of.expires - of.born) / 2
        self._measure(of, len(cut.snapshot))
        self._metrics.changed.set(since or 0)
        self._compact_seconds = max(self._settings.overlay_seconds, cut.seconds / _COMPACT_SHARE)

    def _overlay(self, base: Base, number: int, now: datetime, signers: Sequence[KeyLine]) -> bytes:
        data = self._entries.overlay(base, number=number, born=now, texts=self._texts)
        return signing.signed(data, signers, Overlay) if signers else data

    def _publish_overlay(self, base: Base, now: datetime, signers: Sequence[KeyLine]) -> None:
        began = time.monotonic()
        write_overlay(self.path, self._overlay(base, self._overlays + 1, now, signers))
        self._overlays += 1
        self._wait_seconds = max(OVERLAY_LEAST_SECONDS, (time.monotonic() - began) / OVERLAY_SHARE)
        self._metrics.overlays.inc()
        self._metrics.changed.set(self._entries.changes or 0)

    def _is_replaced(self) -> bool:
        if self.serial is None or _mark(self.path) == self._mark:
            return False
        self._mark = _mark(self.path)
        return previous_serial(self.path) != self.serial  # the same list may have been signed by hand

    def _measure(self, of: Of, entries: int) -> None:
        self._metrics.serial.set(of.serial)
        self._metrics.entries.set(entries)
        self._metrics.born.set(int(of.born.timestamp()))
        self._metrics.expires.set(int(of.expires.timestamp()))
        self._metrics.published.inc()
        if changed := self._published_lately.add({"published": 1, "changes": of.changes}):
            _log.info(
                "published snapshot %d: entries %d; since the last such line: snapshots %d, changes %d",
                of.serial, entries, changed["published"], changed["changes"],
                extra={"serial": of.serial, "entries": entries},
            )  # fmt: skip
        self._changes -= of.changes

    def _apply(self, event: Event) -> None:
        self._metrics.events.labels(event.change).inc()
        if event.change == "listed" and event.code is not None and event.until is not None:
            self._put(event.target, event.code, event.until)
        elif event.change in ENDS:
            end = self._entries.drop(event.target)
            # An end that came as foretold stands in the snapshot already.
            self._is_changed |= end is not None and int(event.at.timestamp()) < end

    def _put(self, target: str, code: Code, until: datetime) -> None:
        try:
            self._entries.put(target, code, until)
        except ConfigError as error:
            # One target that must not be published must not keep all others from it.
            self._metrics.faults.labels("publish").inc()
            _log.error("left out of the list: %s", error, extra={"step": "publish"})
        self._is_changed = True


def _mark(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another one in its place; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
