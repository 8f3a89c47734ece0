"""The splitter: against the standard library over real and hard mail, and by example where the two part ways."""

import importlib.util
import os
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from whimbrel.messages import bounds
from whimbrel.messages.canonical import canonical
from whimbrel.messages.mime import Entity, parse_headers, parse_tree

if TYPE_CHECKING:
    from whimbrel.model.facts import Defect


def _oracle() -> ModuleType:
    spec = importlib.util.spec_from_file_location("messages_oracle", Path(__file__).with_name("oracle.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


differences: Callable[[bytes], list[str]] = _oracle().differences

BASE64 = "broken base64: the oracle gives the letters back, we decode as far as it goes"
SEMICOLON = "a semicolon is missing after the type: the oracle takes the rest for the type's name"
FOLDED = "the boundary is folded: the oracle keeps the line end in it and finds no part"
LONG = "a bound of ours cuts"
COLON = "a blank before the colon, or a cut header: the oracle ends the header block or drops the field"
ENCODED = "a base64 message/rfc822: the oracle parses the letters as a message, we leave the file closed"
CLOSED = "a multipart without parts: the oracle leaves the closing boundary out of its text"
ENDS = "boundaries that end in `--`, or an epilogue, are told apart otherwise"

SHIPPED_DIFFERENCES = {
    "00260.c75ce8b8d8bfc55723426979d260bf61": BASE64,
    "00307.7ed50c6d80c6e37c8cc1b132f4a19e4d": BASE64,
    "00313.fab744bfd5a128fca39b69df9811c086": BASE64,
    "00204.4cf15f97b8ea08bfafab7d5091b8fbe7": SEMICOLON,
}
MIME_DIFFERENCES = {
    **dict.fromkeys(("enclosed-broken-body", "twopart", "fname", "mime4"), BASE64),
    **dict.fromkeys(
        ("fetch-binary-mime-base64", "fetch-binary-mime-qp", "fetch-binary-mime", "fetch-body-mime"), FOLDED
    ),
    **dict.fromkeys(("fetch-bodystructure", "urlauth-binary", "012"), FOLDED),
    **dict.fromkeys(("multi-badnames", "multi-clen", "multi-digest", "multi-simple"), FOLDED),
    **dict.fromkeys(("enclosed-endless", "very-very-long-boundary", "long-header"), LONG),
    **dict.fromkeys(("phish_sender2", "phish_sender3", "phish_sender4", "obsolete", "example13", "019"), COLON),
    **dict.fromkeys(
        ("multi-2gifs-base64", "bad-newlines-multiple-parts-base64", "base64encoded-rfc822message"), ENCODED
    ),
    **dict.fromkeys(("base64encoded-rfc822message-nested",), ENCODED),
    **dict.fromkeys(("mailformed-headers", "multipartnopart", "multipartemptypart", "ending-boundaries"), CLOSED),
    **dict.fromkeys(("missing-boundary", "missing-inner-boundary", "missing-inner-start-boundary", "badmime3"), CLOSED),
    **dict.fromkeys(("015", "016"), CLOSED),
    "005": ENDS,
    "017": SEMICOLON,
    # Other parsers' names that stand for more than one file: each of the files differs for a reason above.
    "008": "phish_sender3's blank before the colon (spamassassin_tdata), a base64 message/rfc822 (stalwart)",
    "003": "the oracle does not know the encoding's name with a blank in it",
}


# The oracle takes its time: by default it reads a quarter and what is known to differ, in `make fuzz` everything.
SAMPLE_STEP = 1 if "WHIMBREL_FUZZ" in os.environ else 4


def _differing(paths: list[Path], expected: dict[str, str]) -> list[Path]:
    chosen = [
        path
        for number, path in enumerate(paths)
        if number % SAMPLE_STEP == 0 or expected.keys() & {path.name, path.stem}
    ]
    return [path for path in chosen if differences(path.read_bytes())]


def test_the_oracle_agrees_over_the_shipped_mail(shipped_mail: Path) -> None:
    paths = [path for path in sorted(shipped_mail.rglob("*")) if path.is_file() and path.name != "cmds"]
    assert len(paths) == 6_294
    assert {path.name for path in _differing(paths, SHIPPED_DIFFERENCES)} == SHIPPED_DIFFERENCES.keys()


def test_the_oracle_agrees_over_other_parsers_test_sets(shared_data: Callable[[str], Path]) -> None:
    paths = [path for path in sorted(shared_data("mime").rglob("*")) if path.is_file()]
    assert len(paths) == 1_640
    differing = _differing(paths, MIME_DIFFERENCES)
    assert {path.stem for path in differing} == MIME_DIFFERENCES.keys()
    assert len(differing) == 56


def _read(raw: bytes) -> tuple[list[Entity], list[str]]:
    defects: list[Defect] = []
    entities = parse_tree(canonical(raw).raw, defects)
    return entities, [defect.kind for defect in defects]


def _body(raw: bytes, entity: Entity) -> bytes:
    return raw[entity.start : entity.end]


def test_headers_keep_order_case_and_blanks() -> None:
    block = b"FROM:  two blanks\nto:x \nX-Folded: a\n\tb\n  c"
    headers, fields, used = parse_headers(block, "", [])
    assert [(header.name, header.value) for header in headers] == [
        ("FROM", b"  two blanks"),
        ("to", b"x "),
        ("X-Folded", b" a\tb  c"),
    ]
    assert fields["x-folded"] == b" a\tb  c"
    assert used == len(block)


def test_a_line_that_is_no_field_ends_the_headers() -> None:
    entities, kinds = _read(b"From: x\nnot a field\nSubject: text\n\nmore")
    assert [header.name for header in entities[0].headers] == ["From"]
    assert entities[0].start == len(b"From: x\n")
    assert kinds == ["no blank line"]


def test_odd_lines_among_headers_are_defects() -> None:
    entities, kinds = _read(b" leading\nFrom : x\n: empty\n>From y\nTo: z\n\n")
    assert [header.name for header in entities[0].headers] == ["From", "To"]
    assert kinds == ["first line continues", "blank before colon", "empty header name", "misplaced envelope"]


def test_headers_are_bounded() -> None:
    raw = b"".join(b"X-%d: y\n" % number for number in range(bounds.HEADERS + 1)) + b"\nbody"
    entities, kinds = _read(raw)
    assert len(entities[0].headers) == bounds.HEADERS
    assert raw[entities[0].start :] == b"body"
    assert kinds == ["too many headers"]
    entities, kinds = _read(b"X: " + b"y" * (bounds.HEADER_BYTES + 1) + b"\n\n")
    assert len(entities[0].headers[0].value) == bounds.HEADER_BYTES
    assert kinds == ["long header"]


def test_an_outer_boundary_closes_inner_parts() -> None:
    raw = (
        b"Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: message/rfc822\n\n"
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--a\n\ntwo\n--b\n--a--\n"
    )
    entities, kinds = _read(raw)
    assert [entity.parent for entity in entities] == [-1, 0, 1, 2, 0]
    assert [_body(raw, entity) for entity in entities[3:]] == [b"one", b"two\n--b"]
    assert kinds == ["unclosed multipart"]


def test_a_boundary_ends_the_headers_of_its_part() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=a\n\n--a\nX-Part: 1\n--a\nX-Part: 2\n\ntext\n--a--\n"
    entities, _kinds = _read(raw)
    assert [entity.fields.get("x-part") for entity in entities] == [None, b" 1", b" 2"]
    assert [_body(raw, entity) for entity in entities[1:]] == [b"", b"text"]


def test_the_same_boundary_inside_is_the_outer_one() -> None:
    named = b"Content-Type: multipart/mixed; boundary=a\n\n--a\n"
    raw = named + named + b"\nx\n--a--\n"
    entities, kinds = _read(raw)
    assert [entity.parent for entity in entities] == [-1, 0, 0]
    assert kinds == ["repeated boundary"]


def test_boundaries_that_end_in_dashes() -> None:
    raw = b'Content-Type: multipart/mixed; boundary="a--"\n\n--a--\n\none\n--a--\n\ntwo\n--a----\nafter'
    entities, kinds = _read(raw)
    assert [_body(raw, entity) for entity in entities[1:]] == [b"one", b"two"]
    assert kinds == []


def test_depth_is_bounded() -> None:
    raw = b"".join(b"Content-Type: multipart/mixed; boundary=%d\n\n--%d\n" % (level, level) for level in range(100))
    entities, kinds = _read(raw)
    assert max(entity.depth for entity in entities) == bounds.DEPTH
    assert "too deep" in kinds
    entities, kinds = _read(b"Content-Type: message/rfc822\n\n" * 100)
    assert max(entity.depth for entity in entities) == bounds.DEPTH
    assert kinds == ["too deep"]


def test_parts_are_bounded() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=a\n\n" + b"--a\n\nx\n" * (bounds.PARTS + 10) + b"--a--\n"
    entities, kinds = _read(raw)
    assert len(entities) == bounds.PARTS
    assert kinds == ["too many parts"]


PIECES = [b"--a", b"--a--", b"--b", b"\n", b"\n\n", b"Content-Type: multipart/mixed; boundary=a\n", b"x: y", b" ", b":"]
PIECES += [b"Content-Type: message/rfc822\n\n", b"Content-Type: multipart/digest; boundary=b\n\n", b"\xff", b"From x\n"]


@given(st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join))
def test_the_tree_is_sound_for_any_bytes(raw: bytes) -> None:
    message = canonical(raw).raw
    entities = parse_tree(message, [])
    assert entities[0].parent == -1
    for index, entity in enumerate(entities):
        assert 0 <= entity.start <= entity.end <= len(message)
        if index:
            parent = entities[entity.parent]
            assert 0 <= entity.parent < index
            assert entity.depth == parent.depth + 1 <= bounds.DEPTH
            assert parent.has_children
            assert parent.start <= entity.start
            assert entity.end <= parent.end
    leaves = [entity for entity in entities if not entity.has_children]
    for one, other in pairwise(leaves):
        assert one.end <= other.start
