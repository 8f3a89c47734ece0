"""Putting a snapshot in its place: whole or not at all, and never with a serial that goes back."""

import contextlib
import os
import tempfile
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from whimbrel.errors import SnapshotError, StoreError
from whimbrel.wire.snapshot import Snapshot, is_newer, overlay_path
from whimbrel.wire.snapshot.layout import SERIAL_MODULUS

_READABLE_BY_ALL = 0o644  # the list is public, and the name server is another user


def next_serial(now: datetime, previous: int | None) -> int:
    """Return the serial of a snapshot cut at `now`: the seconds since 1970, but always above the previous."""
    serial = int(now.timestamp()) % SERIAL_MODULUS
    if previous is None or is_newer(serial, previous):
        return serial
    return (previous + 1) % SERIAL_MODULUS


def previous_serial(path: Path) -> int | None:
    """Return the serial of the snapshot at `path`; None where there is none, or none that a server would take."""
    try:
        return Snapshot(path.read_bytes()).serial
    except (OSError, SnapshotError):
        return None


def write_snapshot(path: Path, data: bytes, overlay: bytes | None = None) -> None:
    """Write a snapshot so that whoever opens `path`, even after a crash, finds the old one or the new one, whole.

    Its own `overlay` is put in the old one's place before, so that nobody takes up the snapshot without what changed
    since; where there is none, the old one's is taken away.  Raises StoreError where it cannot be written (disk full,
    no permission); the old snapshot is then untouched.
    """
    if overlay is not None:
        write_overlay(path, overlay)
    write_whole(path, (data,), "the snapshot")
    if overlay is not None:
        return
    with contextlib.suppress(OSError):  # of another snapshot, nobody takes it up
        overlay_path(path).unlink(missing_ok=True)


def write_overlay(snapshot: Path, data: bytes) -> None:
    """Put an overlay beside a snapshot's path, whole; raises StoreError where it cannot be written.

    It is not made to outlast a crash of the machine, which would take longer than all else: whoever runs the list
    cuts a new snapshot when he starts again.
    """
    write_whole(overlay_path(snapshot), (data,), "the overlay", lasting=False)


def write_whole(
    path: Path, pieces: Iterable[bytes], what: str, *, mode: int = _READABLE_BY_ALL, lasting: bool = True
) -> int:
    """Write a file piece by piece beside `path`, then put it there with the given mode; return its bytes.

    Once this returns, a crash of the machine does not lose what is `lasting`.  Raises StoreError, which names it as
    `what`, where it cannot be written; the old one is then untouched, as it is where the pieces end in an error of
    their own.
    """
    temporary: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            file.writelines(pieces)
            written = file.tell()
            file.flush()
            if lasting:
                os.fsync(file.fileno())
            os.fchmod(file.fileno(), mode)
        temporary.replace(path)
        if lasting:
            _sync_folder(path.parent)
    except BaseException as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        raise StoreError(f"{path}: {what} cannot be written: {error.strerror or error}; the old one stays") from None
    return written


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
