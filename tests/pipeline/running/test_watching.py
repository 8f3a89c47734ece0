import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import watchfiles

from whimbrel.pipeline.running.watching import Watcher
from whimbrel.sensors.arrivals import Folder, Maildir, Mbox, Place


def place_of(kind: Callable[..., Place], path: Path) -> Place:
    return kind(path, "name", lambda _: False)


class Watching:
    """A watcher, and all that it has told of."""

    def __init__(self, *places: Place, polling: bool = False) -> None:
        self.woken = threading.Event()
        self.watcher = Watcher(places, self.woken.set, gather_seconds=0.05, polling=polling)
        self.paths: set[str] = set()
        self.looks = 0

    def told(self, path: Path, seconds: float = 10) -> bool:
        """Wait until a change is told of, by its path or by a demand to look at everything."""
        due = time.monotonic() + seconds
        looks = self.looks
        while str(path) not in self.paths and self.looks == looks and time.monotonic() < due:
            self.woken.wait(0.1)
            self.woken.clear()
            self.take()
        return str(path) in self.paths or self.looks > looks

    def take(self) -> None:
        changes = self.watcher.take()
        self.paths |= changes.paths
        self.looks += changes.all_of_them


@pytest.fixture
def watching() -> Iterator[Callable[..., Watching]]:
    made: list[Watching] = []

    def watch(*places: Place, polling: bool = False) -> Watching:
        made.append(Watching(*places, polling=polling))
        return made[-1]

    yield watch
    for each in made:
        each.watcher.close()


def maildir(path: Path) -> Path:
    for each in ("new", "cur", "tmp"):
        (path / each).mkdir(parents=True)
    return path


def test_what_begins_before_the_notices_do_is_looked_for(tmp_path: Path, watching: Callable[..., Watching]) -> None:
    watched = watching(place_of(Maildir, maildir(tmp_path / "m")))
    assert watched.told(tmp_path)
    assert watched.looks == 1


def test_changes_are_told_of_by_their_paths(tmp_path: Path, watching: Callable[..., Watching]) -> None:
    box, folder = tmp_path / "spool" / "box", tmp_path / "reports"
    (folder / "deep").mkdir(parents=True)
    box.parent.mkdir()
    watched = watching(place_of(Maildir, maildir(tmp_path / "m")), place_of(Mbox, box), place_of(Folder, folder))
    assert watched.told(tmp_path)
    time.sleep(0.7)  # both watchers have begun
    watched.take()
    (tmp_path / "m" / "tmp" / "1").write_text("x")
    (tmp_path / "m" / "tmp" / "1").rename(tmp_path / "m" / "new" / "1")
    for path in (tmp_path / "m" / "new" / "1", box, folder / "deep" / "1"):
        if path.parent.name != "new":
            path.write_text("x")
        assert watched.told(path)
        assert str(path) in watched.paths
    assert str(tmp_path / "m" / "tmp" / "1") not in watched.paths


def test_a_folder_that_comes_or_is_replaced_is_watched_then(tmp_path: Path, watching: Callable[..., Watching]) -> None:
    path = tmp_path / "m"
    watched = watching(place_of(Maildir, path))
    watched.take()
    assert watched.looks == 0
    maildir(path)
    assert watched.told(path)
    shutil.rmtree(path)
    maildir(path)
    assert watched.told(path)
    watched.told(tmp_path / "none", seconds=0.5)  # what was still on its way
    (path / "new" / "1").write_text("x")
    assert watched.told(path / "new" / "1")


def test_polling_asks_nobody(tmp_path: Path, watching: Callable[..., Watching]) -> None:
    watched = watching(place_of(Maildir, maildir(tmp_path / "m")), polling=True)
    (tmp_path / "m" / "new" / "1").write_text("x")
    time.sleep(0.3)
    watched.take()
    assert watched.watcher.is_polling
    assert not watched.paths
    assert not threading.enumerate()[1:] or all(thread.name != "watching" for thread in threading.enumerate())


def test_where_there_are_no_notices_it_says_so_and_polls(
    tmp_path: Path,
    watching: Callable[..., Watching],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def none(*_: object, **__: object) -> None:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr(watchfiles, "watch", none)
    watched = watching(place_of(Maildir, maildir(tmp_path / "m")))
    due = time.monotonic() + 5
    while not watched.watcher.is_polling and time.monotonic() < due:
        time.sleep(0.01)
    assert watched.watcher.is_polling
    assert "watch limit reached" in caplog.text
    watched.take()
