"""A mirror: fetches the list, believes it only with a signature, and keeps it where a name server finds it.

What is kept is never older than what was there, and always whole: it is verified in memory, written beside, and
renamed.  A mirror needs a public key and a place to fetch from, no evidence and no ledger.
"""

import logging
from collections.abc import Callable, Collection
from pathlib import Path
from threading import Event

from whimbrel.errors import SnapshotError, StoreError, UpstreamError, WhimbrelError
from whimbrel.publishing.fetching import Source
from whimbrel.publishing.writing import write_overlay, write_snapshot
from whimbrel.wire.snapshot import Overlay, PublicKey, Snapshot, overlay_path

_log = logging.getLogger(__name__)


class Mirror:
    """Keeps at `path` the newest list that `source` gave and a `trusted` key signed, and beside it its overlay.

    Overlays come from `overlays`, where there are any: who publishes without them has none, and that is no fault.
    `clock` gives seconds since 1970.  Lists of old mail (demos) are refused unless `takes_demo`: their addresses belong
    to others now, and must not be served to strangers.
    """

    def __init__(
        self,
        source: Source,
        path: Path,
        trusted: Collection[PublicKey],
        clock: Callable[[], float],
        *,
        takes_demo: bool,
        overlays: Source | None = None,
    ) -> None:
        self._source = source
        self._overlays = overlays
        self._path = path
        self._trusted = trusted
        self._clock = clock
        self._takes_demo = takes_demo

    def held(self) -> Snapshot | None:
        """Return the list that is kept, expired or not; None where there is none that could be served."""
        try:
            return self._admitted(self._path.read_bytes())
        except (OSError, SnapshotError):
            return None

    def look(self) -> Snapshot | None:
        """Fetch the list and keep it, if there is another than before; return it, or None.

        Raises UpstreamError where it cannot be fetched, SnapshotError where it is refused, StoreError where it cannot
        be written: the list that was kept stays in each case.
        """
        data = self._source.fetch()
        if data is None:
            return None
        found, held = self._admitted(data), self.held()
        if held is not None and found.checksum == held.checksum:
            return None
        found.check_time(now=self._clock(), in_force=None if held is None else held.serial)
        try:
            write_snapshot(self._path, data)
        except StoreError:
            self._source.forget()
            raise
        return found

    def look_at_overlay(self) -> Overlay | None:
        """Fetch the overlay of the list that is kept, and keep it, if there is a newer one; return it, or None.

        Raises SnapshotError and StoreError as `look` does.
        """
        if self._overlays is None:
            return None
        try:
            data = self._overlays.fetch()
        except UpstreamError as error:
            _log.debug("no overlay: %s", error)
            return None
        held = None if data is None else self.held()
        if data is None or held is None:
            return None
        found = Overlay(data, self._trusted)
        if not found.is_of(held.base):
            self._overlays.forget()  # its list may come with the next look
            return None
        if found.number <= self._held_number(held):
            return None
        write_overlay(self._path, data)
        return found

    def _held_number(self, held: Snapshot) -> int:
        """Return the number of the overlay that is kept beside the list; 0: there is none that could be served."""
        try:
            kept = Overlay(overlay_path(self._path).read_bytes(), self._trusted)
        except (OSError, SnapshotError):
            return 0
        return kept.number if kept.is_of(held.base) else 0

    def _admitted(self, data: bytes) -> Snapshot:
        snapshot = Snapshot(data, self._trusted)
        if snapshot.zone.demo and not self._takes_demo:
            raise SnapshotError(
                f"snapshot {snapshot.serial} refused: a demo's list of old mail is served on 127.0.0.1 or ::1 only"
            )
        return snapshot

    def follow(self, every_seconds: float, stop: Event) -> None:
        """Look again and again until told to stop; what goes wrong is logged, and the list that is kept stays."""
        while not stop.wait(every_seconds):
            try:
                found = self.look()
                self.look_at_overlay()
            except WhimbrelError as error:
                _log.warning("%s; the list that is kept stays", error)
                continue
            if found is not None and found.signer is not None:
                _log.info("snapshot %d fetched, signed by %s", found.serial, found.signer.id)
