"""Streams: every compression gives back what went in, however it is cut, and says so where it cannot."""

import bz2
import gzip
import lzma
import random
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from whimbrel.sensors.streams import DamageError, Stream, compression_of, decompressed

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


def _stream(content: bytes, piece_bytes: int = 7) -> Stream:
    pieces = iter([content[at : at + piece_bytes] for at in range(0, len(content), piece_bytes)])
    return Stream(lambda: next(pieces, b""))


def _all(stream: Stream) -> bytes:
    return b"".join(iter(stream.read_piece, b""))


@given(st.binary(max_size=60), st.lists(st.tuples(st.sampled_from(["peek", "read", "skip"]), st.integers(0, 20))))
def test_a_stream_is_a_file_read_once(content: bytes, steps: list[tuple[str, int]]) -> None:
    stream, at = _stream(content), 0
    for step, size in steps:
        wanted = content[at : at + size]
        if step == "peek":
            assert stream.peek(size) == wanted
        elif step == "read":
            assert stream.read(size) == wanted
            at += len(wanted)
        else:
            assert stream.skip(size) == len(wanted)
            at += len(wanted)
    assert _all(stream) == content[at:]


@pytest.mark.parametrize("name", PACKERS)
@given(parts=st.lists(st.binary(max_size=300), min_size=1, max_size=3), piece_bytes=st.integers(1, 50))
def test_what_was_packed_comes_back_also_concatenated(name: str, parts: list[bytes], piece_bytes: int) -> None:
    packed = b"".join(PACKERS[name](part) for part in parts)
    assert compression_of(packed) == name
    assert _all(decompressed(_stream(packed, piece_bytes), name)) == b"".join(parts)


@pytest.mark.parametrize("name", PACKERS)
def test_a_large_run_comes_back_in_bounded_pieces(name: str) -> None:
    content = bytes(5_000_000) + random.Random(1).randbytes(100_000)
    stream = decompressed(_stream(PACKERS[name](content), 1 << 16), name)
    pieces = list(iter(stream.read_piece, b""))
    assert b"".join(pieces) == content
    assert max(map(len, pieces)) <= 17 << 20


@pytest.mark.parametrize("name", PACKERS)
@given(cut=st.integers(1, 60))
def test_a_stream_cut_short_is_damage(name: str, cut: int) -> None:
    packed = PACKERS[name](b"Subject: all that there is, with words that do not repeat\n\n12345\n")
    whole = _stream(packed[:-cut])
    with pytest.raises(DamageError, match="ends too early"):
        _all(decompressed(whole, name))


@pytest.mark.parametrize("name", PACKERS)
@given(st.binary(max_size=200))
def test_any_bytes_are_content_or_damage(name: str, rest: bytes) -> None:
    packed = PACKERS[name](b"")[:6] + rest
    try:
        _all(decompressed(_stream(packed), name))
    except DamageError:
        return


@pytest.mark.parametrize("name", PACKERS)
def test_what_follows_the_end_is_not_lost_in_silence(name: str) -> None:
    packed = PACKERS[name](b"one") + b"no magic"
    with pytest.raises(DamageError, match="follows its end"):
        _all(decompressed(_stream(packed), name))


@pytest.mark.parametrize("name", PACKERS)
def test_zeros_may_pad(name: str) -> None:
    packed = PACKERS[name](b"one") + bytes(1000) + PACKERS[name](b"two") + bytes(4)
    assert _all(decompressed(_stream(packed), name)) == b"onetwo"


def test_a_bomb_is_refused() -> None:
    bomb = decompressed(_stream(PACKERS["zstd"](bytes(300 << 20)), 1 << 16), "zstd")
    with pytest.raises(DamageError, match="bomb"):
        for _ in iter(bomb.read_piece, b""):
            pass
