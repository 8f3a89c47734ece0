import pytest

from whimbrel.messages import bounds
from whimbrel.messages.canonical import canonical


@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r"])
def test_all_line_ends_are_read_alike(ends: bytes) -> None:
    text = b"From x@y.example Thu Nov  7 12:00:00 2002\nFrom: a\nSubject: b\n\nbody\n\nmore\n"
    expected = canonical(text)
    found = canonical(text.replace(b"\n", ends))
    assert found.raw == expected.raw
    assert found.content_sha256 == expected.content_sha256
    assert [defect.kind for defect in found.defects] == (["cr line ends"] if ends == b"\r" else [])


@pytest.mark.parametrize(
    ("raw", "kinds"),
    [
        (b"a\r\nb\rc", ["bare cr"]),
        (b"\xef\xbb\xbfFrom: x\n\n", ["byte order mark"]),
        (b"From: \0\n\n", ["nul byte"]),
        (b"\n\n" + b"x" * bounds.LINE_BYTES + b"\n", []),
        (b"\n\n" + b"x" * (bounds.LINE_BYTES + 1) + b"\n", ["long line"]),
        (b"\n" * 5_000 + b"x" * (bounds.LINE_BYTES + 1), ["long line"]),
    ],
)
def test_defects_of_the_whole(raw: bytes, kinds: list[str]) -> None:
    assert [defect.kind for defect in canonical(raw).defects] == kinds
