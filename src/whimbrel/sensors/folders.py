"""Which files there are, in an order that is always the same, and grouped so that small files share a chunk."""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from whimbrel.errors import ConfigError

GROUP_FILES = 256  # as many as a chunk holds messages
GROUP_BYTES = 4 << 20


class File(NamedTuple):
    """A file: how the user knows it, where it is, what makes it the same file, whether the user named it himself."""

    location: str
    path: Path
    size_bytes: int
    changed_ns: int
    is_named: bool


class Unit(NamedTuple):
    """Files that are read together: a digest of their identities, and what was left out beside them, with reasons."""

    digest: bytes
    files: tuple[File, ...]
    size_bytes: int
    skipped: tuple[tuple[str, str], ...] = ()


def named_units(paths: Iterable[str]) -> list[Unit]:
    """Return the units of files and folders, in the order of their resolved paths, whatever the order given.

    Raises ConfigError where a path is missing, a folder cannot be read, or a named path is no file or folder.
    """
    named: dict[bytes, str] = {}
    for path in paths:
        try:
            named.setdefault(os.fsencode(Path(path).resolve(strict=True)), path)
        except (OSError, RuntimeError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ConfigError(f"{path}: cannot be found ({reason}); check the path") from error
    files, units = [], []
    for real, path in sorted(named.items()):
        if os.path.isdir(real):  # noqa: PTH112 - the path is bytes here
            units += _folder_units(path.rstrip("/") or "/", Path(os.fsdecode(real)))
        else:
            files.append(_named_file(path, Path(os.fsdecode(real))))
    return [*_grouped(files), *units]


def _named_file(location: str, path: Path) -> File:
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ConfigError(f"{location}: is no file or folder; to read a pipe, give it as standard input and name -")
    return File(location, path, found.st_size, found.st_mtime_ns, is_named=True)


def _folder_units(location: str, folder: Path) -> list[Unit]:
    files: list[File] = []
    skipped: list[tuple[str, str]] = []
    for found in files_below(location, folder):
        if isinstance(found, File):
            files.append(found)
        else:
            skipped.append(found)
    return [*_grouped(files), Unit(b"", (), 0, tuple(skipped))]


def files_below(location: str, folder: Path) -> Iterator[File | tuple[str, str]]:
    """Yield the files below a folder, sorted, each folder once; or what was left out and why.

    Raises ConfigError where a folder cannot be read.
    """
    return _walk(location, folder, set())


def _walk(location: str, folder: Path, seen: set[tuple[int, int]]) -> Iterator[File | tuple[str, str]]:
    try:
        here = folder.stat()
        names = sorted(os.listdir(folder), key=os.fsencode)  # noqa: PTH208 - names are all that is needed
    except OSError as error:
        raise ConfigError(f"{location}: the folder cannot be read ({error.strerror}); mend or move it") from error
    if (here.st_dev, here.st_ino) in seen:
        return
    seen.add((here.st_dev, here.st_ino))
    is_maildir = "cur" in names or "new" in names
    for name in names:
        place, path = f"{location}/{name}", folder / name
        try:
            found = path.stat()
        except OSError as error:
            if path.is_symlink():
                yield place, f"a symbolic link that leads nowhere ({error.strerror})"
                continue
            raise ConfigError(f"{place}: cannot be read ({error.strerror}); mend or move it") from error
        if stat.S_ISDIR(found.st_mode):
            if is_maildir and name == "tmp":
                yield place, "deliveries that were not finished (maildir)"
            else:
                yield from _walk(place, path, seen)
        elif stat.S_ISREG(found.st_mode):
            yield File(place, path, found.st_size, found.st_mtime_ns, is_named=False)
        else:
            yield place, "no regular file"


def _grouped(files: Sequence[File]) -> Iterator[Unit]:
    group: list[File] = []
    size = 0
    for file in files:
        if group and (len(group) == GROUP_FILES or size + file.size_bytes > GROUP_BYTES):
            yield _unit(group, size)
            group, size = [], 0
        group.append(file)
        size += file.size_bytes
    if group:
        yield _unit(group, size)


def _unit(files: Sequence[File], size_bytes: int) -> Unit:
    digest = hashlib.sha256()
    for file in files:
        path = os.fsencode(file.path)
        digest.update(b"%d:%s%d %d\n" % (len(path), path, file.size_bytes, file.changed_ns))
    return Unit(digest.digest(), tuple(files), size_bytes)
