"""The mbox splitter: what writers of every dialect wrote comes back; any bytes at all lose nothing but line noise."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whimbrel.sensors.mbox import Message, split_mbox, starts_mbox
from whimbrel.sensors.streams import Stream

ENVELOPE = b"From a@example.com Thu Aug 22 13:17:22 2002"


def _split(content: bytes, piece_bytes: int = 1 << 16, message_bytes: int = 1 << 20) -> list[Message]:
    file = io.BytesIO(content)
    return list(split_mbox(Stream(lambda: file.read(piece_bytes)), message_bytes))


def _quoted(content: bytes, eol: bytes) -> bytes:
    lines = content.split(eol)
    return eol.join(b">" + line if line.lstrip(b">").startswith(b"From ") else line for line in lines)


def _written(contents: list[bytes], eol: bytes = b"\n") -> bytes:
    return b"".join(ENVELOPE + eol + _quoted(content, eol) + eol for content in contents)


LINES = st.sampled_from(
    [b"", b"text", b"From here on", b">From there", b">>From x", ENVELOPE, b">", b"Received: x", b"From ", b"\xe4"]
)


@st.composite
def _content(draw: st.DrawFn, eol: bytes) -> bytes:
    header = [b"Subject: s", *draw(st.lists(st.sampled_from([b"To: b", b"X-A: 1"]), max_size=2))]
    return eol.join([*header, b"", *draw(st.lists(LINES, max_size=6)), b"end", b""])


@pytest.mark.parametrize("eol", [b"\n", b"\r\n", b"\r"])
@given(data=st.data(), piece_bytes=st.integers(1, 400))
def test_mboxrd_comes_back(eol: bytes, data: st.DataObject, piece_bytes: int) -> None:
    contents = data.draw(st.lists(_content(eol), min_size=1, max_size=4))
    read = _split(_written(contents, eol), piece_bytes)
    assert [message.content for message in read] == contents
    assert {message.envelope for message in read} == {ENVELOPE}


@given(st.lists(_content(b"\n"), min_size=1, max_size=4), st.integers(1, 400))
def test_mboxcl2_comes_back_by_its_lengths(contents: list[bytes], piece_bytes: int) -> None:
    """Nobody quoted, yet whole messages with their `From ` line in a body stay in it, for Content-Length says so."""
    nested = [content + b"\n" + ENVELOPE + b"\nTo: quoted whole\n\nFrom within\n" for content in contents]
    told = []
    for content in nested:
        head, _, body = content.partition(b"\n\n")
        told.append(head + b"\nContent-Length: %d\n\n" % len(body) + body)
    written = b"".join(ENVELOPE + b"\n" + content + b"\n" for content in told)
    assert [message.content for message in _split(written, piece_bytes)] == told


@pytest.mark.parametrize("length", [0, 3, 40, 999_999])
def test_a_false_length_is_not_believed(length: int) -> None:
    contents = [b"To: x\nContent-Length: %d\n\nbody\n" % length, b"To: y\n\nother\n", b"To: z\n\nthird\n"]
    assert [message.content for message in _split(_written(contents))] == contents


@given(st.binary(max_size=300), st.integers(1, 50))
def test_any_bytes_are_messages_whatever_the_pieces(content: bytes, piece_bytes: int) -> None:
    content = content.replace(b"\x00", b"\nFrom ").replace(b"\x01", b"\n\n" + ENVELOPE + b"\nTo:")
    read = _split(content, piece_bytes)
    assert read == _split(content)
    kept = b"".join((message.envelope or b"") + message.content for message in read)
    assert sorted(set(content) - set(b"\r\n>")) == sorted(set(kept) - set(b"\r\n>"))


def test_a_body_line_without_time_or_field_below_starts_no_message() -> None:
    content = (
        b"To: x\n\nFrom here on\nFrom a@b Thu Aug 22 13:17:22 2002\n\nFrom c@d Thu Aug 22 13:17:22 2002\nno field\n"
    )
    assert [message.content for message in _split(ENVELOPE + b"\n" + content)] == [content]


@pytest.mark.parametrize("piece_bytes", [100, 5000, 1 << 16])
def test_a_message_too_long_is_cut_and_the_next_is_whole(piece_bytes: int) -> None:
    long = b"To: x\n\n" + b"0123456789\n" * 20_000
    read = _split(_written([b"To: first\n\n", long, b"To: y\n\nother\n"]), piece_bytes, message_bytes=10_000)
    assert [message.is_cut for message in read] == [False, True, False]
    assert read[1].content == long[:10_000]
    assert read[2].content == b"To: y\n\nother\n"


def test_blank_lines_in_front_are_no_message() -> None:
    assert _split(b"\n\r\n") == []
    assert [message.content for message in _split(b"\n\n" + _written([b"To: x\n\n"]))] == [b"To: x\n\n"]


def test_what_starts_an_mbox() -> None:
    assert starts_mbox(ENVELOPE + b"\r\nTo: x")
    assert starts_mbox(b"\nFrom nobody\nTo: x")
    assert not starts_mbox(b"From the desk of the editor\n\nDear reader")
    assert not starts_mbox(b"From: a@example.com\n")
    assert not starts_mbox(ENVELOPE)


@given(st.lists(_content(b"\n"), min_size=1, max_size=4), st.integers(1, 400))
def test_a_message_tells_where_it_ends_and_the_rest_can_be_read_from_there(
    contents: list[bytes], piece_bytes: int
) -> None:
    written = b"\n\n" + _written(contents)
    read = _split(written, piece_bytes)
    assert read[-1].end == len(written)
    for number, message in enumerate(read, start=1):
        assert [each.content for each in _split(written[message.end :])] == contents[number:]
