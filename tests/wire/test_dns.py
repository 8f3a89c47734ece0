"""Messages in and out, against dnspython as the oracle."""

import dns.edns
import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from dns.rdtypes.ANY.TXT import TXT
from hypothesis import given
from hypothesis import strategies as st

from whimbrel.wire.dns import (
    Edns,
    Query,
    Rcode,
    Record,
    Refusal,
    Type,
    add_cookie,
    parse_query,
    put_question,
    read_name,
    text_data,
    write_name,
    write_query,
    write_refusal,
    write_response,
)

HEADER = bytes(12)


def parsed(message: dns.message.Message) -> Query:
    query = parse_query(message.to_wire())
    assert isinstance(query, Query)
    return query


def test_a_query_is_read_as_asked() -> None:
    asked = dns.message.make_query("WwW.example.", "TXT", use_edns=0, payload=4096, want_dnssec=True)
    query = parsed(asked)
    assert (query.id, query.labels, query.type, query.class_) == (asked.id, (b"WwW", b"example"), Type.TXT, 1)
    assert query.edns == Edns(4096, 0, dnssec_ok=True)
    assert parsed(dns.message.make_query(".", "NS")).labels == ()


@given(st.lists(st.binary(min_size=1, max_size=63), max_size=8))
def test_names_are_read_as_dnspython_reads_them(labels: list[bytes]) -> None:
    wire = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    expected = None if len(wire) > 255 else (tuple(labels), 12 + len(wire))
    assert read_name(HEADER + wire, 12) == expected


@given(st.binary(max_size=300), st.integers(0, 300))
def test_any_bytes_give_a_name_or_none_and_dnspython_agrees(data: bytes, at: int) -> None:
    packet = HEADER + data
    found = read_name(packet, 12 + at)
    try:
        name, used = dns.name.from_wire(packet, 12 + at)
    except (dns.exception.DNSException, IndexError):
        assert found is None
        return
    # We refuse more: pointers into the header (which holds no name), and chains without end.
    if found is not None:
        assert found == (name.labels[:-1], 12 + at + used)


def test_compression_is_followed_backwards_only() -> None:
    packet = HEADER + b"\x07example\0" + b"\x03www\xc0\x0c" + b"\xc0\x15"
    assert read_name(packet, 21) == ((b"www", b"example"), 27)
    assert read_name(packet, 27) == ((b"www", b"example"), 29)
    for pointer in (b"\xc0\x0c", b"\xc0\x0e", b"\xc0\x00", b"\xc0", b"\x80", b"\x40a", b"\x05abc"):
        assert read_name(HEADER + pointer, 12) is None


def test_chains_of_pointers_are_bounded() -> None:
    chain = b"\0" + b"".join((0xC000 | at).to_bytes(2, "big") for at in (12, *range(13, 13 + 400, 2)))
    packet = HEADER + chain
    assert read_name(packet, 13 + 2 * 126) == ((), 13 + 2 * 127)
    assert read_name(packet, 13 + 2 * 127) is None


@pytest.mark.parametrize(
    ("packet", "rcode"),
    [
        ("1234 0000 0000 0000 0000 0000", Rcode.FORMERR),  # no question
        ("1234 0000 0002 0000 0000 0000 00 0001 0001 00 0001 0001", Rcode.FORMERR),  # two
        ("1234 0000 0001 0000 0000 0000 00 0001", Rcode.FORMERR),  # cut in the question
        ("1234 0000 0001 0000 0000 0000 00 0001 0001 ff", Rcode.FORMERR),  # something behind
        ("1234 0000 0001 0000 0000 0001 00 0001 0001", Rcode.FORMERR),  # a record missing
        ("1234 0000 0001 0000 0000 0001 00 0001 0001 0161 00 0029 0200 00000000 0000", Rcode.FORMERR),  # OPT of `a`
        ("1234 0000 0001 0000 0000 0002 00 0001 0001" + " 00 0029 0200 00000000 0000" * 2, Rcode.FORMERR),  # two OPT
        ("1234 0000 0001 0001 0000 0000 00 0001 0001 00 0029 0200 00000000 0000", Rcode.FORMERR),  # OPT as an answer
        ("1234 0000 0001 0000 0000 0001 00 0001 0001 00 0029 0200 00000000 0004", Rcode.FORMERR),  # data cut off
        ("1234 0000 0001 0000 0000 0000 00 0029 0001", Rcode.FORMERR),  # a question for OPT
        ("1234 2000 0001 0000 0000 0000 00 0001 0001", Rcode.NOTIMP),  # NOTIFY
        ("1234 2800", None),  # a scrap
        ("1234 8000 0001 0000 0000 0000 00 0001 0001", None),  # a response
        ("1234 a800 0001 0000 0000 0000", None),
    ],
)
def test_what_is_no_good_query(packet: str, rcode: Rcode | None) -> None:
    found = parse_query(bytes.fromhex(packet))
    if rcode is None:
        assert found is None
        return
    assert isinstance(found, Refusal)
    assert found.rcode == rcode
    response = write_refusal(found)
    assert (response[:2], response[2] & 0x80, response[3] & 0xF, len(response)) == (b"\x12\x34", 0x80, rcode, 12)


@given(st.binary(max_size=100))
def test_parsing_never_raises(data: bytes) -> None:
    parse_query(data)


@given(st.text(max_size=700))
def test_texts_come_back_whole(text: str) -> None:
    data = text_data(text)
    record = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.TXT, data, 0, len(data))
    assert isinstance(record, TXT)
    assert b"".join(record.strings).decode() == text


def test_a_response_that_is_too_long_for_udp_is_cut_to_the_question() -> None:
    long = (Record(None, Type.TXT, 60, text_data("x" * 600)),)
    for payload, tcp, whole in ((None, False, False), (100, False, False), (700, False, True), (None, True, True)):
        asked = dns.message.make_query("a.example.", "TXT")
        if payload is not None:
            asked.use_edns(0, payload=payload)
        raw = write_response(parsed(asked), Rcode.NOERROR, answers=long, authoritative=True, tcp=tcp)
        response = dns.message.from_wire(raw)
        assert asked.is_response(response)
        assert bool(response.answer) is whole
        assert bool(response.flags & dns.flags.TC) is not whole
        assert (response.edns == 0) is (payload is not None)
    asked = dns.message.make_query("a.example.", "TXT", use_edns=0, payload=65_535)
    longer = (Record(None, Type.TXT, 60, text_data("x" * 1300)),)
    raw = write_response(parsed(asked), Rcode.NOERROR, answers=longer, authoritative=True, tcp=False)
    assert len(raw) < 512  # never above our own 1232, whatever they take


def test_written_names() -> None:
    assert write_name("bl.example") == write_name("bl.example.") == b"\x02bl\x07example\0"
    assert write_name(".") == b"\0"
    for bad in ("a..b", "x" * 64, "bücher.example", ".".join(["x" * 63] * 4), ".a"):
        with pytest.raises(ValueError):
            write_name(bad)


# What guards do to answers


def asked(payload: int = 512, **options: bytes) -> Query:
    opts: list[dns.edns.Option] = [
        dns.edns.GenericOption(dns.edns.OptionType.COOKIE, each) for each in options.values()
    ]
    return parsed(dns.message.make_query("a.bl.example", "TXT", use_edns=0, payload=payload, options=opts))


def told(query: Query, text_bytes: int, *, tcp: bool = False) -> bytes:
    record = Record(None, Type.TXT, 60, b"x" * text_bytes)
    return write_response(query, Rcode.NOERROR, answers=(record,), authoritative=True, tcp=tcp)


@pytest.mark.parametrize(("spare", "is_cut"), [(28, False), (27, True)])
def test_a_cookie_goes_into_the_answer_where_there_is_room(spare: int, *, is_cut: bool) -> None:
    query = asked()
    response = add_cookie(query, told(query, 512 - spare - len(told(query, 0))), b"c" * 24, tcp=False)
    assert len(response) <= 512
    assert response.endswith(b"\0\x1c\0\x0a\0\x18" + b"c" * 24)
    assert bool(response[2] & 0x02) == is_cut
    assert response[7] == (0 if is_cut else 1)
    if is_cut:
        assert dns.message.from_wire(response).options[0].to_wire() == b"c" * 24
    over_tcp = add_cookie(query, told(query, 200, tcp=True), b"c" * 24, tcp=True)
    assert not over_tcp[2] & 0x02


def test_the_cookie_of_a_query_is_read() -> None:
    query = asked(first=b"12345678")
    assert query.edns is not None
    assert query.edns.cookie == b"12345678"
    again = parse_query(write_query(query, write_name("b.bl.example"), Type.A))
    assert isinstance(again, Query)
    assert (again.id, again.flags, again.labels, again.type) == (query.id, query.flags, (b"b", b"bl", b"example"), 1)
    assert again.edns == query.edns._replace(cookie=b"")


def test_an_answer_that_a_longer_question_makes_too_long_is_cut() -> None:
    query = asked()
    short = parse_query(write_query(query, write_name("bl.example"), Type.TXT))
    assert isinstance(short, Query)
    for spare, is_cut in ((2, False), (1, True)):
        response = told(short, 512 - spare - len(told(short, 0)))
        found = put_question(query, response, len(short.question), tcp=False)
        assert len(found) <= 512
        assert bool(found[2] & 0x02) == is_cut
        assert found[12:].startswith(query.question)
