"""Nothing a client says, and nothing its owner puts into DNS, makes the reader report an address of their choice."""
# ruff: noqa: E501 - a line of mail is one line here

import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whimbrel.model.reading import FETCHMAIL, LOCAL
from whimbrel.wire.received import LINE_CHARACTERS, NAME_CHARACTERS, parse_received

REAL = "192.0.2.77"
FAKE = "198.51.100.66"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
DATE = "; Thu, 22 Aug 2002 12:34:53 +0100"

# What a hostile client may say: pieces of every server's own writing, with an address of its choice.
_PIECES = st.sampled_from(
    [
        FAKE, f"[{FAKE}]", f"({FAKE})", f"([{FAKE}])", f"(x [{FAKE}])", f"(HELO {FAKE})", f"(EHLO x) ({FAKE})", f"helo=[{FAKE}]",
        f"([{FAKE}] helo=x)", f"(really [{FAKE}])", "by evil.example.com", "from", "with ESMTP (Exim 4.96) id 1", "(Postfix)",
        "(8.11.6/8.11.6)", "with local", "(fetchmail-5.9.0)", ";", "id 7", DATE, "(may be forged)", "x", "[", "]", "(", ")", " ", "@",
        "\r\n ", "\n\t", "[IPv6:2001:db8:6::6]", "2001:db8:6::6", "IDENT:a@b", "port=1", ",", '"', "\x00", "é", "unknown", "localhost", "a@localhost", "(a@localhost)",
        "mail pickup service", "(localhost [[UNIX: localhost]])",
    ]
)  # fmt: skip
_SEPARATORS = st.sampled_from(["", " "])
HOSTILE = st.lists(st.tuples(_PIECES, _SEPARATORS), min_size=1, max_size=8).map(
    lambda pieces: "".join(piece + blank for piece, blank in pieces)
)
# A resolver gives a server no blanks, parentheses or brackets in a name (RFC 952 as glibc and BIND enforce it), but digits.
RDNS = st.sampled_from(["h.example.net", FAKE, f"{FAKE}.example.net", "helo.example.net", "unknown", "by.example.com"])


def replaced(said: str, kept: str) -> str:
    """Write a HELO as servers with an allow-list of characters do."""
    return re.sub(rf"[^A-Za-z0-9{kept}]", "?", said)


def peers(line: str) -> str | None:
    """Return the peer read; a connection is never taken for a local hand-over, for then a reader would walk on below it."""
    hop = parse_received(line.encode("utf-8"))
    assert hop.form not in {LOCAL, FETCHMAIL}
    return hop.address


@given(HOSTILE, RDNS)
def test_postfix(said: str, name: str) -> None:
    # smtpd replaces blanks and <>()\";@ and what is not printable
    neutered = re.sub(r"[\s<>()\\\";@]|[^\x20-\x7e]", "?", said)
    assert peers(f"from {neutered} ({name} [{REAL}]) by mx.example.org (Postfix) with SMTP id 1A{DATE}") == REAL


@given(HOSTILE, HOSTILE, RDNS, st.sampled_from(["", " (may be forged)"]))
def test_sendmail(said: str, ident: str, name: str, forged: str) -> None:
    # HELO: letters, digits and []._-#: ; ident: printable, without <>()",;
    neutered, who = replaced(said, r"\[\]._#:-"), re.sub(r"[<>()\",;]|[^\x20-\x7e]", "", ident)
    line = f"from {neutered} ({who}@{name} [{REAL}]{forged}) by mx.example.org (8.11.6/8.11.6) with SMTP id g7M{DATE}"
    assert peers(line) in {REAL, None}
    plain = f"from {neutered} ({name} [{REAL}]{forged}) by mx.example.org (8.11.6/8.11.6) with SMTP id g7M{DATE}"
    assert peers(plain) == REAL


@given(HOSTILE, RDNS)
def test_exim_even_where_it_takes_any_helo(said: str, name: str) -> None:
    behind = f"by mx.example.org with esmtp (Exim 4.96) id 1q{DATE}"
    assert peers(f"from {name} ([{REAL}] helo={said}) {behind}") in {REAL, None}
    assert peers(f"from [{REAL}] (helo={said}) {behind}") in {REAL, None}
    assert peers(f"from [{REAL}] (port=99 helo={said}) {behind}") in {REAL, None}
    checked = replaced(said, r".+_-")
    assert peers(f"from {name} ([{REAL}] helo={checked}) {behind}") == REAL
    assert peers(f"from [{REAL}] (helo={checked}) {behind}") == REAL


@given(HOSTILE, RDNS)
def test_exim_envelope_sender(said: str, name: str) -> None:
    line = f"from {name} ([{REAL}]) by mx.example.org with esmtp (Exim 4.96) (envelope-from <{said}>) id 1q{DATE}"
    assert peers(line) in {REAL, None}


@given(HOSTILE, RDNS)
def test_qmail(said: str, name: str) -> None:
    safe = replaced(said, r".@%+/=:\[\]-")
    assert peers(f"from {name} (HELO {safe}) ({REAL}) by mx.example.org with SMTP{DATE}") == REAL
    assert peers(f"from {name} (HELO {safe}) ({safe.replace('[', '?')}@{REAL}) by mx.example.org with SMTP{DATE}") in {
        REAL,
        None,
    }


@given(HOSTILE)
def test_exchange_and_others_that_write_helo_first(said: str) -> None:
    line = f"from {said} ({REAL}) by mx.example.org (10.0.0.1) with Microsoft SMTP Server id 15.20{DATE}"
    assert peers(line) in {REAL, None}
    assert peers(f"from {said} ([{REAL}]) by mx.example.org with Microsoft SMTPSVC(5.0.2195.2966){DATE}") in {
        REAL,
        None,
    }
    assert peers(f"from {said} (h.example.net. [{REAL}]) by mx.google.com with ESMTPS id ab1si{DATE}") in {REAL, None}
    assert peers(f"from {said} (h.example.net [{REAL}]) by rly.mx.aol.com (v86.11) with ESMTP id X{DATE}") in {
        REAL,
        None,
    }
    assert peers(f"from {said} [{REAL}] by mx.example.org with SMTP (MDaemon.PRO.v6.0.7.R){DATE}") in {REAL, None}


@given(HOSTILE)
def test_yahoo_and_communigate(said: str) -> None:
    assert peers(f"from {REAL} (EHLO {said}) by mta1.mail.yahoo.com with SMTP{DATE}") in {REAL, None}
    assert peers(f"from {REAL} (EHLO {said}) ({REAL}) by mta1.mail.yahoo.com with SMTP{DATE}") in {REAL, None}
    assert peers(f"from [{REAL}] (HELO {said}) by mx.example.org (CommuniGate Pro SMTP 4.0) with ESMTP id 1{DATE}") in {
        REAL,
        None,
    }


@given(st.binary(max_size=2_000))
def test_any_bytes_are_read_and_digested_as_one_unfolded_line(value: bytes) -> None:
    hop = parse_received(value)
    assert hop.trace_sha256 == sha256(b" ".join(value.split())).digest()
    assert all(name is None or len(name) <= NAME_CHARACTERS for name in (hop.helo, hop.rdns, hop.by))


@given(st.lists(_PIECES, max_size=40))
@settings(max_examples=300)
def test_any_mixture_of_shapes_is_read(pieces: list[str]) -> None:
    parse_received(b"from " + " ".join(pieces).encode())


@given(st.lists(st.sampled_from([" ", "\n ", "\r\n\t", "  "]), min_size=20, max_size=20))
def test_folding_changes_nothing(folds: list[str]) -> None:
    words = f"from a.example.net (b.example.net [{REAL}]) by mx.example.org (Postfix) with SMTP id 1A{DATE}".split()
    folded = "".join(word + fold for word, fold in zip(words, folds, strict=False))
    assert parse_received(folded.encode()) == parse_received(" ".join(words).encode())


# Shapes that make a careless expression go back and forth: the work is bounded because only so much is read.
@pytest.mark.parametrize(
    "unit", ["(", "()", "((a)", " a", "[1", " ([192.0.2.1] ", "; ", "1:", "by ", "from ", ") by ", "@", "((("]
)
def test_a_hostile_line_is_read_no_further_than_the_bound(unit: str) -> None:
    head = "from " + unit * (LINE_CHARACTERS // len(unit) + 1)
    short, long = (head[:LINE_CHARACTERS] + unit * times for times in (0, 50_000))
    first, second = parse_received(short.encode()), parse_received(long.encode())
    assert (first.address, first.form, first.helo, first.at) == (second.address, second.form, second.helo, second.at)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Thu, 22 Aug 2002 12:34:53 +0100", datetime(2002, 8, 22, 11, 34, 53, tzinfo=UTC)),
        ("Thu, 22 Aug 2002 12:34:53 +0100 (IST)", datetime(2002, 8, 22, 11, 34, 53, tzinfo=UTC)),
        ("22 Aug 2002 12:34 -0000", datetime(2002, 8, 22, 12, 34, tzinfo=UTC)),
        ("Thu, 22 Aug 02 04:34:53 PDT", datetime(2002, 8, 22, 11, 34, 53, tzinfo=UTC)),
        ("Thu, 22 Aug 99 04:34:53 GMT", datetime(1999, 8, 22, 4, 34, 53, tzinfo=UTC)),
        ("Thu, 22 Aug 102 04:34:53 UT", datetime(2002, 8, 22, 4, 34, 53, tzinfo=UTC)),
        ("Thu, 22 Aug 2002 23:59:60 +0000", datetime(2002, 8, 22, 23, 59, 59, tzinfo=UTC)),
        ("Sat, 07 Oct 2023 00:38:18.254 +0000 (UTC)", datetime(2023, 10, 7, 0, 38, 18, tzinfo=UTC)),
        ("Thu, 22 Aug 2002 12:34:53 Z", datetime(2002, 8, 22, 12, 34, 53, tzinfo=UTC)),
        ("Thu, 22 Aug 2002 12:34:53 +0199", None),
        ("Thu, 31 Feb 2002 12:34:53 +0000", None),
        ("Thu, 22 Foo 2002 12:34:53 +0000", None),
        ("Thu, 22 Aug 2002 25:34:53 +0000", None),
        ("Thu, 22 Aug 0102 12:34:53 +0000", None),
        ("Fri, 31 Dec 9999 23:59:59 -1200", None),
        ("22/08/2002 10:25:57", None),
        ("", None),
    ],
)
def test_dates(text: str, expected: datetime | None) -> None:
    assert parse_received(f"from a (b [{REAL}]) by c (Postfix) with SMTP id 1; {text}".encode()).at == expected


@given(st.datetimes(datetime(1980, 1, 2), datetime(9990, 1, 1)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001 - made aware below
def test_a_date_as_written_is_the_instant_meant(local: datetime, offset_minutes: int) -> None:
    local = local.replace(microsecond=0)
    sign, minutes = ("-" if offset_minutes < 0 else "+"), abs(offset_minutes)
    month = _MONTHS[local.month - 1]
    text = f"{local.day} {month} {local.year} {local:%H:%M:%S} {sign}{minutes // 60:02}{minutes % 60:02}"
    at = parse_received(f"by mx.example.org (Postfix, from userid 0) id 1; {text}".encode()).at
    assert at == local.replace(tzinfo=UTC) - timedelta(minutes=offset_minutes)


def test_recipient_and_confirmation() -> None:
    hop = parse_received(
        f"from a (b.example.net [{REAL}]) by c (8.11.6/8.11.6) with SMTP id 1 for <u@Example.ORG>{DATE}".encode()
    )
    assert (hop.for_domain, hop.rdns_confirmed, hop.protocol) == ("example.org", True, "SMTP")
    hop = parse_received(
        f"from a (b.example.net [{REAL}] (may be forged)) by c (8.11.6/8.11.6) with SMTP id 1{DATE}".encode()
    )
    assert (hop.rdns, hop.rdns_confirmed) == ("b.example.net", False)
    assert not parse_received(f"from b.example.net (HELO a) ({REAL}) by c with SMTP{DATE}".encode()).rdns_confirmed
