import base64
import binascii
import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whimbrel.messages import bounds, decode
from whimbrel.messages.decode import codec_of, decode_text, decode_transfer, decode_words, filename_of
from whimbrel.model.facts import Defect


def _kinds(defects: list[Defect]) -> list[str]:
    return [defect.kind for defect in defects]


@given(st.binary(max_size=300))
def test_sound_encodings_round_trip(payload: bytes) -> None:
    defects: list[Defect] = []
    assert decode_transfer(base64.encodebytes(payload), "base64", "", defects) == payload
    # Not as text: there the encoder itself brings mixed line ends to one kind.
    assert decode_transfer(binascii.b2a_qp(payload, istext=False), "quoted-printable", "", defects) == payload
    assert decode_transfer(payload, "8bit", "", defects) == payload
    assert defects == []


@given(st.binary(max_size=300), st.sampled_from(["base64", "quoted-printable", "x-uuencode", "7bit", "rot13"]))
def test_any_bytes_decode(payload: bytes, encoding: str) -> None:
    assert len(decode_transfer(payload, encoding, "", [])) <= len(payload)


@pytest.mark.parametrize(
    ("payload", "decoded"),
    [
        (b"aGVsbG8", b"hello"),  # padding missing
        (b"aGVsbG8=\n-- \na footer in clear\n", b"hello"),
        (b"aGV!sbG8=", b"hello"),
        (b"aGVsbG8gd29ybGR", b"hello world"),  # cut short
        (b"a", b""),
    ],
)
def test_broken_base64_decodes_as_far_as_it_goes(payload: bytes, decoded: bytes) -> None:
    defects: list[Defect] = []
    assert decode_transfer(payload, "base64", "", defects) == decoded
    assert _kinds(defects) == ["bad base64"]


def test_unknown_encoding_is_left_alone() -> None:
    defects: list[Defect] = []
    assert decode_transfer(b"x", "rot13", "part 1", defects) == b"x"
    assert defects == [Defect("unknown encoding", "part 1")]


def test_broken_uuencode() -> None:
    defects: list[Defect] = []
    assert decode_transfer(b"begin 644 a\n#86)C\n\xff\xff\nend\n", "x-uuencode", "", defects) == b"abc"
    assert decode_transfer(b"no beginning", "uuencode", "", defects) == b""
    assert _kinds(defects) == ["bad uuencode", "bad uuencode"]


def test_every_codec_on_the_whitelist_is_there() -> None:
    for codec in set(decode._CODECS.values()):
        assert isinstance(b"".decode(codec), str)
        assert codecs.lookup(codec)._is_text_encoding


@pytest.mark.parametrize(
    "name", ["a\0b", "idna", "zip", "rot13", "punycode", "unicode_escape", "mbcs", "x" * 10_000, ""]
)
def test_no_other_codec_is_looked_up(name: str) -> None:
    assert codec_of(name) is None


@pytest.mark.parametrize(
    ("payload", "charset", "text", "kinds"),
    [
        ("žluťoučký".encode("iso8859-2"), "ISO-8859-2", "žluťoučký", []),
        ("日本".encode("iso2022-jp"), "iso-2022-jp", "日本", []),
        ("“é”".encode("cp1252"), "iso-8859-1", "“é”", []),
        ("é".encode(), "us-ascii", "é", ["wrong charset"]),
        ("é".encode("cp1252"), "utf-8", "é", ["wrong charset"]),
        ("é".encode("cp1252"), "", "é", ["wrong charset"]),
        (b"+AOk-", "utf-7", "é", []),
        (b"+2AA-", "utf-7", "+2AA-", ["wrong charset"]),
        (b"plain", "no-such-charset", "plain", ["unknown charset"]),
        ("é".encode(), "no-such-charset", "é", ["unknown charset"]),
    ],
)
def test_the_ladder_of_charsets(payload: bytes, charset: str, text: str, kinds: list[str]) -> None:
    defects: list[Defect] = []
    assert decode_text(payload, charset, "", defects) == text
    assert _kinds(defects) == kinds


@given(st.binary(max_size=100), st.sampled_from([*sorted(set(decode._CODECS)), "", "idna"]))
def test_any_bytes_are_text_in_any_charset(payload: bytes, charset: str) -> None:
    decode_text(payload, charset, "", []).encode("utf-8")  # no lone surrogate: it can be stored


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"no words", "no words"),
        (b"=?utf-8?Q?a_b=3F?=", "a b?"),
        (b"=?utf-8?B?w6k=?=  =?utf-8*fr?q?=C3=A9?= x", "éé x"),
        (b"x=?utf-8?Q?y?=z", "xyz"),
        (b"=?utf-8?X?y?=", "=?utf-8?X?y?="),
        (b"=?utf-8?Q?open", "=?utf-8?Q?open"),
        ("naïve".encode(), "naïve"),
        ("naïve".encode("cp1252"), "naïve"),
    ],
)
def test_encoded_words(value: bytes, text: str) -> None:
    defects: list[Defect] = []
    assert decode_words(value, "", defects) == text
    assert defects == []


@given(st.lists(st.sampled_from([b"=?", b"?=", b"utf-8", b"?Q?", b"?b?", b"idna", b"=C3", b" ", b"\0", b"\xe9"])))
def test_any_encoded_words_decode(pieces: list[bytes]) -> None:
    assert isinstance(decode_words(b"".join(pieces), "", []), str)


def test_file_names() -> None:
    defects: list[Defect] = []
    assert filename_of({"filename": "a.exe"}, {"name": "b.exe"}, "", defects) == "a.exe"
    assert filename_of({}, {"name": "=?utf-8?Q?=C3=A9.zip?="}, "", defects) == "é.zip"
    assert filename_of({"filename*": "utf-8''%c3%a9.zip"}, {}, "", defects) == "é.zip"
    assert filename_of({}, {"name": "x" * 1_000}, "", defects) == "x" * bounds.FILENAME_CHARS
    assert filename_of({}, {}, "", defects) == ""
    assert defects == []
