"""The list in force: maps the snapshot, verifies it, and takes up a new one, or a new overlay, when a file is replaced.

Files must be replaced (written beside, then renamed over), as `whimbrel publish` does, never written in place: the old
snapshot stays whole, and mapped, for as long as anybody answers from it.
"""

import asyncio
import logging
import mmap
from collections.abc import Callable, Collection
from pathlib import Path

from whimbrel.errors import SnapshotError
from whimbrel.nameserver.notices import Notices
from whimbrel.wire.snapshot import Overlay, PublicKey, Snapshot, overlay_path
from whimbrel.wire.snapshot.overlay import MAX_BYTES

# Where the system tells of no change: a tenth of the second that LISTING gives from an accepted message to the
# authoritative answer; looking is two stats.
POLL_SECONDS = 0.1

_log = logging.getLogger(__name__)

_Identity = tuple[int, int, int]


class CurrentSnapshot:
    """Holds the snapshot to answer from, with its overlay; `snapshot` is replaced as a whole, so no answer mixes two.

    With `trusted` keys, only what one of them signed is any good.  Raises SnapshotError where the first one is missing
    or no good.
    """

    def __init__(self, path: Path, clock: Callable[[], float], trusted: Collection[PublicKey] = ()) -> None:
        self._path, self._overlay_path = path, overlay_path(path)
        self._trusted = trusted
        self._clock = clock
        self._seen, self._overlay_seen = _identity(path), _identity(self._overlay_path)
        if self._seen is None:
            raise SnapshotError(f"{path}: no snapshot there; write one with 'whimbrel publish'")
        self._said_expired = False
        self._prepare: Callable[[Snapshot], None] = lambda _: None
        self._swapped: Callable[[Snapshot], None] = lambda _: None
        self.swaps = 0
        self.changes = 0  # overlays taken up
        self.refused = 0
        self.snapshot = self._load(None)
        self.snapshot = self._changed(self.snapshot) or self.snapshot

    def on_swap(self, prepare: Callable[[Snapshot], None], swapped: Callable[[Snapshot], None]) -> None:
        """Have `prepare` called with each new snapshot, in a thread, and `swapped` once it is in force."""
        self._prepare, self._swapped = prepare, swapped

    async def follow(self) -> None:
        """Look for new files until cancelled; a bad one is refused with a logged line, and the old one served on."""
        notices = Notices(self._path.parent)
        try:
            while True:
                await notices.wait(POLL_SECONDS)
                await self.look()
                self._say_when_expired()
        finally:
            notices.close()

    async def look(self) -> None:
        """Take up the files that are others than last seen."""
        identity, overlay_identity = _identity(self._path), _identity(self._overlay_path)
        if identity is not None and identity != self._seen:
            self._seen = identity
            await self._take_up_snapshot()
        elif overlay_identity is not None and overlay_identity != self._overlay_seen:
            self._overlay_seen = overlay_identity
            await self._take_up_overlay()

    async def _take_up_snapshot(self) -> None:
        in_force = self.snapshot
        try:
            # In a thread: the checksum of ten million entries takes milliseconds in which queries are answered.
            snapshot = await asyncio.to_thread(self._load, in_force)
            if snapshot is in_force:
                return
            await asyncio.to_thread(self._prepare, snapshot)
        except SnapshotError as error:
            self._refuse(error)
            return
        # What changed meanwhile; its arrays are made at once, since the snapshot's are there.
        self._overlay_seen = _identity(self._overlay_path)
        self._put_in_force(self._changed(snapshot) or snapshot)
        self.swaps += 1
        _log.info("snapshot %d in force, %d entries", snapshot.serial, len(snapshot))

    async def _take_up_overlay(self) -> None:
        changed = await asyncio.to_thread(self._changed, self.snapshot)
        if changed is not None:
            await asyncio.to_thread(self._prepare, changed)
            self._put_in_force(changed)
            self.changes += 1
            _log.debug("a change of snapshot %d in force", changed.serial)

    def _put_in_force(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._swapped(snapshot)

    def _refuse(self, error: SnapshotError) -> None:
        self.refused += 1
        _log.warning("%s; %d stays in force", error, self.snapshot.serial)

    def _changed(self, snapshot: Snapshot) -> Snapshot | None:
        """Return a snapshot with the overlay that lies beside it, if that belongs to it and is newer than its own.

        One of another snapshot is none of a fault: either is replaced before the other.
        """
        try:
            with self._overlay_path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError:
            return None
        try:
            overlay = Overlay(data, self._trusted)
        except SnapshotError as error:
            self._refuse(SnapshotError(f"{self._overlay_path}: {error}"))
            return None
        known = 0 if snapshot.overlay is None else snapshot.overlay.number
        if not overlay.is_of(snapshot.base) or overlay.number <= known:
            return None
        return snapshot.overlaid(overlay)

    def _say_when_expired(self) -> None:
        expired = self._clock() >= self.snapshot.expires
        if expired and not self._said_expired:
            _log.error("snapshot %d has expired: every answer is SERVFAIL until a new one", self.snapshot.serial)
        self._said_expired = expired

    def _load(self, in_force: Snapshot | None) -> Snapshot:
        try:
            with self._path.open("rb") as file:
                mapped: mmap.mmap | bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:  # an empty file cannot be mapped
            mapped = b""
        except OSError as error:
            raise SnapshotError(f"{self._path}: {error.strerror}") from None
        try:
            loaded = Snapshot(memoryview(mapped), self._trusted)
            if in_force is not None and loaded.checksum == in_force.checksum:
                return in_force
            loaded.check_time(now=self._clock(), in_force=None if in_force is None else in_force.serial)
        except SnapshotError as error:
            raise SnapshotError(f"{self._path}: {error}") from None
        if in_force is not None and loaded.zone.demo and not in_force.zone.demo:
            # Where the server listens was looked at when it was started, for a real list: strangers may be asking.
            raise SnapshotError(f"{self._path}: a demo's list of old mail takes no real list's place; start anew")
        return loaded


def _identity(path: Path) -> _Identity | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
