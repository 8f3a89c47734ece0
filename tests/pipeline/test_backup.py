"""A backup of a live store is one moment of it: restored, it is sound and goes on to the same rows and list."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests import forks
from tests.cli.running import WHIMBREL
from tests.pipeline.conftest import Undisturbed
from tests.pipeline.stores import assert_same, contents, ingested, with_key
from tests.pipeline.writing_script import write

from whimbrel.errors import ConfigError, StoreError
from whimbrel.evidence import Evidence, copying
from whimbrel.evidence.batch import Batch
from whimbrel.pipeline import backup, ingest
from whimbrel.pipeline.backup import back_up, moments
from whimbrel.pipeline.checking import check, is_sound
from whimbrel.pipeline.restore import restore

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def store(tmp_path: Path, undisturbed: Undisturbed) -> Path:
    data_dir = tmp_path / "store"
    shutil.copytree(undisturbed.data_dir, data_dir)
    (data_dir / "signing.key").write_text("a secret")
    return data_dir


def test_taken_while_a_writer_is_at_work_each_goes_on_to_the_same_end(tmp_path: Path, undisturbed: Undisturbed) -> None:
    """A process ingests path after path; every backup meanwhile is sound, and ends as the undisturbed store does."""
    live, goal = with_key(tmp_path / "live"), tmp_path / "backups"
    script = Path(__file__).with_name("writing_script.py")
    paths = undisturbed.paths[:3]
    taken: list[Path] = []
    with subprocess.Popen([sys.executable, script, live, undisturbed.labels, *paths]) as writer:
        while writer.poll() is None:
            if (live / "evidence" / "manifest.sqlite").exists():
                with suppress(*([] if taken else [StoreError])):  # the store may only just be being made
                    taken.append(back_up(live, goal).path)
            time.sleep(0.1)
            if taken:
                assert is_sound(check(live, None)), check(live, None)
    assert writer.returncode == 0
    assert len(taken) > 5
    expected = contents(live)
    for moment in taken:
        assert is_sound(check(moment, None)), check(moment, None)
    for number, moment in enumerate(taken[len(taken) // 4 :: len(taken) // 3]):
        data_dir = tmp_path / str(number)
        restore(moment, data_dir)
        write(data_dir, undisturbed.labels, paths)
        assert_same(contents(data_dir), expected)


@pytest.mark.parametrize("stage", ["settle", "analyse", "decide", "commit", "end"])
def test_taken_at_any_stage_of_a_run_it_goes_on_to_the_same_end(
    tmp_path: Path, undisturbed: Undisturbed, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the batch (chunks are staged), in its open transaction, after it, and when the ledger is still behind."""
    live, goal, data_dir = tmp_path / "live", tmp_path / "backups", tmp_path / "restored"

    def before(owner: Any, name: str) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        def watched(*given: Any, **named: Any) -> Any:
            if not moments(goal):
                back_up(live, goal)
            return original(*given, **named)

        monkeypatch.setattr(owner, name, watched)

    if stage == "commit":
        before(Batch, "finish")
    elif stage == "end":
        before(Evidence, "compact")
    else:
        before(ingest, stage)
    ingested(live, undisturbed.paths, labels=undisturbed.labels)
    assert_same(contents(live), undisturbed.contents)
    monkeypatch.undo()
    restored = restore(goal, data_dir)
    assert is_sound(check(data_dir, None))
    with Evidence.open(data_dir) as store:
        assert bool(store.staged_keys()) == (stage in {"settle", "commit"})
        assert store.counts().batches == (stage not in {"settle", "commit"})
    assert (data_dir / "ledger.sqlite").exists() == (stage == "end")
    assert restored.keys
    ingested(data_dir, undisturbed.paths, labels=undisturbed.labels)
    assert_same(contents(data_dir), undisturbed.contents)


def test_the_ledgers_moment_is_before_the_manifests(
    store: Path, tmp_path: Path, undisturbed: Undisturbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole run that falls between the two leaves a batch that waits, never one that is left out for ever."""
    more = tmp_path / "more.jsonl"
    more.write_text('{"seen_at":"2002-09-01T00:00:00Z","sensor":"mx","host":"192.0.2.1","kind":"connection"}\n')
    original = copying.moment
    begun: list[Path] = []

    def moment(path: Path) -> Any:
        begun.append(path)
        if len(begun) == 2:
            forks.run(WHIMBREL, "observe", more, "--data", store).check_returncode()
        return original(path)

    monkeypatch.setattr(copying, "moment", moment)
    (store / "signing.key").unlink()
    findings = check(back_up(store, tmp_path / "backups").path, None)
    assert [(each.grade, each.problem) for each in findings] == [("note", "1 batches wait to be decided")]
    assert check(store, None) == []


def test_where_a_moment_passes_another_is_taken(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Merged away, and deleted, between the moment and the copy of it: once, and then each time."""
    left = [1]
    original = copying.copy_moment

    def copy_moment(*given: Any, **named: Any) -> copying.Copied:
        left[0] -= 1
        if left[0] >= 0:
            raise copying.MomentPassedError
        return original(*given, **named)

    monkeypatch.setattr(copying, "copy_moment", copy_moment)
    (store / "signing.key").unlink()
    assert check(back_up(store, tmp_path / "backups").path, None) == []
    left[0] = 9
    with pytest.raises(StoreError, match="faster"):
        back_up(store, tmp_path / "backups")


def test_a_second_one_costs_what_is_new_and_each_is_whole(
    store: Path, tmp_path: Path, undisturbed: Undisturbed
) -> None:
    (store / "signing.key").unlink()
    first = back_up(store, tmp_path / "backups")
    assert first.copied == first.files > 0
    second = back_up(store, tmp_path / "backups")
    assert (second.files, second.copied, second.copied_bytes) == (first.files, 0, 0)
    assert moments(tmp_path / "backups") == [first.path, second.path]
    shutil.rmtree(first.path)
    assert check(second.path, None) == []
    assert_same(contents(second.path), undisturbed.contents)


def test_keys_are_in_it_unless_left_out(store: Path, tmp_path: Path) -> None:
    with_keys = back_up(store, tmp_path / "with")
    assert with_keys.keys == ["evidence/recipients.key", "signing.key"]
    for name in with_keys.keys:
        assert (with_keys.path / name).read_bytes() == (store / name).read_bytes()
        assert (with_keys.path / name).stat().st_mode == (store / name).stat().st_mode
    without = back_up(store, tmp_path / "without", keys=False)
    assert without.keys == []
    assert not list(without.path.rglob("*.key"))
    assert json.loads((without.path / "backup.json").read_bytes())["keys"] is False
    assert without.path.parent.stat().st_mode & 0o077 == 0


def test_old_ones_are_removed_when_asked(store: Path, tmp_path: Path) -> None:
    goal = tmp_path / "backups"
    taken = [back_up(store, goal).path for _ in range(3)]
    assert moments(goal) == taken
    last = back_up(store, goal, keep=2)
    assert last.removed == 2
    assert moments(goal) == [taken[-1], last.path]
    assert sorted(goal.iterdir()) == moments(goal)


def test_one_that_is_given_a_name_is_kept(store: Path, tmp_path: Path) -> None:
    goal = tmp_path / "backups"
    named = back_up(store, goal).path.rename(goal / "before the move")
    last = [back_up(store, goal, keep=1).path for _ in range(2)][-1]
    assert moments(goal) == [last]
    (named / "signing.key").unlink()  # which is none here
    assert check(named, None) == []
    assert restore(named, tmp_path / "new").source == named


def test_a_clock_that_goes_back_does_not_reorder_them(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = back_up(store, tmp_path / "backups")

    class Earlier(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return first.at.astimezone(tz) - timedelta(days=365)

    monkeypatch.setattr(backup, "datetime", Earlier)
    second = back_up(store, tmp_path / "backups")
    assert second.at > first.at
    assert moments(tmp_path / "backups") == [first.path, second.path]


def test_killed_in_the_midst_it_leaves_the_earlier_ones_and_no_other(store: Path, tmp_path: Path) -> None:
    goal = tmp_path / "backups"
    first = back_up(store, goal).path
    program = f"""
import os, signal
from pathlib import Path
from whimbrel.pipeline.backup import back_up
Path.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
back_up(Path({str(store)!r}), Path({str(goal)!r}))
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL
    assert moments(goal) == [first]
    assert len(list(goal.iterdir())) == 2
    second = back_up(store, goal).path
    assert moments(goal) == sorted(goal.iterdir()) == [first, second]


def test_two_at_once_are_refused(store: Path, tmp_path: Path) -> None:
    goal = tmp_path / "backups"
    program = f"""
import sys, time
from pathlib import Path
from whimbrel.pipeline import backup
with backup._alone(Path({str(goal)!r})):
    print("begun", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(StoreError, match="another backup"):
            back_up(store, goal)
        other.kill()
    back_up(store, goal)


def test_what_cannot_be_backed_up_is_one_line(store: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no evidence"):
        back_up(tmp_path / "none", tmp_path / "backups")
    for within in (store, store / "backups", store / "evidence" / "backups"):
        with pytest.raises(ConfigError, match="in the store itself"):
            back_up(store, within)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="no backup can be made there"):
        back_up(store, tmp_path / "file")
    torn = min((store / "evidence" / "facts").iterdir())
    torn.write_bytes(torn.read_bytes()[:-1])
    with pytest.raises(StoreError, match="whimbrel check"):
        back_up(store, tmp_path / "backups")
    assert moments(tmp_path / "backups") == []


def test_a_disk_that_fills_leaves_no_half_of_one(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    goal = tmp_path / "backups"
    first = back_up(store, goal).path
    left = [5]

    def full(_: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match="No space left on device"):
            back_up(store, goal)
    assert moments(goal) == [first]
