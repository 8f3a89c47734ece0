"""Mail out of files: mbox, maildir, single messages, folders of them, archives and compressed forms, standard input.

What a file is, is told by its content, not by its name.  Every path becomes *units*: a large file is one, and the
small files of a folder form groups.  A unit's messages come in order and are cut into chunks at fixed bounds, so a
chunk's key, which names the unit's files (path, size, time of change) and the chunk's number, is the same on a rerun;
the unit's last chunk has a key of its own kind, so that a rerun knows from the keys alone that nothing of a unit is
left, and does not open its files.  Where reading breaks off, what was read is given first, under a key of a third kind,
which never hides the rest once the file can be read.
"""

import hashlib
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

from whimbrel.errors import ConfigError
from whimbrel.sensors.archives import Member, is_tar, is_zip, seekable, tar_members, zip_members
from whimbrel.sensors.folders import File, Unit, named_units
from whimbrel.sensors.mbox import MESSAGE_BYTES, split_mbox, starts_mbox
from whimbrel.sensors.streams import HEAD_BYTES, PIECE_BYTES, DamageError, Stream, compression_of, decompressed

CHUNK_MESSAGES = 256  # a chunk is what a worker takes at a time and what an interrupted run may lose
CHUNK_BYTES = 4 << 20

_NESTED_ARCHIVES = 2  # an archive, and archives in it
_NESTED_COMPRESSIONS = 3  # a compressed archive of compressed archives of compressed messages
_HEADER_LINES = 32  # a message that has no usual field in its first lines is none
_USUAL_FIELD = re.compile(
    rb"(?:received|return-path|delivered-to|from|to|cc|bcc|sender|reply-to|date|subject|message-id|mime-version"
    rb"|content-(?:type|transfer-encoding|disposition|length)|in-reply-to|references|comments|status|errors-to"
    rb"|(?:x|arc|list|resent|dkim|domainkey|authentication|envelope|apparently)-[!-9;-~]{1,64}|received-spf)[ \t]*:",
    re.IGNORECASE,
)
_LINE_END = re.compile(rb"\r\n|\n|\r")


class Item(NamedTuple):
    """One message: where it lies as the user knows it, its bytes, and its `From ` line without the line end."""

    location: str
    content: bytes
    envelope: bytes | None


class Chunk(NamedTuple):
    """At most 256 messages or 4 MiB (or one larger message), in order.

    `key` is hexadecimal and equal for the same range of the same files; `position_bytes` is how far all input is read.
    """

    key: str
    items: list[Item]
    position_bytes: int


def looks_like_mail(content: bytes) -> bool:
    """Tell whether one of the first lines is a field that mail has (RFC 5322, 3.6, and what is common)."""
    head = content[:HEAD_BYTES]
    start = 0
    for _ in range(_HEADER_LINES):
        if _USUAL_FIELD.match(head, start):
            return True
        ends = _LINE_END.search(head, start)
        if ends is None:
            return False
        start = ends.end()
    return False


def open_sources(paths: Sequence[str], stdin: BinaryIO | None = None) -> "MailFiles":
    """Return the mail in files and folders; `-` is standard input (`stdin`, or the process's own).

    Raises ConfigError where a path is missing, cannot be read, or is a file that is neither mail nor an archive.
    """
    units = named_units([path for path in paths if path != "-"])
    for unit in units:
        for file in unit.files:
            if file.is_named:
                _check_named(file)
    return MailFiles(units, (stdin or sys.stdin.buffer) if "-" in paths else None)


class MailFiles:
    """The mail of one run.  `skipped` grows while reading: places that hold no mail, and why they were left out."""

    def __init__(self, units: Sequence[Unit], stdin: BinaryIO | None) -> None:
        self._units = units
        self._stdin = stdin
        self._position_bytes = 0
        self._last = ""
        self.skipped: list[tuple[str, str]] = [reason for unit in units for reason in unit.skipped]
        self.total_bytes = sum(unit.size_bytes for unit in units)

    def chunks(self, is_done: Callable[[str], bool]) -> Iterator[Chunk]:
        """Yield what is not done yet, in a fixed order; a unit of which all is done is not opened.

        Raises ConfigError where a file cannot be read to its end; the chunks before it hold all that could be.
        """
        before = 0
        for unit in self._units:
            if unit.files and not _is_whole_done(unit.digest, is_done):
                yield from self._unit_chunks(unit, is_done)
            before += unit.size_bytes
            self._position_bytes = before
        if self._stdin is not None:
            yield from self._stdin_chunks(self._stdin, is_done)

    def _unit_chunks(self, unit: Unit, is_done: Callable[[str], bool]) -> Iterator[Chunk]:
        for number, (items, kind) in enumerate(_cut(self._unit_items(unit))):
            key = _key(unit.digest, f"{kind} {number}" if kind != "broken" else f"{kind} {number} {len(items)}")
            if items and not is_done(key):
                yield Chunk(key, items, self._position_bytes)

    def _stdin_chunks(self, stdin: BinaryIO, is_done: Callable[[str], bool]) -> Iterator[Chunk]:
        """Yield standard input's, which has no identity but what comes out of it."""

        def pull() -> bytes:
            piece = stdin.read(PIECE_BYTES)
            self._position_bytes += len(piece)
            return piece

        for items, _ in _cut(self._read_file(File("-", Path("-"), 0, 0, is_named=True), Stream(pull))):
            digest = hashlib.sha256()
            for item in items:
                for field in (item.location.encode("utf-8", "surrogateescape"), item.envelope or b"", item.content):
                    digest.update(len(field).to_bytes(8, "big") + field)
            key = _key(digest.digest(), "stdin")
            if items and not is_done(key):
                yield Chunk(key, items, self._position_bytes)

    def _unit_items(self, unit: Unit) -> Iterator[Item]:
        for file in unit.files:
            before = self._position_bytes
            try:
                with file.path.open("rb", buffering=0) as raw:
                    for item in self._read_file(file, Stream(partial(raw.read, PIECE_BYTES)), raw):
                        self._position_bytes = before + raw.tell()
                        yield item
            except OSError as error:
                raise ConfigError(f"{file.location}: cannot be read ({error.strerror}); mend or move it") from error
            self._position_bytes = before + file.size_bytes

    def _read_file(self, file: File, stream: Stream, raw: BinaryIO | None = None) -> Iterator[Item]:
        """Yield a file's messages; `raw` is the file itself where it can be sought in, which spares a zip's copy."""
        self._last = ""
        if raw is not None and is_zip(stream.peek(HEAD_BYTES)):
            members = zip_members(raw)
            items = self._read_members(file.location, members, _NESTED_ARCHIVES - 1, _NESTED_COMPRESSIONS)
        else:
            items = self._read(file.location, stream, _NESTED_ARCHIVES, _NESTED_COMPRESSIONS, is_named=file.is_named)
        try:
            for item in items:
                self._last = item.location
                yield item
        except DamageError as damage:
            after = f"the last good message is {self._last}" if self._last else "no message could be read"
            what_to_do = "fetch the file again, or take it out"
            raise ConfigError(f"{file.location}: {damage}; {after}; {what_to_do}") from damage

    def _read(
        self, location: str, stream: Stream, archives: int, compressions: int, *, is_named: bool = False
    ) -> Iterator[Item]:
        """Yield the messages of a stream; `archives` and `compressions` are how many more may be nested."""
        head = stream.peek(HEAD_BYTES)
        compression = compression_of(head)
        if compression is not None:
            if compressions == 0:
                self.skipped.append((location, "compressed too many times"))
            else:
                opened = decompressed(stream, compression)
                yield from self._read(location, opened, archives, compressions - 1, is_named=is_named)
        elif is_zip(head) or is_tar(head):
            if archives == 0:
                self.skipped.append((location, "an archive in an archive in an archive"))
            else:
                members = tar_members(stream) if is_tar(head) else self._zip(stream)
                yield from self._read_members(location, members, archives - 1, compressions)
        elif starts_mbox(head):
            yield from self._read_mbox(location, stream)
        elif looks_like_mail(head):
            yield self._read_message(location, stream)
        elif is_named and head:
            raise ConfigError(_not_mail(location))
        else:
            self.skipped.append((location, "not mail" if head else "empty"))

    def _zip(self, stream: Stream) -> Iterator[Member]:
        with seekable(stream) as file:
            yield from zip_members(file)

    def _read_members(
        self, location: str, members: Iterator[Member], archives: int, compressions: int
    ) -> Iterator[Item]:
        for member in members:
            name = member.name.removeprefix("./")
            if member.problem is not None:
                self.skipped.append((f"{location}/{name}", member.problem))
            else:
                yield from self._read(f"{location}/{name}", member.stream, archives, compressions)

    def _read_message(self, location: str, stream: Stream) -> Item:
        content = stream.read(MESSAGE_BYTES)
        if stream.peek(1):
            self._note_cut(location)
        return Item(location, content, None)

    def _read_mbox(self, location: str, stream: Stream) -> Iterator[Item]:
        """Yield messages numbered from 1, or one without a number where it is alone in its file."""
        messages = split_mbox(stream)
        first = list(islice(messages, 2))
        is_alone = len(first) == 1
        for number, message in enumerate(chain(first, messages), start=1):
            place = location if is_alone else f"{location}#{number}"
            if message.is_cut:
                self._note_cut(place)
            yield Item(place, message.content, message.envelope)

    def _note_cut(self, location: str) -> None:
        self.skipped.append((location, f"cut: only the first {MESSAGE_BYTES >> 20} MiB of the message are read"))


def _cut(items: Iterator[Item]) -> Iterator[tuple[list[Item], str]]:
    """Cut into chunks; the last is told from the others, and so is the last before reading broke off (then raise)."""
    held: list[Item] = []
    size = 0
    broken: ConfigError | None = None
    try:
        for item in items:
            if held and (len(held) == CHUNK_MESSAGES or size + len(item.content) > CHUNK_BYTES):
                yield held, "part"
                held, size = [], 0
            held.append(item)
            size += len(item.content)
    except ConfigError as error:
        broken = error
    yield held, "last" if broken is None else "broken"
    if broken is not None:
        raise broken


def _key(digest: bytes, part: str) -> str:
    return hashlib.sha256(digest + part.encode()).hexdigest()


def _is_whole_done(digest: bytes, is_done: Callable[[str], bool]) -> bool:
    number = 0
    while is_done(_key(digest, f"part {number}")):
        number += 1
    return is_done(_key(digest, f"last {number}"))


def _check_named(file: File) -> None:
    try:
        with file.path.open("rb", buffering=0) as raw:
            head = raw.read(HEAD_BYTES)
    except OSError as error:
        raise ConfigError(f"{file.location}: cannot be read ({error.strerror}); mend it or leave it out") from error
    is_packed = compression_of(head) is not None or is_zip(head) or is_tar(head)
    if head and not is_packed and not starts_mbox(head) and not looks_like_mail(head):
        raise ConfigError(_not_mail(file.location))


def _not_mail(location: str) -> str:
    return f"{location}: is neither mail nor an archive of mail; leave it out, or name the file that holds the mail"
