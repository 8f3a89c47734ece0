"""Keys: made, exchanged with an overlap, retired; in files that nobody else reads and that no crash halves."""

import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.listed import listing

from whimbrel.errors import ConfigError, SnapshotError, StoreError
from whimbrel.evidence.keys import Keys
from whimbrel.model.listing import Code
from whimbrel.pipeline import keys
from whimbrel.pipeline.keys import KINDS, KeyPlace, Kind
from whimbrel.publishing import Entries
from whimbrel.wire.snapshot import PublicKey, Snapshot

NOW = datetime(2002, 7, 27, 12, tzinfo=UTC)


def place_of(kind: Kind, folder: Path) -> KeyPlace:
    return KeyPlace.of(kind, folder)


def trusting(shown: keys.Shown) -> list[PublicKey]:
    assert shown.public is not None
    return [PublicKey.parse(shown.public)]


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    path = tmp_path / "list"
    entries = [listing("192.0.2.1", Code.INFECTED, NOW, 60)]
    expires = NOW + timedelta(days=1)
    path.write_bytes(Entries.of(entries).moment().snapshot(zone="bl.example", serial=7, born=NOW, expires=expires))
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_a_first_key_is_made_once(tmp_path: Path, kind: Kind) -> None:
    place = place_of(kind, tmp_path)
    with pytest.raises(ConfigError, match=f"whimbrel key new {kind}"):
        keys.rotate(place, NOW)
    made = keys.make(place, NOW)
    assert place.path.stat().st_mode & 0o777 == 0o600
    assert keys.shown([place], NOW) == [made]
    with pytest.raises(ConfigError, match=f"whimbrel key rotate {kind}"):
        keys.make(place, NOW)


@pytest.mark.parametrize("kind", KINDS)
def test_the_newest_cannot_be_retired_and_an_older_one_is_gone_for_good(tmp_path: Path, kind: Kind) -> None:
    places = [place_of(each, tmp_path) for each in KINDS]
    place = place_of(kind, tmp_path)
    old, new = keys.make(place, NOW), keys.rotate(place, NOW)
    with pytest.raises(ConfigError, match="is the newest"):
        keys.retire(places, new.id)
    secret = place.path.read_text().split(old.id)[1].split()[0]
    assert keys.retire(places, old.id) == kind
    assert secret not in place.path.read_text()
    assert [each.id for each in keys.shown(places, NOW)] == [new.id]
    with pytest.raises(ConfigError, match="whimbrel key list"):
        keys.retire(places, old.id)


@pytest.mark.parametrize("kind", KINDS)
def test_no_secret_is_shown(tmp_path: Path, kind: Kind) -> None:
    place = place_of(kind, tmp_path)
    shown = [keys.make(place, NOW), keys.rotate(place, NOW), *keys.shown([place], NOW)]
    for line in place.path.read_text().splitlines()[1:]:
        assert line.split()[1] not in repr(shown)


def test_during_the_overlap_old_and_new_mirrors_are_content(tmp_path: Path, snapshot: Path) -> None:
    place = place_of("signing", tmp_path)
    old = keys.make(place, NOW)
    new = keys.rotate(place, NOW, NOW + timedelta(hours=1))
    assert keys.sign(snapshot, place, NOW) == [old.id, new.id]
    for trusted in (old, new):
        assert Snapshot(snapshot.read_bytes(), trusting(trusted)).serial == 7
    out = tmp_path / "later"
    unsigned = Entries.of([]).moment().snapshot(zone="bl.example", serial=8, born=NOW, expires=NOW + timedelta(days=1))
    out.write_bytes(unsigned)
    assert keys.sign(out, place, NOW + timedelta(hours=1)) == [new.id]  # the overlap is over
    with pytest.raises(SnapshotError, match=f"not signed by {old.id}, only by {new.id}"):
        Snapshot(out.read_bytes(), trusting(old))
    assert [each.state for each in keys.shown([place], NOW + timedelta(hours=1))] == ["ended", "signs"]


def test_an_end_is_in_the_future_and_is_not_put_off(tmp_path: Path) -> None:
    place = place_of("signing", tmp_path)
    keys.make(place, NOW)
    with pytest.raises(ConfigError, match="in the future"):
        keys.rotate(place, NOW, NOW)
    keys.rotate(place, NOW, NOW + timedelta(hours=1))
    keys.rotate(place, NOW, NOW + timedelta(hours=2))
    ends = [each.until for each in keys.shown([place], NOW)]
    assert ends == [NOW + timedelta(hours=1), NOW + timedelta(hours=2), None]
    recipients = place_of("recipients", tmp_path)
    keys.make(recipients, NOW)
    with pytest.raises(ConfigError, match="do not sign"):
        keys.rotate(recipients, NOW, NOW + timedelta(hours=1))
    with pytest.raises(ConfigError, match="leave --file out"):
        KeyPlace.of("recipients", tmp_path, tmp_path / "elsewhere")


def test_recipients_are_hashed_anew_and_old_hashes_still_told_apart(tmp_path: Path) -> None:
    place = place_of("recipients", tmp_path)
    old = keys.make(place, NOW)
    before = Keys.open(place.path).keyed_hash("joe@example.org")
    new = keys.rotate(place, NOW)
    now_in_use = Keys.open(place.path)
    assert now_in_use.key_id == new.id
    assert now_in_use.keyed_hash("joe@example.org", old.id) == before != now_in_use.keyed_hash("joe@example.org")


def test_what_is_signed_elsewhere_stays_as_it_was(tmp_path: Path, snapshot: Path) -> None:
    place = KeyPlace.of("signing", tmp_path, tmp_path / "stick" / "my.key")
    made = keys.make(place, NOW)
    unsigned = snapshot.read_bytes()
    keys.sign(snapshot, place, NOW, tmp_path / "out")
    assert snapshot.read_bytes() == unsigned
    assert Snapshot((tmp_path / "out").read_bytes(), trusting(made)).serial == 7
    with pytest.raises(StoreError, match="no snapshot can be read"):
        keys.sign(tmp_path / "none", place, NOW)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_crash_leaves_the_old_keys(tmp_path: Path, kind: Kind, step: str) -> None:
    """Dies as by kill -9 just before the new file is synced, or put in place."""
    place = place_of(kind, tmp_path)
    made = keys.make(place, NOW)
    program = f"""
import os, signal
from datetime import UTC, datetime
from pathlib import Path
from whimbrel.pipeline import keys
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if {step!r} == "fsync":
    os.fsync = die
else:
    Path.replace = Path.rename = die
keys.rotate(keys.KeyPlace.of({kind!r}, Path({str(tmp_path)!r})), datetime.now(UTC))
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    assert keys.shown([place], NOW) == [made]
    keys.rotate(place, NOW)
    assert len(keys.shown([place], NOW)) == 2


def test_two_changes_at_once_are_one_after_the_other(tmp_path: Path) -> None:
    place = place_of("signing", tmp_path)
    keys.make(place, NOW)
    threads = [threading.Thread(target=keys.rotate, args=(place, NOW)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys.shown([place], NOW)) == 9


def test_files_that_others_can_read_are_refused(tmp_path: Path) -> None:
    for kind in KINDS:
        place = place_of(kind, tmp_path)
        keys.make(place, NOW)
        place.path.chmod(0o644)
        for attempt in (lambda place=place: keys.shown([place], NOW), lambda place=place: keys.rotate(place, NOW)):
            with pytest.raises(StoreError, match="chmod 600"):
                attempt()
