"""Bytes that are read once, from front to back, and are decompressed on the way; memory is bounded whatever comes.

Every format is pulled through the same loop with a bound on what one step may yield, so that a few bytes cannot become
gigabytes of memory, and a stream that stops early is noticed for every format alike.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

import zstandard

PIECE_BYTES = 1 << 18  # measured: reading in pieces of 256 KiB costs no more than in larger ones
HEAD_BYTES = 8192  # what a test of content may look at

_XZ_MEMORY_BYTES = 1 << 28  # `xz -9` needs 65 MiB to decompress (xz(1)), so 256 MiB refuse only what is meant to hurt
_ZSTD_WINDOW_BYTES = 1 << 27  # the decoder's limit of the zstd program (zstd(1), --memory)
_ZSTD_FEED_BYTES = 512  # a run of 128 KiB takes 4 octets (RFC 8878, 3.1.1.2), so one step yields at most 16 MiB
# Mail compresses about 10:1 (the shipped corpus 7:1) and deflate cannot pass 1032:1 (zlib.net/zlib_tech.html); what is
# both large and beyond this ratio is no mail.
_BOMB_BYTES = 1 << 28
_BOMB_RATIO = 500


class DamageError(Exception):
    """The bytes end too early or contradict their format; the text says how.  Never leaves this package."""


class Stream:
    """Bytes to be read once, made from a function that returns the next piece, and b"" at the end."""

    def __init__(self, pull: Callable[[], bytes]) -> None:
        self._pull = pull
        self._held = b""
        self._at = 0

    def peek(self, size: int) -> bytes:
        """Return up to `size` bytes without taking them; fewer only where the stream ends."""
        self._gather(size)
        return self._held[self._at : self._at + size]

    def read(self, size: int) -> bytes:
        """Take up to `size` bytes; fewer only where the stream ends."""
        end = self._at + size
        if end > len(self._held):
            self._gather(size)
            end = self._at + size
        taken = self._held[self._at : end]
        self._at += len(taken)
        return taken

    def read_piece(self) -> bytes:
        """Take whatever is at hand, or the next piece; b"" where the stream ends."""
        if self._at < len(self._held):
            taken = self._held[self._at :]
            self._held, self._at = b"", 0
            return taken
        return self._pull()

    def skip(self, size: int) -> int:
        """Drop up to `size` bytes and return how many there were."""
        left = size
        while left:
            at_hand = len(self._held) - self._at
            if at_hand >= left:
                self._at += left
                return size
            left -= at_hand
            self._held, self._at = self._pull(), 0
            if not self._held:
                break
        return size - left

    def _gather(self, size: int) -> None:
        missing = size - (len(self._held) - self._at)
        if missing <= 0:
            return
        pieces = [self._held[self._at :]]
        while missing > 0:
            piece = self._pull()
            if not piece:
                break
            pieces.append(piece)
            missing -= len(piece)
        self._held, self._at = b"".join(pieces), 0


class _Decoder(Protocol):
    """What bz2 and lzma decompressors are; zlib and zstandard are made to fit."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes: ...


class _Gzip:
    """RFC 1952 by zlib, in the shape of the other decompressors."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


class _Zstd:
    """RFC 8878; zstandard bounds no output, so input goes in by slices too short to yield much."""

    def __init__(self) -> None:
        self._frame = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES).decompressobj()
        self._waiting = b""
        self._at = 0

    @property
    def eof(self) -> bool:
        return self._frame.eof

    @property
    def needs_input(self) -> bool:
        return self._at >= len(self._waiting)

    @property
    def unused_data(self) -> bytes:
        return self._frame.unused_data + self._waiting[self._at :]

    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes:
        if data:
            self._waiting, self._at = self._waiting[self._at :] + data, 0
        pieces, size = [], 0
        while self._at < len(self._waiting) and not self._frame.eof and size < max_length:
            fed = self._waiting[self._at : self._at + _ZSTD_FEED_BYTES]
            self._at += len(fed)
            pieces.append(self._frame.decompress(fed))
            size += len(pieces[-1])
        return b"".join(pieces)


_DECODERS: dict[str, tuple[bytes, Callable[[], _Decoder]]] = {
    "gzip": (b"\x1f\x8b\x08", _Gzip),
    "bzip2": (b"BZh", bz2.BZ2Decompressor),
    "xz": (b"\xfd7zXZ\x00", lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY_BYTES)),
    "zstd": (b"\x28\xb5\x2f\xfd", _Zstd),
}
_BZIP2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")  # a block, or the end of an empty stream


def compression_of(head: bytes) -> str | None:
    """Return the compression whose magic number starts `head`, or None."""
    for name, (magic, _) in _DECODERS.items():
        if head.startswith(magic) and (name != "bzip2" or head[4:10] in _BZIP2_BLOCKS):
            return name
    return None


def is_bomb(packed_bytes: int, unpacked_bytes: int) -> bool:
    """Tell whether data is both large and packed as no mail is."""
    return unpacked_bytes > _BOMB_BYTES and unpacked_bytes > packed_bytes * _BOMB_RATIO


def decompressed(stream: Stream, compression: str) -> Stream:
    """Return what a compressed stream holds: one after the other, where several were concatenated.

    Reading it raises DamageError where the stream is cut short, damaged, or a bomb.
    """
    pieces = _decompress(stream, compression)
    return Stream(lambda: next(pieces, b""))


def _decompress(stream: Stream, compression: str) -> Iterator[bytes]:
    magic, make = _DECODERS[compression]
    decoder = make()
    taken = given = 0
    fresh = b""
    while True:
        if not fresh and decoder.needs_input:
            fresh = stream.read_piece()
            taken += len(fresh)
            if not fresh:
                raise DamageError(f"the {compression} data ends too early")
        try:
            piece = decoder.decompress(fresh, PIECE_BYTES)
        except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zstandard.ZstdError) as error:
            raise DamageError(f"the {compression} data is damaged ({error})") from error
        fresh = b""
        given += len(piece)
        if is_bomb(taken, given):
            raise DamageError(f"the {compression} data grows more than {_BOMB_RATIO} times: a decompression bomb")
        if piece:
            yield piece
        if decoder.eof:
            fresh = _next_member(decoder.unused_data, stream, magic, compression)
            if not fresh:
                return
            decoder = make()


def _next_member(rest: bytes, stream: Stream, magic: bytes, compression: str) -> bytes:
    """Return the beginning of the next concatenated stream; zeros may pad in between (xz, and gzip on tapes)."""
    while True:
        rest = rest.lstrip(b"\x00")
        if len(rest) >= len(magic):
            break
        more = stream.read_piece()
        if not more:
            break
        rest += more
    if rest and not rest.startswith(magic):
        raise DamageError(f"something that is no {compression} data follows its end")
    return rest
