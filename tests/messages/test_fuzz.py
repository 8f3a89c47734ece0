"""Mutated real messages: whatever is done to a message, reading it gives sound facts and raises nothing.

`WHIMBREL_FUZZ` says how many mutations are read (10,000 by default; `make fuzz` reads 1,000,000) and
`WHIMBREL_FUZZ_SEED` where the count begins.  Each mutation is made from its number alone, which a failure names, so
that it can be made again.
Seeded mutation and not hypothesis, because a hypothesis example costs ten times what reading a message does.
"""

import os
import random
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whimbrel.messages import KINDS, bounds, read_message
from whimbrel.messages.addresses import recipients
from whimbrel.model.facts import Facts

MUTATIONS = int(os.environ.get("WHIMBREL_FUZZ", "10000"))
FIRST = int(os.environ.get("WHIMBREL_FUZZ_SEED", "0"))
SMALL_BYTES = 4_096
MESSAGES = 400

TOKENS = [
    *(
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        b"--",
        b":",
        b" ",
        b"\t",
        b"=",
        b";",
        b'"',
        b"\\",
    ),
    *(b"=?utf-8?B?", b"=?a\0b?Q?x?=", b"=?idna?Q?xn--?=", b"?=", b";a=", b'; boundary="', b"; name*0*=utf-7''+2AA-"),
    *(b"\nContent-Type: multipart/mixed; boundary=x\n\n--x\n", b"\nContent-Type: message/rfc822\n\n", b"\n--x--\n"),
    *(b"\nContent-Transfer-Encoding: base64\n", b"\nContent-Transfer-Encoding: x-uuencode\n", b"\nbegin 644 a\n"),
    *(
        b"; charset=utf-7",
        b"; charset=utf-16",
        b"; charset=iso-2022-jp",
        b"; charset=hz-gb-2312",
        b"+2AA-",
        b"\x1b$B",
        b"~{",
    ),
    *(b"<a href=", b"<!--", b"</", b"<style>", b"&#xD800;", b"&#99999999999;", b"http://", b"http://[::", b"://@:0/"),
    *(b"PK\x03\x04", b"PK\x05\x06", b"\nFrom ", b"\n>From "),
]


def _mutated(number: int, messages: list[bytes]) -> bytes:
    rng = random.Random(number)
    raw = rng.choice(messages)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(raw) + 1)
        end = min(len(raw), at + rng.randint(1, 64))
        match rng.randrange(6):
            case 0:
                raw = raw[:at] + raw[end:]
            case 1:
                raw = raw[:at] + rng.choice(TOKENS) + raw[at:]
            case 2:
                raw = raw[:at] + rng.choice(TOKENS) + raw[end:]
            case 3:
                raw = raw[:end] + raw[at:]
            case 4:
                raw = raw[:at] + rng.randbytes(end - at) + raw[end:]
            case _:
                other = rng.choice(messages)
                raw = raw[:at] + other[rng.randrange(len(other)) :][:SMALL_BYTES]
    return raw


def _check(facts: Facts, raw: bytes) -> None:
    assert facts.size_bytes == len(raw)
    assert len(facts.content_sha256) == 32
    assert all(defect.kind in KINDS for defect in facts.defects)
    assert len(facts.headers) <= bounds.HEADERS
    assert 1 <= len(facts.parts) <= bounds.PARTS
    assert all(part.parent < index and part.size_bytes >= 0 for index, part in enumerate(facts.parts))
    assert len(facts.text) <= bounds.TEXT_CHARS
    assert len(facts.subject) <= bounds.SUBJECT_CHARS
    assert len(facts.urls) <= bounds.URLS
    msgspec.msgpack.encode(facts)  # all text can be written as UTF-8


@pytest.fixture(scope="module")
def small_messages(shipped_mail: Path) -> list[bytes]:
    """Small real messages, those with parts and HTML first."""
    paths = [path for path in sorted(shipped_mail.rglob("*")) if path.stat().st_size < SMALL_BYTES and path.is_file()]
    messages = [path.read_bytes() for path in paths if path.name != "cmds"]
    messages.sort(key=lambda raw: (b"boundary=" not in raw, b"<html" not in raw.lower()))
    assert len(messages) > MESSAGES
    return messages[:MESSAGES]


def test_mutated_messages_give_sound_facts(small_messages: list[bytes]) -> None:
    for number in range(FIRST, FIRST + MUTATIONS):
        raw = _mutated(number, small_messages)
        try:
            facts = read_message(raw)
            recipients(facts)
            _check(facts, raw)
        except Exception as error:
            error.add_note(f"mutation {number}")
            raise


@given(st.binary(max_size=1_000))
def test_any_bytes_give_sound_facts(raw: bytes) -> None:
    _check(read_message(raw), raw)


@given(st.lists(st.sampled_from(TOKENS), max_size=30).map(b"".join))
def test_nasty_tokens_give_sound_facts(raw: bytes) -> None:
    facts = read_message(raw)
    _check(facts, raw)
    assert read_message(raw) == facts
