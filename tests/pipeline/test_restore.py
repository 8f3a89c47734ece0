"""Put back: verified before anything is touched, and in an order that a crash cannot make a mixture of."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.pipeline.conftest import Undisturbed
from tests.pipeline.stores import assert_same, contents

from whimbrel.errors import ConfigError, StoreError
from whimbrel.evidence import Evidence
from whimbrel.pipeline.backup import back_up
from whimbrel.pipeline.checking import check
from whimbrel.pipeline.restore import restore


@pytest.fixture
def backups(tmp_path: Path, undisturbed: Undisturbed) -> Path:
    back_up(undisturbed.data_dir, tmp_path / "backups")
    return tmp_path / "backups"


def small(data_dir: Path) -> Path:
    """Make another store, with a file beside it that is none of its parts."""
    Evidence.open(data_dir, write=True).close()
    for name in ("ledger.sqlite", "list.snapshot", "signing.key", "whimbrel.toml"):
        (data_dir / name).write_text("of before")
    return data_dir


def test_it_is_the_same_store(tmp_path: Path, backups: Path, undisturbed: Undisturbed) -> None:
    done = restore(backups, tmp_path / "new")
    assert check(tmp_path / "new", None) == []
    assert_same(contents(tmp_path / "new"), undisturbed.contents)
    assert (done.replaced, done.keys) == (None, True)
    assert not (tmp_path / "new" / ".restoring").exists()
    for path in done.source.rglob("*.parquet"):  # a store of its own: what happens to one does not to the other
        assert not path.samefile(tmp_path / "new" / path.relative_to(done.source))


def test_the_newest_or_the_one_named(tmp_path: Path, backups: Path, undisturbed: Undisturbed) -> None:
    newest = back_up(undisturbed.data_dir, backups).path
    oldest = min(backups.iterdir())
    assert restore(backups, tmp_path / "1").source == newest
    assert restore(oldest, tmp_path / "2").source == oldest
    with pytest.raises(ConfigError, match="is no backup"):
        restore(undisturbed.data_dir, tmp_path / "3")


def test_a_store_that_is_there_is_left_alone_unless_forced(
    tmp_path: Path, backups: Path, undisturbed: Undisturbed
) -> None:
    there = small(tmp_path / "there")
    with pytest.raises(ConfigError, match="--force"):
        restore(backups, there)
    assert (there / "ledger.sqlite").read_text() == "of before"
    done = restore(backups, there, force=True)
    assert_same(contents(there), undisturbed.contents)
    assert done.replaced is not None
    assert sorted(path.name for path in done.replaced.iterdir()) == [
        "evidence",
        "ledger.sqlite",
        "list.snapshot",
        "signing.key",
    ]
    assert (there / "whimbrel.toml").exists()
    assert not (there / "signing.key").exists()  # this backup has none, and a mixture is no store


def test_a_store_that_is_being_written_is_left_alone(tmp_path: Path, backups: Path) -> None:
    there = tmp_path / "there"
    with Evidence.open(there, write=True), pytest.raises(StoreError, match="is being written"):
        restore(backups, there, force=True)
    assert (there / "evidence" / "manifest.sqlite").exists()


def test_a_backup_that_is_damaged_is_refused_before_anything_is_touched(tmp_path: Path, backups: Path) -> None:
    there = small(tmp_path / "there")
    (moment,) = backups.iterdir()
    torn = min((moment / "evidence" / "facts").iterdir())
    torn.write_bytes(torn.read_bytes()[:-1])
    with pytest.raises(
        StoreError, match=rf"is not sound, and nothing was restored: evidence/facts/{torn.name}: is torn"
    ):
        restore(backups, there, force=True)
    assert (there / "ledger.sqlite").read_text() == "of before"
    (moment / "backup.json").write_text("{")
    with pytest.raises(StoreError, match="cannot be read"):
        restore(backups, there, force=True)


def test_killed_at_any_rename_it_leaves_no_mixture_that_opens(tmp_path: Path) -> None:
    """Either the store of before, or one that says that a restore has not ended; run again, it is restored."""
    program = """
import os, signal, sys
from pathlib import Path
from whimbrel.pipeline.restore import restore
rename, left = Path.rename, int(sys.argv[3])
def renamed(path, goal):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(path, goal)
Path.rename = renamed
restore(Path(sys.argv[1]), Path(sys.argv[2]), force=True)
"""
    Evidence.open(tmp_path / "source", write=True).close()
    backups = tmp_path / "backups"
    back_up(tmp_path / "source", backups)
    steps = 0
    while True:
        there = small(tmp_path / str(steps))
        command = [sys.executable, "-c", program, backups, there, str(steps)]
        code = subprocess.run(list(map(str, command)), check=False, capture_output=True).returncode
        if code == 0:
            break
        assert code == -signal.SIGKILL
        for write in (False, True):
            with pytest.raises(StoreError, match="has not ended"):
                Evidence.open(there, write=write)
        assert [each.place for each in check(there, None)] == [".restoring"]
        with pytest.raises(StoreError, match="has not ended"):
            back_up(there, tmp_path / "half")
        restore(backups, there, force=True)
        assert check(there, None) == []
        steps += 1
    assert steps == 5  # four parts out of their place, and the one that this backup has into it
