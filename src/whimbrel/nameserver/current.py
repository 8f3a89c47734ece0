"""The snapshot in force: maps the file, verifies it, and takes up a new one when the file has been replaced.

The file must be replaced (written beside, then renamed over), as `whimbrel publish` does, never written in place: the
old one stays whole, and mapped, for as long as anybody answers from it.
"""

import asyncio
import logging
import mmap
from collections.abc import Callable, Collection
from pathlib import Path

from whimbrel.errors import SnapshotError
from whimbrel.wire.snapshot import PublicKey, Snapshot

# A tenth of the second that LISTING gives from an accepted message to the authoritative answer; looking is one stat.
POLL_SECONDS = 0.1

_log = logging.getLogger(__name__)

_Identity = tuple[int, int, int]


class CurrentSnapshot:
    """Holds the snapshot to answer from; `snapshot` is replaced as a whole, so no answer mixes two.

    With `trusted` keys, only what one of them signed is any good.  Raises SnapshotError where the first one is missing
    or no good.
    """

    def __init__(self, path: Path, clock: Callable[[], float], trusted: Collection[PublicKey] = ()) -> None:
        self._path = path
        self._trusted = trusted
        self._clock = clock
        self._seen = _identity(path)
        if self._seen is None:
            raise SnapshotError(f"{path}: no snapshot there; write one with 'whimbrel publish'")
        self.snapshot = self._load(None)
        self._said_expired = False
        self._prepare: Callable[[Snapshot], None] = lambda _: None
        self._swapped: Callable[[Snapshot], None] = lambda _: None
        self.swaps = 0
        self.refused = 0

    def on_swap(self, prepare: Callable[[Snapshot], None], swapped: Callable[[Snapshot], None]) -> None:
        """Have `prepare` called with each new snapshot, in a thread, and `swapped` once it is in force."""
        self._prepare, self._swapped = prepare, swapped

    async def follow(self) -> None:
        """Look for a new file until cancelled; a bad one is refused with a logged line, and the old one served on."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await self.look()
            self._say_when_expired()

    async def look(self) -> None:
        """Take up the file if it is another one than last seen."""
        identity = _identity(self._path)
        if identity is None or identity == self._seen:
            return
        self._seen = identity
        try:
            # In a thread: the checksum of ten million entries takes milliseconds in which queries are answered.
            snapshot = await asyncio.to_thread(self._load, self.snapshot)
            if snapshot is not self.snapshot:
                await asyncio.to_thread(self._prepare, snapshot)
        except SnapshotError as error:
            self.refused += 1
            _log.warning("%s; %d stays in force", error, self.snapshot.serial)
            return
        if snapshot is not self.snapshot:
            self.snapshot = snapshot
            self._swapped(snapshot)
            self.swaps += 1
            _log.info("snapshot %d in force, %d entries", snapshot.serial, len(snapshot))

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
