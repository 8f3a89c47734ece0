import errno
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whimbrel.errors import StoreError
from whimbrel.publishing import Entries, next_serial, previous_serial, write_overlay, write_snapshot
from whimbrel.wire.snapshot import is_newer, overlay_path

NOW = datetime(2002, 7, 27, 12, tzinfo=UTC)


@given(st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)), st.integers(0, 2**32 - 1))  # noqa: DTZ001 - hypothesis adds the zone
def test_a_serial_is_always_newer_than_the_one_before(now: datetime, previous: int) -> None:
    serial = next_serial(now, previous)
    assert is_newer(serial, previous)
    assert serial in (int(now.timestamp()) % 2**32, (previous + 1) % 2**32)


def test_the_first_serial_is_the_time() -> None:
    assert next_serial(NOW, None) == 1027771200


def test_a_written_snapshot_is_found_whole(tmp_path: Path) -> None:
    path = tmp_path / "list.snapshot"
    assert previous_serial(path) is None
    write_snapshot(
        path, Entries.of([]).moment().snapshot(zone="bl.example", serial=41, born=NOW, expires=NOW.replace(hour=13))
    )
    assert previous_serial(path) == 41
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]
    path.write_bytes(b"torn")
    assert previous_serial(path) is None


def test_a_full_disk_is_one_line_and_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "list.snapshot"
    write_snapshot(path, b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="No space left on device; the old one stays") as caught:
        write_snapshot(path, b"new")
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file or directory"):
        write_snapshot(tmp_path / "none" / "list.snapshot", b"new")


def test_a_snapshot_with_an_overlay_of_its_own_leaves_that_there(tmp_path: Path) -> None:
    path = tmp_path / "list.snapshot"
    write_overlay(path, b"of the one before")
    write_snapshot(path, b"a list", b"what changed since")
    assert (path.read_bytes(), overlay_path(path).read_bytes()) == (b"a list", b"what changed since")
    write_snapshot(path, b"another")
    assert (path.read_bytes(), overlay_path(path).exists()) == (b"another", False)
