"""One writer at a time: an advisory lock (flock) on a file that names the process holding it.

The kernel lets go of it when the process ends, however it ends, so there is never a stale lock to remove.
"""

import fcntl
import os
import time
from pathlib import Path

from whimbrel.errors import StoreError
from whimbrel.evidence.files import storing

LOCK_FILE = "write.lock"

# A writer killed while it starts a process leaves a copy of the lock to that one for some milliseconds.
PATIENCE_SECONDS = 1.0
_RETRY_SECONDS = 0.02


class WriteLock:
    """Held from construction until `release`."""

    def __init__(self, folder: Path) -> None:
        path = folder / LOCK_FILE
        with storing(path, "lock"):
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if not self._is_had():
                holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
                os.close(self._descriptor)
                raise StoreError(
                    f"{folder} is being written by another process (pid {holder}): wait for it to end, or stop it"
                )
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def _is_had(self) -> bool:
        due = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= due:
                    return False
                time.sleep(_RETRY_SECONDS)
            else:
                return True

    def release(self) -> None:
        """Let the next writer in."""
        os.close(self._descriptor)
