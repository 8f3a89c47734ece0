"""The list, kept in memory change by change, and published when it changed or its snapshot grows old.

What changes goes out at once, in an overlay; a snapshot is cut of it later, or where an overlay does not do.
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
from whimbrel.pipeline.running.metrics import Metrics
from whimbrel.pipeline.running.telling import Telling
from whimbrel.publishing import Entries, next_serial, previous_serial, signing, write_overlay, write_snapshot
from whimbrel.wire.keyfile import KeyLine
from whimbrel.wire.snapshot import Overlay, Snapshot
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

    def is_due(self, now: datetime, monotonic: float, *, at_once: bool = False) -> bool:
        """Tell whether the list should be published; `at_once`: however soon that is after the last time."""
        is_old = self._next_at is None or now >= self._next_at
        self._is_whole_due |= is_old or (self._overlays > 0 and monotonic - self._cut_at >= self._compact_seconds)
        is_due = self._is_changed or self._is_whole_due
        return is_due and (at_once or monotonic >= self._published_at + self._least_seconds())

    def due_seconds(self, monotonic: float) -> float:
        """Return in how many seconds may be published what now waits for that; infinity where nothing waits."""
        if not self._is_changed and not self._is_whole_due:
            return inf
        return max(0.0, self._published_at + self._least_seconds() - monotonic)

    def _least_seconds(self) -> float:
        return self._wait_seconds if self._does_overlay() else LEAST_SECONDS

    def _does_overlay(self) -> bool:
        changes = self._entries.changes
        return (
            not self._is_whole_due
            and self._settings.overlay_seconds > 0
            and changes is not None
            and changes <= _OVERLAY_FULL
        )

    def renew(self, settings: Publish) -> None:
        """Publish a snapshot at the next occasion, by some settings, whatever changed."""
        self._settings = settings
        self._is_whole_due = True

    def publish(self, now: datetime, monotonic: float, signers: Sequence[KeyLine]) -> None:
        """Publish the list as it is now, signed by some keys or by none."""
        self._is_whole_due |= bool(signers) != self._is_signed
        if self._base is not None and self._does_overlay():
            self._publish_overlay(self._base, now, signers)
        else:
            self._publish_snapshot(now, signers)
            self._cut_at = monotonic
        self._is_changed = False
        self._published_at = monotonic

    def _publish_overlay(self, base: Base, now: datetime, signers: Sequence[KeyLine]) -> None:
        began = time.monotonic()
        data = self._entries.overlay(base, number=self._overlays + 1, born=now, texts=self._texts)
        write_overlay(self.path, signing.signed(data, signers, Overlay) if signers else data)
        self._overlays += 1
        self._wait_seconds = max(OVERLAY_LEAST_SECONDS, (time.monotonic() - began) / OVERLAY_SHARE)
        self._metrics.overlays.inc()
        self._metrics.changed.set(self._entries.changes or 0)

    def _publish_snapshot(self, now: datetime, signers: Sequence[KeyLine]) -> None:
        began, settings = time.monotonic(), self._settings
        signing.check_kept(self.path, signers)
        valid = timedelta(hours=settings.valid_hours)
        serial = next_serial(now, previous_serial(self.path))
        data = self._entries.moment().snapshot(
            zone=settings.zone,
            serial=serial,
            born=now,
            expires=now + valid,
            texts=self._texts,
            servers=settings.servers,
            mailbox=settings.mailbox or None,
            demo=self._demo,
        )
        if signers:
            data = signing.signed(data, signers)
        self._ledger.note_published(serial, now, self._number or 0)
        write_snapshot(self.path, data)
        self.serial, self._mark = serial, _mark(self.path)
        snapshot = Snapshot(data)
        self._entries.begin_overlay()
        self._base, self._overlays, self._is_whole_due = snapshot.base, 0, False
        self._is_signed = bool(signers)
        self._next_at = now + valid / 2
        self._measure(serial, now, now + valid, len(snapshot))
        self._compact_seconds = max(settings.overlay_seconds, (time.monotonic() - began) / _COMPACT_SHARE)

    def _is_replaced(self) -> bool:
        if self.serial is None or _mark(self.path) == self._mark:
            return False
        self._mark = _mark(self.path)
        return previous_serial(self.path) != self.serial  # the same list may have been signed by hand

    def _measure(self, serial: int, born: datetime, expires: datetime, entries: int) -> None:
        self._metrics.serial.set(serial)
        self._metrics.entries.set(entries)
        self._metrics.born.set(int(born.timestamp()))
        self._metrics.expires.set(int(expires.timestamp()))
        self._metrics.published.inc()
        self._metrics.changed.set(0)
        if changed := self._published_lately.add({"published": 1, "changes": self._changes}):
            _log.info(
                "published snapshot %d: entries %d; since the last such line: snapshots %d, changes %d",
                serial, entries, changed["published"], changed["changes"], extra={"serial": serial, "entries": entries},
            )  # fmt: skip
        self._changes = 0

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
