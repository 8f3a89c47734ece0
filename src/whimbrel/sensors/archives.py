"""The members of tar and zip archives, one after the other, never the whole archive at once.

Tar is read by a small reader of our own, since tarfile spends 40 us a member (measured on the shipped corpus) on
attributes that mail has no use for.  It reads ustar, pax and GNU headers (POSIX.1-2001, pax; tar(5)): names, long
names and sizes; only regular files are given.
"""

import io
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from lzma import LZMAError
from typing import IO, BinaryIO, NamedTuple

from whimbrel.sensors.streams import PIECE_BYTES, DamageError, Stream, is_bomb

_BLOCK_BYTES = 512
_END = bytes(_BLOCK_BYTES)
_NAME_BYTES = 1 << 20  # a long name or pax header larger than this is damage: paths end at 4096 octets (Linux PATH_MAX)
_SPOOL_BYTES = 16 << 20  # a zip out of a stream is held in memory up to this, and in a temporary file beyond
_ZIP_BYTES = 8 << 30  # and is refused beyond this

_ZIP_ENCRYPTED = 0x1  # general purpose flag bit 0 (APPNOTE 4.4.4)
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    LZMAError,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    IndexError,
    UnicodeError,
)


class Member(NamedTuple):
    """One regular file of an archive: its name, its size as told, its bytes; or why it cannot be read."""

    name: str
    size: int
    stream: Stream
    problem: str | None = None


def is_tar(head: bytes) -> bool:
    """Tell by the checksum of its first header whether this is a tar; an empty one (zeros only) counts."""
    block = head[:_BLOCK_BYTES]
    return len(block) == _BLOCK_BYTES and (block == _END or _has_checksum(block))


def is_zip(head: bytes) -> bool:
    """Tell whether this is a zip: a first member, or the directory of an empty one."""
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def tar_members(stream: Stream) -> Iterator[Member]:
    """Yield the members of a tar; what is left unread of a member is skipped when the next is asked for.

    Raises DamageError where a header is wrong, or the archive ends before its end mark.
    """
    long_name: bytes | None = None
    pax_size: int | None = None
    ended = False
    while True:
        block = stream.read(_BLOCK_BYTES)
        if block == _END or (ended and not block.strip(b"\x00")):
            if not block:
                return
            ended = True
            continue
        if len(block) < _BLOCK_BYTES:
            raise DamageError("the tar archive ends too early")
        if not _has_checksum(block):
            raise DamageError("the tar archive is damaged: a header's checksum is wrong")
        ended = False
        size, kind = _number(block[124:136]), block[156:157]
        if kind in b"Lx":
            told = _take_padded(stream, size)
            if kind == b"L":
                long_name = told.rstrip(b"\x00")
            else:
                pax = _pax(told)
                long_name = pax.get(b"path", long_name)
                pax_size = _decimal(pax.get(b"size"))
            continue
        if kind in b"Kg":
            _skip(stream, _padded(size))
            continue
        if kind in b"12":
            size = 0  # links may tell the size of what they lead to (tar(5)); nothing follows
        elif pax_size is not None:
            size = pax_size
        name = _name(block) if long_name is None else long_name
        long_name, pax_size = None, None
        body = _Body(stream, size)
        if kind in b"07\x00S" and not name.endswith(b"/"):
            problem = "a sparse file" if kind == b"S" else None
            yield Member(name.decode("utf-8", "surrogateescape"), size, Stream(body.pull), problem)
        body.drop()
        _skip(stream, _padded(size) - size)


def zip_members(file: BinaryIO) -> Iterator[Member]:
    """Yield the members of a zip in the order of its directory.

    Raises DamageError where the directory is damaged; reading a member raises it where the member is.
    """
    try:
        archive = zipfile.ZipFile(file)
    except _ZIP_ERRORS as error:
        raise DamageError(f"the zip archive is damaged or cut short ({error})") from error
    with archive:
        for entry in archive.infolist():
            if entry.filename.endswith("/"):  # not is_dir(), which fails on an empty name
                continue
            if entry.flag_bits & _ZIP_ENCRYPTED:
                yield Member(entry.filename, entry.file_size, Stream(bytes), "encrypted")
                continue
            if is_bomb(entry.compress_size, entry.file_size):
                yield Member(entry.filename, entry.file_size, Stream(bytes), "a decompression bomb")
                continue
            try:
                opened = archive.open(entry)
            except _ZIP_ERRORS as error:
                raise DamageError(f"the member {entry.filename!r} is damaged ({error})") from error
            with opened:
                yield Member(entry.filename, entry.file_size, Stream(_zip_pull(opened, entry.filename)))


def seekable(stream: Stream) -> BinaryIO:
    """Return the stream as a file to seek in, as a zip's directory at its end needs; the caller closes it."""
    spool = tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES)  # noqa: SIM115 - handed to the caller
    size = 0
    while piece := stream.read_piece():
        size += len(piece)
        if size > _ZIP_BYTES:
            spool.close()
            raise DamageError(f"the zip archive is larger than {_ZIP_BYTES >> 30} GiB, unpack it first")
        spool.write(piece)
    spool.seek(0)
    return io.BufferedReader(spool)


def _zip_pull(opened: IO[bytes], name: str) -> Callable[[], bytes]:
    def pull() -> bytes:
        try:
            return opened.read(PIECE_BYTES)
        except _ZIP_ERRORS as error:
            raise DamageError(f"the member {name!r} is damaged ({error})") from error

    return pull


class _Body:
    """A tar member's bytes: never more than told, and damage where there are fewer."""

    def __init__(self, stream: Stream, size: int) -> None:
        self._stream = stream
        self._left = size

    def pull(self) -> bytes:
        piece = self._stream.read(min(self._left, PIECE_BYTES))
        if self._left and not piece:
            raise DamageError("the tar archive ends too early")
        self._left -= len(piece)
        return piece

    def drop(self) -> None:
        _skip(self._stream, self._left)
        self._left = 0


def _has_checksum(block: bytes) -> bool:
    """Tell whether a header's checksum holds; some old writers summed signed octets (tar(5))."""
    told = _octal(block[148:156])
    if told is None:
        return False
    rest = block[:148] + b"        " + block[156:]
    unsigned = sum(rest)
    return told == unsigned or (not rest.isascii() and told == unsigned - 256 * sum(octet >= 0x80 for octet in rest))


def _octal(field: bytes) -> int | None:
    digits = field.strip(b" \x00").partition(b"\x00")[0].strip(b" ")
    if not digits.isdigit():
        return None
    try:
        return int(digits, 8)
    except ValueError:
        return None


def _decimal(field: bytes | None) -> int | None:
    return int(field) if field is not None and field.isdigit() and len(field) < 20 else None


def _number(field: bytes) -> int:
    """Return a size: octal, or GNU's base 256 where the first bit is set."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    size = _octal(field)
    if size is None and field.strip(b" \x00"):
        raise DamageError("the tar archive is damaged: a header tells no size")
    return size or 0


def _name(block: bytes) -> bytes:
    name = block[:100].partition(b"\x00")[0]
    if block[257:263] == b"ustar\x00":
        prefix = block[345:500].partition(b"\x00")[0]
        return prefix + b"/" + name if prefix else name
    return name


def _pax(told: bytes) -> dict[bytes, bytes]:
    """Return the records, `LENGTH KEY=VALUE` and a line end, of a pax header, as far as they are sound."""
    records, at = {}, 0
    while at < len(told):
        digits = told[at : at + 20].partition(b" ")[0]
        length = _decimal(digits)
        if length is None or length <= len(digits) + 1:
            break
        key, _, value = told[at + len(digits) + 1 : at + length - 1].partition(b"=")
        records[key] = value
        at += length
    return records


def _padded(size: int) -> int:
    return -(-size // _BLOCK_BYTES) * _BLOCK_BYTES


def _take_padded(stream: Stream, size: int) -> bytes:
    if size > _NAME_BYTES:
        raise DamageError("the tar archive is damaged: a name is too long")
    taken = stream.read(_padded(size))
    if len(taken) < _padded(size):
        raise DamageError("the tar archive ends too early")
    return taken[:size]


def _skip(stream: Stream, size: int) -> None:
    if stream.skip(size) < size:
        raise DamageError("the tar archive ends too early")
