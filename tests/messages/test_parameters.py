import pytest
from hypothesis import given
from hypothesis import strategies as st

from whimbrel.messages import bounds
from whimbrel.messages.parameters import parameter_bytes, parse_content_type, parse_disposition, parse_parameters


@pytest.mark.parametrize(
    ("value", "type_", "parameters", "valid"),
    [
        (b" Text/HTML; Charset=UTF-8", "text/html", {"charset": "UTF-8"}, True),
        (b"text/plain", "text/plain", {}, True),
        (b"text/plain (a comment); charset=x", "text/plain", {"charset": "x"}, True),
        (b'multipart/mixed; boundary="a;b=\\"c\\""', "multipart/mixed", {"boundary": 'a;b="c"'}, True),
        (b"multipart/mixed;boundary=a b ;x=y", "multipart/mixed", {"boundary": "a b", "x": "y"}, True),
        (b"text/html charset=koi8-r", "text/html", {"charset": "koi8-r"}, False),
        (b"text", "text/plain", {}, False),
        (b"", "text/plain", {}, False),
        (b"a/b/c", "text/plain", {}, False),
        (b'text/plain; charset="unclosed', "text/plain", {"charset": '"unclosed'}, True),
        (b"text/plain;;; ;charset=x;charset=y", "text/plain", {"charset": "x"}, True),
    ],
)
def test_content_type(value: bytes, type_: str, parameters: dict[str, str], valid: bool) -> None:  # noqa: FBT001 - a row of a table
    assert parse_content_type(value) == (type_, parameters, valid)


def test_disposition() -> None:
    assert parse_disposition(b' ATTACHMENT; filename="x.exe"') == ("attachment", {"filename": "x.exe"})
    assert parse_disposition(b"") == ("", {})


def test_continuations_are_joined_and_unescaped() -> None:
    parameters = parse_parameters("; name*0*=utf-8'en'%e2%82; name*1*=%ac; name*2=\".exe\"; name*4=lost")
    assert parameter_bytes(parameters, "name") == ("€.exe".encode(), "utf-8")
    assert parameter_bytes({"name*": "iso-8859-1''%E9"}, "name") == (b"\xe9", "iso-8859-1")
    assert parameter_bytes({"name*": "no%20quotes"}, "name") == (b"no quotes", "")
    assert parameter_bytes({}, "name") == (b"", "")


def test_parameters_are_bounded() -> None:
    assert len(parse_parameters("".join(f";p{number}=x" for number in range(1_000)))) == bounds.PARAMETERS


@given(st.text(alphabet=';="\\ \tab*0', max_size=200))
def test_any_text_parses(text: str) -> None:
    for name in parse_parameters(text):
        assert name
        assert not set(name) & set(';="')
