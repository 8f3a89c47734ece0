"""Places of files that are each read whole: maildirs, and folders of any files.

A file in a maildir's `new` or `cur` is whole, and its name up to the colon is its own for good (the convention of
maildirs), so moving it to `cur` or changing its flags is no news; `tmp` is never read.  A file of a folder is read when
it was quiet for a while; hidden ones are somebody's drafts.
"""

import os
from abc import ABC
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from whimbrel.errors import ConfigError
from whimbrel.sensors.arrivals.place import QUIET_SECONDS, Found, Place
from whimbrel.sensors.folders import File, Unit, files_below
from whimbrel.sensors.mailfiles import CHUNK_BYTES, CHUNK_MESSAGES, Item, MailFiles


class _Files(Place, ABC):
    """A place of files that are each read whole; a key stands for a file as it is."""

    def __init__(self, path: Path, name: str, is_done: Callable[[str], bool], mark: str | None = None) -> None:
        super().__init__(path, name, is_done, mark)
        self._known: set[str] = set()  # keys of files that are there, and were read or given up

    def keep(self, found: Found) -> None:
        """Take note that files are safe."""
        self._known.update(found.keys)

    def _is_known(self, key: str) -> bool:
        if key not in self._known and self._is_done(key):
            self._known.add(key)
        return key in self._known

    def _pieces(self, files: Iterable[tuple[str, File]]) -> Iterator[Found]:
        """Read files whole, given with their keys, and yield them in pieces."""
        items: list[Item] = []
        keys: list[str] = []
        whole: list[str] = []
        size = 0
        for key, file in files:
            for item in self._items(key, file, whole):
                if items and (len(items) == CHUNK_MESSAGES or size + len(item.content) > CHUNK_BYTES):
                    yield self._found(items, keys)
                    items, keys, size = [], [], 0
                items.append(item)
                size += len(item.content)
            keys += whole
            whole.clear()
        if items or keys:
            yield self._found(items, keys)

    def _found(self, items: list[Item], keys: Iterable[str]) -> Found:
        return Found(
            self.key("piece", *(f"{item.location}\0{len(item.content)}" for item in items)), items, tuple(keys)
        )

    def _items(self, key: str, file: File, whole: list[str]) -> Iterator[Item]:
        """Yield a file's messages; its key is added to `whole` where it could be read to its end."""
        mail = MailFiles([Unit(b"", (file,), file.size_bytes)], None)
        try:
            for chunk in mail.chunks(lambda _: False):
                yield from chunk.items
        except ConfigError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                self.is_unfinished = True  # moved, or taken away: the next look tells
                return
            self.problems.append((file.location, str(error)))
            if not isinstance(error.__cause__, OSError):
                self._known.add(key)  # damaged: not tried again before it changes
        else:
            whole.append(key)
            self.skipped += mail.skipped


class Maildir(_Files):
    """A maildir; the folders below it (Maildir++) are places of their own."""

    def folders(self) -> list[Path]:
        """Return `new` and `cur`."""
        return [self.path / "new", self.path / "cur"]

    def look(self, now: float, changed: Collection[str] | None = None) -> Iterator[Found]:
        """Yield the new files' messages."""
        del now
        everything = changed is None or self.is_unfinished
        self.is_unfinished = False
        return self._pieces(self._new(self._everything() if everything else self._among(changed or ())))

    def _everything(self) -> list[Path]:
        found: list[Path] = []
        try:
            for folder in self.folders():
                found += [folder / name for name in os.listdir(folder)]  # noqa: PTH208 - 100,000 names
        except OSError as error:
            self.problems.append((str(self.path), f"the maildir cannot be read ({error.strerror})"))
        else:
            self._known &= set(map(self._key_of, found))
        return found

    def _among(self, changed: Collection[str]) -> list[Path]:
        folders = set(self.folders())
        return [path for path in map(Path, changed) if path.parent in folders]

    def _new(self, paths: Iterable[Path]) -> Iterator[tuple[str, File]]:
        for path in sorted(paths, key=lambda path: path.name):
            key = self._key_of(path)
            if not path.name.startswith(".") and not self._is_known(key):
                with suppress(FileNotFoundError):  # moved meanwhile: under its new name it is looked at, now or next
                    yield key, File(str(path), path, path.stat().st_size, 0, is_named=False)

    def _key_of(self, path: Path) -> str:
        return self.key(path.name.partition(":")[0])


class Folder(_Files):
    """A folder of files of any kind that `whimbrel ingest` reads."""

    def __init__(self, path: Path, name: str, is_done: Callable[[str], bool], mark: str | None = None) -> None:
        super().__init__(path, name, is_done, mark)
        self._waiting: dict[str, tuple[str, float]] = {}  # by path: the key that it was seen with, and since when

    def folders(self) -> list[Path]:
        """Return the folder itself; those below it are watched with it."""
        return [self.path]

    def look(self, now: float, changed: Collection[str] | None = None) -> Iterator[Found]:
        """Yield the messages of files that are new, or other than they were, and quiet."""
        self.is_unfinished = False
        return self._pieces(self._quiet(now, self._everything() if changed is None else self._among(changed)))

    def _everything(self) -> list[File]:
        try:
            files = [file for file in files_below(str(self.path), self.path) if isinstance(file, File)]
        except ConfigError as error:
            self.problems.append((str(self.path), str(error)))
            return []
        self._known &= set(map(self._key_of, files))
        present = {file.location for file in files}
        self._waiting = {path: seen for path, seen in self._waiting.items() if path in present}
        return files

    def _among(self, changed: Collection[str]) -> list[File]:
        files = []
        for place in sorted({*changed, *self._waiting}):
            path = Path(place)
            is_delivery = path.parent.name == "tmp" and (path.parent.parent / "new").is_dir()  # a maildir's
            with suppress(OSError):
                if path.is_relative_to(self.path) and not is_delivery and path.is_file():
                    found = path.stat()
                    files.append(File(place, path, found.st_size, found.st_mtime_ns, is_named=False))
        return files

    def _quiet(self, now: float, files: Iterable[File]) -> Iterator[tuple[str, File]]:
        """Yield the files to read, with their keys; those that changed a moment ago wait."""
        for file in files:
            key = self._key_of(file)
            is_hidden = any(part.startswith(".") for part in file.path.relative_to(self.path).parts)
            if is_hidden or self._is_known(key):
                self._waiting.pop(file.location, None)
                continue
            seen, since = self._waiting.get(file.location, ("", now))
            if seen != key:
                self._waiting[file.location] = key, now
            if seen != key or now - since < QUIET_SECONDS:
                self.is_unfinished = True
            else:
                yield key, file

    def _key_of(self, file: File) -> str:
        return self.key(file.location, f"{file.size_bytes} {file.changed_ns}")
