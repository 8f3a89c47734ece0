"""A published list as files tell it: a snapshot, and the overlay beside it."""

from pathlib import Path

from whimbrel.errors import SnapshotError
from whimbrel.wire.snapshot import Overlay, Snapshot, overlay_path


def with_overlay(snapshot: Snapshot, path: Path) -> Snapshot:
    """Return a snapshot that was read at `path` with its overlay, if one of it lies there.

    Raises SnapshotError where that cannot be read or is damaged.
    """
    try:
        overlay = Overlay(overlay_path(path).read_bytes())
    except FileNotFoundError:
        return snapshot
    except OSError as error:
        raise SnapshotError(f"its overlay cannot be read: {error.strerror}") from None
    return snapshot.overlaid(overlay) if overlay.is_of(snapshot.base) else snapshot
