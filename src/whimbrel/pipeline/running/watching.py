"""Being told of changes: the system's own notice (inotify) where there is one, else looking again and again.

A thread waits for notices and gathers the changed paths; whoever works on them takes them all at once.  A place that is
not there yet, or cannot be watched, is polled: nothing depends on notices, they only make it quick.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import watchfiles

from whimbrel.sensors.arrivals import Folder, Place

_Identity = tuple[int, int]  # device, inode

_log = logging.getLogger(__name__)

# How long the watching thread waits before it looks whether it is to end.
_WAIT_MILLISECONDS = 500
# Notices that come within this of each other are taken together: a delivery is several.
_STEP_MILLISECONDS = 10


class Changes(NamedTuple):
    """Paths that changed; `all_of_them` says to look at everything, for some change may have gone unseen."""

    paths: frozenset[str]
    all_of_them: bool


class Watcher:
    """Watches the folders of places until `close`.

    `wake` is called whenever there is something to take; `is_polling` tells that there are no notices, or none wanted.
    """

    def __init__(
        self, places: Iterable[Place], wake: Callable[[], None], *, gather_seconds: float, polling: bool
    ) -> None:
        places = list(places)
        self.is_polling = polling
        self._wake = wake
        self._gather_milliseconds = max(1, int(gather_seconds * 1000))
        self._deep = {folder for place in places if isinstance(place, Folder) for folder in place.folders()}
        self._flat = {folder for place in places if not isinstance(place, Folder) for folder in place.folders()}
        self._lock = threading.Lock()
        self._paths: set[str] = set()
        self._missed = False
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._watched: dict[Path, _Identity] = {}
        if not polling:
            self._start()

    def take(self) -> Changes:
        """Return what changed since the last call."""
        if not self.is_polling and self._watched != _identities(self._deep | self._flat):
            self.close()  # a folder has come, gone, or been replaced: notices are of those that were
            self._stop.clear()
            self._start()
        with self._lock:
            changes = Changes(frozenset(self._paths), self._missed)
            self._paths.clear()
            self._missed = False
        return changes

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _start(self) -> None:
        self._watched = _identities(self._deep | self._flat)
        for folders, recursive in ((self._deep, True), (self._flat, False)):
            present = folders & self._watched.keys()
            if present:
                thread = threading.Thread(target=self._watch, args=(present, recursive), daemon=True, name="watching")
                self._threads.append(thread)
                thread.start()

    def _watch(self, folders: set[Path], recursive: bool) -> None:  # noqa: FBT001 - a thread's arguments go by position
        is_first = True
        try:
            for notices in watchfiles.watch(
                *folders,
                watch_filter=None,
                debounce=self._gather_milliseconds,
                step=_STEP_MILLISECONDS,
                stop_event=self._stop,
                rust_timeout=_WAIT_MILLISECONDS,
                yield_on_timeout=True,
                raise_interrupt=False,
                recursive=recursive,
                force_polling=False,
            ):
                with self._lock:
                    self._paths.update(path for _, path in notices)
                    for change, path in notices:
                        if change is watchfiles.Change.deleted:
                            self._watched.pop(Path(path), None)  # a folder made in its place may have its very inode
                    self._missed |= is_first  # what came before the notices began
                if notices or is_first:
                    self._wake()
                is_first = False
        except FileNotFoundError:
            self._watched.clear()  # it went just now: begun again at the next call of `take`
        except (OSError, RuntimeError) as error:
            if not self._stop.is_set():
                _log.warning("changes are looked for from now on, since the system does not tell of them: %s", error)
                self.is_polling = True


def _identities(folders: Iterable[Path]) -> dict[Path, _Identity]:
    """Return what tells a folder from another one put in its place, of those that are there."""
    found = {}
    for folder in folders:
        with suppress(OSError):
            stat = folder.stat()
            found[folder] = stat.st_dev, stat.st_ino
    return found
