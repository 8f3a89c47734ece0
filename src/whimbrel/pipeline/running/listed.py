"""The list, kept in memory change by change, and published when it changed or its snapshot grows old."""

import logging
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
from whimbrel.publishing import Entries, next_serial, previous_serial, signing, write_snapshot
from whimbrel.wire.keyfile import KeyLine
from whimbrel.wire.snapshot import Snapshot

# A busy stream changes the list many times a second; two snapshots a second keep it fresh at a fifth of a core.
LEAST_SECONDS = 0.5

_log = logging.getLogger(__name__)


class Listed:
    """The targets in force by the ledger, and the snapshot of them."""

    def __init__(self, ledger: Ledger, path: Path, texts: Mapping[Code, str], *, demo: bool, metrics: Metrics) -> None:
        self.path = path
        self.serial: int | None = None  # of the snapshot published last
        self._mark: tuple[int, int] | None = None  # of the file that lay in its place when last looked at
        self._ledger = ledger
        self._texts = texts
        self._demo = demo
        self._metrics = metrics
        self._entries = Entries()
        self._number: int | None = None  # of the last event that the entries know
        self._is_changed = True
        self._changes = 0  # in the ledger, since the last publication
        self._published_lately = Telling()
        self._published_at = 0.0
        self._next_at: datetime | None = None  # when a new snapshot is due, changed or not

    def follow(self, now: datetime) -> int:
        """Take up what was entered in the ledger since the last call; return how many events.

        A snapshot that somebody else put in the place of ours, or took away, is a change too: it may be of other
        settings, above all of another zone.
        """
        self._is_changed |= self._is_replaced()
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
        """Tell whether a snapshot should be published; `at_once`: however soon that is after the last."""
        if monotonic - self._published_at < LEAST_SECONDS and not at_once:
            return False
        return self._is_changed or self._next_at is None or now >= self._next_at

    def due_seconds(self, monotonic: float) -> float:
        """Return in how many seconds a snapshot may be published that now waits for that; infinity where none waits."""
        return max(0.0, self._published_at + LEAST_SECONDS - monotonic) if self._is_changed else inf

    def renew(self) -> None:
        """Publish at the next occasion, whatever changed: settings did."""
        self._is_changed = True

    def publish(self, settings: Publish, now: datetime, monotonic: float, signers: Sequence[KeyLine]) -> int:
        """Publish the list as it is now, signed by some keys or by none; return the snapshot's serial."""
        signing.check_kept(self.path, signers)
        valid = timedelta(hours=settings.valid_hours)
        serial = next_serial(now, previous_serial(self.path))
        data = self._entries.snapshot(
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
        self._is_changed = False
        self._published_at = monotonic
        self._next_at = now + valid / 2
        self._measure(serial, now, now + valid, len(Snapshot(data)))
        return serial

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
