"""Being told that a file in a folder was replaced: inotify(7), where the system has it.

Without it (another system, a network's file system) `wait` is nothing but waiting: whoever looks then looks again and
again, and is only later.  There is no inotify in Python's library, and this is all that is needed of it.
"""

import asyncio
import ctypes
import logging
import os
from contextlib import suppress
from pathlib import Path

_IN_MOVED_TO = 0x80  # inotify.h: a file was renamed to a name in the folder
_PIECE_BYTES = 4096

_log = logging.getLogger(__name__)


class Notices:
    """Notices of files put in place in a folder, by renaming; in an event loop, until `close`."""

    def __init__(self, folder: Path) -> None:
        self._told = asyncio.Event()
        self._descriptor = _watched(folder)
        if self._descriptor is not None:
            asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    async def wait(self, seconds: float) -> None:
        """Wait for a notice, however old, that nobody has waited for yet, but no longer than so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._told.wait()
        self._told.clear()

    def close(self) -> None:
        """Watch no more."""
        if self._descriptor is not None:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def _read(self) -> None:
        assert self._descriptor is not None
        with suppress(BlockingIOError):
            while os.read(self._descriptor, _PIECE_BYTES):
                self._told.set()


def _watched(folder: Path) -> int | None:
    """Return a descriptor of notices of a folder, or None where there are none."""
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "inotify_init1"):
        return None
    descriptor: int = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor >= 0 and library.inotify_add_watch(descriptor, os.fsencode(folder), _IN_MOVED_TO) >= 0:
        return descriptor
    problem = os.strerror(ctypes.get_errno())
    if descriptor >= 0:
        os.close(descriptor)
    _log.info("%s: changes are looked for, since the system does not tell of them: %s", folder, problem)
    return None
