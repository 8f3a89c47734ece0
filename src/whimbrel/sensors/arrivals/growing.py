"""A place that grows: an mbox file to which messages are appended.

A message is read when the next one follows, or when the file ends in an empty line, was quiet for a while, and nobody
holds a lock on it (a dot lock, flock or fcntl).  A file that does not begin as it did is read anew.
"""

import fcntl
import hashlib
import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from whimbrel.sensors.arrivals.place import QUIET_SECONDS, Found, Place
from whimbrel.sensors.mailfiles import CHUNK_BYTES, CHUNK_MESSAGES, Item
from whimbrel.sensors.mbox import Message, split_mbox, starts_mbox
from whimbrel.sensors.streams import HEAD_BYTES, PIECE_BYTES, Stream

# Some writers leave out the empty line that ends a message; after this long there comes nothing more.
LAZY_SECONDS = 30.0
_TAIL_BYTES = 1024  # what is compared to tell that a file still begins as it did

_Identity = tuple[int, int]  # size, time of change in nanoseconds


class _Mark(msgspec.Struct, frozen=True, array_like=True):
    """How far an mbox was read: to `end`, where the last message read began at `start`; a digest of what is before."""

    start: int
    end: int
    tail: str


class Mbox(Place):
    """One mbox file, which may be missing until the first mail comes."""

    def __init__(self, path: Path, name: str, is_done: Callable[[str], bool], mark: str | None = None) -> None:
        super().__init__(path, name, is_done, mark)
        self._read: _Identity | None = None  # as what the file was read to its end, or given up
        self._waiting: tuple[_Identity, float] | None = None  # as what it was seen, and since when

    def folders(self) -> list[Path]:
        """Return the folder that the file is in: it may be replaced."""
        return [self.path.parent]

    def look(self, now: float, changed: Collection[str] | None = None) -> Iterator[Found]:
        """Yield the messages that were appended and are whole."""
        is_asked = changed is None or self._waiting is not None or str(self.path) in changed
        self.is_unfinished = False
        try:
            found = self.path.stat() if is_asked else None
        except FileNotFoundError:
            return
        identity = None if found is None else (found.st_size, found.st_mtime_ns)
        if identity is None or identity == self._read:
            return
        if self._waiting is None or self._waiting[0] != identity:
            self._waiting = identity, now
        quiet_seconds = now - self._waiting[1]
        self.is_unfinished = True
        try:
            with self.path.open("rb", buffering=0) as file:
                if not self.path.with_name(f"{self.path.name}.lock").exists() and _is_free(file):
                    yield from self._appended(file, identity, quiet_seconds)
        except OSError as error:
            self.problems.append((str(self.path), f"cannot be read ({error.strerror})"))

    def keep(self, found: Found) -> None:
        """Take note how far the file is safe."""
        self.mark = found.mark

    def _appended(self, file: BinaryIO, identity: _Identity, quiet_seconds: float) -> Iterator[Found]:
        size = identity[0]
        begin = self._begin(file, size)
        if begin is None:
            self.problems.append((str(self.path), "is no mbox: it does not begin with a `From ` line"))
            self._finished(identity)
            return
        is_ended = _pread(file, max(0, size - 3), size).replace(b"\r", b"").endswith(b"\n\n")
        is_whole = quiet_seconds >= (QUIET_SECONDS if is_ended else LAZY_SECONDS)
        last = begin
        for messages in _lots(split_mbox(_part(file, begin, size))):
            if begin + messages[-1].end == size and not is_whole:
                messages = messages[:-1]  # noqa: PLW2901 - what follows is about those that are taken
            else:
                last = begin + messages[-1].end
            if messages:
                yield self._piece(file, begin, messages)
        if last == size:
            self._finished(identity)

    def _finished(self, identity: _Identity) -> None:
        self._read, self._waiting, self.is_unfinished = identity, None, False

    def _piece(self, file: BinaryIO, begin: int, messages: list[Message]) -> Found:
        ends = [0, *(message.end for message in messages)]
        mark = _Mark(begin + ends[-2], begin + ends[-1], _digest(file, begin + ends[-1]))
        items = [
            Item(f"{self.path}@{begin + end}", each.content, each.envelope)
            for end, each in zip(ends, messages, strict=False)
        ]
        self.skipped += [
            (item.location, "cut: too long") for item, each in zip(items, messages, strict=True) if each.is_cut
        ]
        return Found(
            self.key("piece", str(begin), mark.tail, str(mark.end)), items, (), msgspec.json.encode(mark).decode()
        )

    def _begin(self, file: BinaryIO, size: int) -> int | None:
        """Return where to read on; None where this is no mbox."""
        mark = None if self.mark is None else msgspec.json.decode(self.mark, type=_Mark)
        if mark is not None and mark.end <= size and _digest(file, mark.end) == mark.tail:
            if not _pread(file, mark.end, size).strip(b"\r\n") or starts_mbox(_pread(file, mark.end, size)):
                return mark.end
            return mark.start  # the last message was not whole when it was read
        head = _pread(file, 0, size)
        return 0 if not head.strip(b"\r\n") or starts_mbox(head) else None


def _lots(messages: Iterator[Message]) -> Iterator[list[Message]]:
    """Yield messages in lots of bounded size."""
    lot: list[Message] = []
    size = 0
    for message in messages:
        if lot and (len(lot) == CHUNK_MESSAGES or size + len(message.content) > CHUNK_BYTES):
            yield lot
            lot, size = [], 0
        lot.append(message)
        size += len(message.content)
    if lot:
        yield lot


def _is_free(file: BinaryIO) -> bool:
    """Tell whether nobody else has locked the file for writing; it stays locked for reading until it is closed."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _part(file: BinaryIO, begin: int, end: int) -> Stream:
    """Return the bytes of a file from `begin` to `end`."""
    pieces = (os.pread(file.fileno(), min(PIECE_BYTES, end - at), at) for at in range(begin, end, PIECE_BYTES))
    return Stream(lambda: next(pieces, b""))


def _pread(file: BinaryIO, begin: int, end: int) -> bytes:
    return os.pread(file.fileno(), min(HEAD_BYTES, end - begin), begin)


def _digest(file: BinaryIO, end: int) -> str:
    begin = max(0, end - _TAIL_BYTES)
    return hashlib.sha256(os.pread(file.fileno(), end - begin, begin)).hexdigest()
