"""A published list is its snapshot with the overlay beside it, if that is its own."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from whimbrel.errors import SnapshotError
from whimbrel.model.listing import Code
from whimbrel.publishing import Entries, write_overlay, write_snapshot
from whimbrel.publishing.reading import with_overlay
from whimbrel.wire.snapshot import Snapshot

NOW = datetime(2026, 7, 1, tzinfo=UTC)


def test_an_overlay_of_its_own_is_read_with_it(tmp_path: Path) -> None:
    path, entries = tmp_path / "list", Entries()
    first, second = (
        entries.moment().snapshot(zone="bl.example", serial=serial, born=NOW, expires=NOW + timedelta(days=1))
        for serial in (1, 2)
    )
    write_snapshot(path, first)
    assert with_overlay(Snapshot(first), path).overlay is None
    entries.begin_overlay()
    entries.put("192.0.2.7", Code.INFECTED, NOW + timedelta(hours=1))
    overlay = entries.overlay(Snapshot(first).base, number=1, born=NOW)
    write_overlay(path, overlay)
    assert with_overlay(Snapshot(first), path).find((4, 0xC0000207), NOW.timestamp()) is not None
    assert with_overlay(Snapshot(second), path).overlay is None
    write_overlay(path, overlay[:-1])
    with pytest.raises(SnapshotError, match="overlay refused"):
        with_overlay(Snapshot(first), path)
