"""What a mirror keeps: signed, newer, in its time, whole; whatever the source gives and whenever it dies."""

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from tests.websites import publishing, sending, site

from whimbrel.errors import SnapshotError, StoreError, UpstreamError
from whimbrel.model.listing import Code
from whimbrel.publishing import Entries, write_overlay, write_snapshot
from whimbrel.publishing.fetching import overlay_source_of, source_of
from whimbrel.publishing.mirror import Mirror
from whimbrel.publishing.signing import new_key, public_key, signed
from whimbrel.wire.snapshot import Overlay, Snapshot, overlay_path

NOW = datetime(2002, 7, 27, 12, tzinfo=UTC)
OLD, NEW, STRANGER = new_key(), new_key(), new_key()


def made(serial: int, *keys: object, hours: float = 1, demo: bool = False) -> bytes:
    data = (
        Entries.of([])
        .moment()
        .snapshot(zone="bl.example", serial=serial, born=NOW, expires=NOW + timedelta(hours=hours), demo=demo)
    )
    return signed(data, keys) if keys else data  # type: ignore[arg-type]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return folder / "list.snapshot"


@pytest.fixture
def mirror_of(tmp_path: Path) -> Callable[..., Mirror]:
    def make(source: object, *keys: object, at: datetime = NOW, takes_demo: bool = True) -> Mirror:
        trusted = [public_key(key) for key in keys or (OLD,)]  # type: ignore[arg-type]
        kept = tmp_path / "kept"
        overlays = overlay_source_of(str(source))
        return Mirror(source_of(str(source)), kept, trusted, at.timestamp, takes_demo=takes_demo, overlays=overlays)

    return make


MakeMirror = Callable[..., Mirror]


def changed(base: bytes, number: int, *keys: object) -> bytes:
    entries = Entries()
    entries.begin_overlay()
    entries.put("192.0.2.7", Code.INFECTED, NOW + timedelta(hours=1))
    data = entries.overlay(Snapshot(base).base, number=number, born=NOW)
    return signed(data, keys, Overlay) if keys else data  # type: ignore[arg-type]


def test_the_overlay_of_the_list_is_kept_beside_it(tmp_path: Path, source: Path, mirror_of: MakeMirror) -> None:
    mirror, kept = mirror_of(source.parent), tmp_path / "kept.overlay"
    assert mirror.look_at_overlay() is None  # not even a list yet
    first, second = made(7, OLD), made(8, OLD)
    write_snapshot(source, first)
    assert mirror.look() is not None
    assert mirror.look_at_overlay() is None
    for number in (1, 3):
        write_overlay(source, changed(first, number, OLD))
        found = mirror.look_at_overlay()
        assert found is not None
        assert found.number == number
        assert kept.read_bytes() == overlay_path(source).read_bytes()
        assert mirror.look_at_overlay() is None
    before = kept.read_bytes()
    write_overlay(source, changed(first, 2, OLD))  # an older one
    assert mirror.look_at_overlay() is None
    assert mirror_of(source.parent).look_at_overlay() is None  # nor does a mirror that begins anew go back
    assert kept.read_bytes() == before
    for refused in (changed(first, 4), changed(first, 4, STRANGER), b"none"):
        write_overlay(source, refused)
        with pytest.raises(SnapshotError, match="overlay refused"):
            mirror.look_at_overlay()
    write_overlay(source, changed(second, 1, OLD))  # of a list still to come
    assert mirror.look_at_overlay() is None
    assert kept.read_bytes() == before
    overlay = overlay_path(source).read_bytes()
    write_snapshot(source, second)
    write_overlay(source, overlay)
    assert mirror.look() is not None
    assert not kept.exists()
    assert mirror.look_at_overlay() is not None
    assert kept.read_bytes() == overlay


def test_an_overlay_over_http(tmp_path: Path, source: Path, mirror_of: MakeMirror) -> None:
    data = made(7, OLD)

    def respond(handler: BaseHTTPRequestHandler) -> None:
        path = source.parent / handler.path[1:]
        (publishing(path) if path.exists() else lambda given: given.send_error(404))(handler)

    with site(respond) as (url, _):
        mirror = mirror_of(url)
        write_snapshot(source, data)
        assert mirror.look() is not None
        assert mirror.look_at_overlay() is None  # nothing there is no fault
        write_overlay(source, changed(data, 1, OLD))
        assert mirror.look_at_overlay() is not None
        assert (tmp_path / "kept.overlay").exists()


def test_a_newer_signed_list_is_kept_once(tmp_path: Path, source: Path, mirror_of: MakeMirror) -> None:
    mirror = mirror_of(source.parent)
    for serial in (7, 8):
        write_snapshot(source, made(serial, OLD))
        found = mirror.look()
        assert found is not None
        assert (found.serial, found.signer) == (serial, public_key(OLD))
        assert (tmp_path / "kept").read_bytes() == source.read_bytes()
        assert mirror.look() is None
    assert mirror_of(source.parent).look() is None  # begun anew: the same list is no change


def test_whatever_else_comes_is_refused_and_the_kept_one_stays(
    tmp_path: Path, source: Path, mirror_of: MakeMirror
) -> None:
    mirror = mirror_of(source.parent)
    write_snapshot(source, made(7, OLD))
    mirror.look()
    good = made(8, OLD)
    torn = good[:700] + made(9, OLD)[700:]
    for data, reason in (
        (torn, "damaged"),
        (good[:-64], "cut or torn"),
        (b"", "no snapshot"),
        (made(8), "by nobody"),
        (made(8, STRANGER), f"only by {STRANGER.id}"),
        (made(6, OLD), "7 is in force"),
        (made(7, OLD, hours=2), "7 is in force"),
        (made(8, OLD, hours=-1), "expired"),
    ):
        write_snapshot(source, data)
        with pytest.raises(SnapshotError, match=reason):
            mirror.look()
        assert mirror.look() is None  # told once, not at every look
        assert Snapshot((tmp_path / "kept").read_bytes()).serial == 7
    write_snapshot(source, good)
    assert mirror.look() is not None


def test_what_was_kept_counts_even_when_it_has_expired(source: Path, mirror_of: MakeMirror) -> None:
    write_snapshot(source, made(7, OLD))
    mirror_of(source.parent).look()
    write_snapshot(source, made(6, OLD, hours=9))
    with pytest.raises(SnapshotError, match="7 is in force"):
        mirror_of(source.parent, at=NOW + timedelta(hours=5)).look()


def test_a_kept_file_that_nobody_signed_counts_for_nothing(tmp_path: Path, source: Path, mirror_of: MakeMirror) -> None:
    write_snapshot(source, made(7, OLD))
    for kept in (b"torn", made(9), made(9, STRANGER)):
        write_snapshot(tmp_path / "kept", kept)
        assert mirror_of(source.parent).held() is None
        assert mirror_of(source.parent).look() is not None


def test_keys_are_exchanged_without_a_gap(source: Path, mirror_of: MakeMirror) -> None:
    """A mirror that knows the old key only goes on through the overlap; with both it goes on for ever."""
    knows_old, knows_both = mirror_of(source.parent, OLD), mirror_of(source.parent, OLD, NEW)
    for serial, keys in ((1, [OLD]), (2, [OLD, NEW])):
        write_snapshot(source, made(serial, *keys))
        assert knows_old.look() is not None
        assert knows_both.look() is None  # it keeps the same file, and finds it is the same list
    write_snapshot(source, made(3, NEW))
    with pytest.raises(SnapshotError, match=f"not signed by {OLD.id}, only by {NEW.id}"):
        knows_old.look()
    found = knows_both.look()
    assert found is not None
    assert found.signer == public_key(NEW)


def test_a_demo_is_not_for_strangers(source: Path, mirror_of: MakeMirror) -> None:
    write_snapshot(source, made(7, OLD, demo=True))
    with pytest.raises(SnapshotError, match="a demo's list"):
        mirror_of(source.parent, takes_demo=False).look()
    assert mirror_of(source.parent).look() is not None
    assert mirror_of(source.parent).held() is not None
    assert mirror_of(source.parent, takes_demo=False).held() is None  # kept for nobody to serve, it stays unserved
    with pytest.raises(SnapshotError, match="a demo's list"):
        mirror_of(source.parent, takes_demo=False).look()


def test_over_http_only_what_is_new_is_sent(source: Path, mirror_of: MakeMirror) -> None:
    write_snapshot(source, made(7, OLD))
    with site(publishing(source)) as (url, asked):
        mirror = mirror_of(url)
        assert mirror.look() is not None
        assert mirror.look() is None
        write_snapshot(source, made(8, OLD))
        found = mirror.look()
    assert found is not None
    assert found.serial == 8
    assert len(asked) == 3


def test_a_cut_off_or_forged_transfer_changes_nothing(tmp_path: Path, mirror_of: MakeMirror) -> None:
    good = made(7, OLD)
    with site(sending(good[:-1], Content_Length=str(len(good)))) as (url, _), pytest.raises(UpstreamError):
        mirror_of(url).look()
    with site(sending(good[:-1])) as (url, _), pytest.raises(SnapshotError, match="cut or torn"):
        mirror_of(url).look()
    with site(sending(made(7, STRANGER))) as (url, _), pytest.raises(SnapshotError, match="not signed"):
        mirror_of(url).look()
    assert not (tmp_path / "kept").exists()


def test_a_disk_that_is_full_is_told_and_tried_again(
    tmp_path: Path, source: Path, mirror_of: MakeMirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_snapshot(source, made(7, OLD))
    mirror = mirror_of(source.parent)
    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(StoreError, match="No space left"):
            mirror.look()
    assert not (tmp_path / "kept").exists()
    found = mirror.look()
    assert found is not None


@pytest.mark.parametrize("step", ["fsync", "replace", "after"])
def test_killed_at_the_swap_it_leaves_the_old_or_the_new(
    tmp_path: Path, source: Path, mirror_of: MakeMirror, step: str
) -> None:
    """As by kill -9: before the new file is durable, before it is in place, and just after."""
    write_snapshot(source, made(7, OLD))
    mirror_of(source.parent).look()
    write_snapshot(source, made(8, OLD))
    program = f"""
import os, signal
from pathlib import Path
from whimbrel.publishing import writing
from whimbrel.publishing.fetching import overlay_source_of, source_of
from whimbrel.publishing.mirror import Mirror
from whimbrel.wire.snapshot import PublicKey
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if {step!r} == "fsync":
    os.fsync = die
elif {step!r} == "replace":
    Path.replace = die
else:
    writing._sync_folder = die
trusted = [PublicKey.parse({public_key(OLD).line()!r})]
kept = Path({str(tmp_path / "kept")!r})
Mirror(source_of({str(source)!r}), kept, trusted, lambda: {NOW.timestamp()}, takes_demo=True).look()
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    held = mirror_of(source.parent).held()
    assert held is not None
    assert held.serial == (8 if step == "after" else 7)
    assert (mirror_of(source.parent).look() is None) == (step == "after")


def test_following_logs_what_goes_wrong_and_goes_on(
    source: Path, mirror_of: MakeMirror, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    mirror, stop = mirror_of(source.parent), threading.Event()
    thread = threading.Thread(target=mirror.follow, args=(0.01, stop))
    thread.start()

    def said(words: str) -> bool:
        due = time.monotonic() + 10
        while words not in caplog.text and time.monotonic() < due:
            time.sleep(0.01)
        return words in caplog.text

    try:
        assert said("the list that is kept stays")  # there is none yet
        write_snapshot(source, made(8, STRANGER))
        assert said("not signed by")
        write_snapshot(source, made(8, OLD))
        assert said(f"snapshot 8 fetched, signed by {OLD.id}")
    finally:
        stop.set()
        thread.join()
