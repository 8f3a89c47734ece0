import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from whimbrel.errors import SnapshotError
from whimbrel.model.listing import Listing
from whimbrel.nameserver.current import CurrentSnapshot
from whimbrel.publishing import Entries, write_overlay, write_snapshot, write_whole
from whimbrel.publishing.signing import new_key, public_key, signed
from whimbrel.wire.snapshot import Overlay

MakeData = Callable[..., bytes]


@pytest.fixture
def path(tmp_path: Path, world_data: bytes) -> Path:
    place = tmp_path / "list.snapshot"
    write_snapshot(place, world_data)
    return place


def test_a_newer_file_is_taken_up_once(path: Path, snapshot_of: MakeData, now: float) -> None:
    current = CurrentSnapshot(path, lambda: now)
    write_snapshot(path, snapshot_of(serial=8))
    asyncio.run(current.look())
    asyncio.run(current.look())
    assert (current.snapshot.serial, current.swaps, current.refused) == (8, 1, 0)


def test_the_same_list_written_again_changes_nothing(path: Path, world_data: bytes, now: float) -> None:
    current = CurrentSnapshot(path, lambda: now)
    write_snapshot(path, world_data)
    asyncio.run(current.look())
    assert (current.snapshot.serial, current.swaps, current.refused) == (7, 0, 0)


def test_a_bad_file_is_refused_with_a_line_and_the_old_one_served_on(
    path: Path, snapshot_of: MakeData, listing: Callable[..., Listing], now: float, caplog: pytest.LogCaptureFixture
) -> None:
    current = CurrentSnapshot(path, lambda: now)
    good = snapshot_of(listing("192.0.2.9"), serial=9)
    bad_files = {
        "checksum": good[:-1] + bytes([good[-1] ^ 1]),
        "cut or torn": good[: len(good) // 2],
        "0 bytes": b"",
        "not older": snapshot_of(serial=6),
        "expired": snapshot_of(serial=9, expires=listing("192.0.2.9").since + timedelta(seconds=30)),
    }
    for reason, data in bad_files.items():
        caplog.clear()
        write_snapshot(path, data)
        asyncio.run(current.look())
        asyncio.run(current.look())  # one line a file, not one a look
        (line,) = caplog.messages
        assert reason in line
        assert "7 stays in force" in line
        assert current.snapshot.find((4, 0xC0000201), now) is not None
    assert (current.swaps, current.refused) == (0, len(bad_files))
    path.unlink()
    asyncio.run(current.look())
    write_snapshot(path, good)
    asyncio.run(current.look())
    assert current.snapshot.serial == 9


def test_with_a_key_only_what_it_signed_is_taken_up(
    path: Path, world_data: bytes, snapshot_of: MakeData, now: float, caplog: pytest.LogCaptureFixture
) -> None:
    key, stranger = new_key(), new_key()
    with pytest.raises(SnapshotError, match="by nobody"):
        CurrentSnapshot(path, lambda: now, [public_key(key)])
    write_snapshot(path, signed(world_data, [key]))
    current = CurrentSnapshot(path, lambda: now, [public_key(key)])
    for refused in (snapshot_of(serial=8), signed(snapshot_of(serial=8), [stranger])):
        write_snapshot(path, refused)
        asyncio.run(current.look())
        assert "not signed by" in caplog.messages[-1]
    write_snapshot(path, signed(snapshot_of(serial=8), [stranger, key]))
    asyncio.run(current.look())
    assert (current.snapshot.serial, current.swaps, current.refused) == (8, 1, 2)


def test_an_overlay_is_taken_up_and_ends_with_its_snapshot(
    path: Path,
    world_data: bytes,
    snapshot_of: MakeData,
    overlay_of: MakeData,
    listing: Callable[..., Listing],
    now: float,
) -> None:
    current = CurrentSnapshot(path, lambda: now)

    def listed() -> tuple[bool, bool]:
        asyncio.run(current.look())
        found = (current.snapshot.find((4, address), now) for address in (0xC0000201, 0xC0000209))
        return next(found) is not None, next(found) is not None

    assert listed() == (True, False)
    overlay = overlay_of(world_data, listing("192.0.2.9"), gone=("192.0.2.1",), number=2)
    write_overlay(path, overlay)
    assert listed() == (False, True)
    assert CurrentSnapshot(path, lambda: now).snapshot.overlay is not None  # a start takes it up, too
    for other in (
        overlay_of(world_data, number=1),  # an older one
        overlay_of(snapshot_of(serial=8), number=3),  # of a snapshot still to come
    ):
        write_overlay(path, other)
        assert listed() == (False, True)
    assert (current.changes, current.refused) == (1, 0)
    write_whole(path, (snapshot_of(serial=8),), "a list by somebody who leaves the overlay")
    assert listed() == (False, False)
    assert current.snapshot.overlay is not None  # the one that had waited for it
    write_snapshot(path, snapshot_of(listing("192.0.2.1"), serial=9))
    assert listed() == (True, False)
    assert current.snapshot.overlay is None


def test_a_bad_overlay_is_refused_with_a_line(
    path: Path,
    world_data: bytes,
    overlay_of: MakeData,
    listing: Callable[..., Listing],
    now: float,
    caplog: pytest.LogCaptureFixture,
) -> None:
    key = new_key()
    write_snapshot(path, signed(world_data, [key]))
    base = path.read_bytes()
    current = CurrentSnapshot(path, lambda: now, [public_key(key)])
    overlay = overlay_of(base, listing("192.0.2.9"))
    bad = {"not signed by": overlay, "cut or torn": overlay[:-64], "0 bytes": b"", "1048576 bytes": bytes(2_000_000)}
    for reason, data in bad.items():
        caplog.clear()
        write_overlay(path, data)
        asyncio.run(current.look())
        asyncio.run(current.look())
        (line,) = caplog.messages
        assert reason in line
        assert "list.snapshot.overlay" in line
        begun = CurrentSnapshot(path, lambda: now, [public_key(key)])  # a start goes on without it
        assert (begun.snapshot.overlay, begun.refused) == (None, 1)
    assert (current.changes, current.refused) == (0, len(bad))
    write_overlay(path, signed(overlay, [key], Overlay))
    asyncio.run(current.look())
    assert current.snapshot.find((4, 0xC0000209), now) is not None


def test_a_demo_does_not_take_a_real_lists_place(path: Path, now: float, caplog: pytest.LogCaptureFixture) -> None:
    born = datetime.fromtimestamp(now, UTC)
    current = CurrentSnapshot(path, lambda: now)
    for serial, demo in ((8, True), (9, False), (10, True)):
        data = (
            Entries.of([])
            .moment()
            .snapshot(zone="bl.example", serial=serial, born=born, expires=born + timedelta(hours=1), demo=demo)
        )
        write_snapshot(path, data)
        asyncio.run(current.look())
        assert ("a demo's list" in caplog.text) == demo
        assert current.snapshot.serial == (7 if serial == 8 else 9)
        caplog.clear()
    assert CurrentSnapshot(path, lambda: now).snapshot.serial == 10


def test_to_begin_with_a_good_file_is_needed(path: Path, world_data: bytes, now: float) -> None:
    with pytest.raises(SnapshotError, match="expired"):
        CurrentSnapshot(path, lambda: now + 86_400)
    path.write_bytes(world_data[:-64])
    with pytest.raises(SnapshotError, match="cut or torn"):
        CurrentSnapshot(path, lambda: now)
    path.unlink()
    with pytest.raises(SnapshotError, match="whimbrel publish"):
        CurrentSnapshot(path, lambda: now)


def test_expiry_is_said_once(
    path: Path, now: float, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whimbrel.nameserver.current.POLL_SECONDS", 0.001)
    clock = [now]
    current = CurrentSnapshot(path, lambda: clock[0])

    async def follow_for_a_while() -> None:
        follower = asyncio.create_task(current.follow())
        await asyncio.sleep(0.05)
        clock[0] += 86_400
        await asyncio.sleep(0.05)
        follower.cancel()

    with caplog.at_level(logging.ERROR):
        asyncio.run(follow_for_a_while())
    assert len(caplog.messages) == 1
    assert "expired" in caplog.text
