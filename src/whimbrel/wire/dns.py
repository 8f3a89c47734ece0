"""DNS messages, bytes to values and back, as far as a blocklist's name server needs them.

A query comes in as bytes from anybody, so reading it never raises, looks at each byte a bounded number of times, and
gives either a `Query`, a `Refusal` (what to answer to something that is a query but not a good one), or None for what
must not be answered at all: scraps, and responses (two servers that answer each other's answers never stop).

Deliberately absent: updates, what signatures mean, and names of other record types than those sent.
"""

import struct
from enum import IntEnum
from typing import NamedTuple

HEADER = struct.Struct("!HHHHHH")  # RFC 1035, section 4.1.1
_QUESTION_TAIL = struct.Struct("!HH")  # type, class
_RECORD_TAIL = struct.Struct("!HHIH")  # type, class, lifetime, length of data

MAX_NAME_BYTES = 255  # RFC 1035, section 2.3.4
MAX_LABEL_BYTES = 63
# A pointer must point backwards, so a chain ends; a name of 255 bytes has at most 127 labels, and no honest writer
# needs a pointer for each.
MAX_POINTERS = 127
# A query carries an OPT, perhaps a TSIG, with IXFR an SOA; whoever sends more than this wants our time.
MAX_RECORDS = 16

UDP_BYTES = 512  # RFC 1035, section 2.3.4: what everybody takes
EDNS_UDP_BYTES = 1232  # DNS flag day 2020: IPv6's least MTU 1280 less 48 bytes of headers, so nothing is fragmented
TCP_BYTES = 65_535

QR, AA, TC, RD = 0x8000, 0x0400, 0x0200, 0x0100
_OPCODE_SHIFT, _OPCODE_MASK = 11, 0x7800
COOKIE_OPTION = 10  # RFC 7873, section 4: 8 bytes of the client, then none or 8 to 32 of the server
_OPTION_HEAD = struct.Struct("!HH")  # RFC 6891, section 6.1.2: code, length
_OPT_BYTES = 11  # of an OPT record without options: it ends every answer to a query with EDNS
_DO = 0x8000  # RFC 3225: copied into the answer
_POINTER = 0xC0
_POINT_AT_QUESTION = 0xC000 | HEADER.size  # the question's name always stands right behind the header


class Type(IntEnum):
    """Record types (RFC 1035, section 3.2.2; RFC 6891; RFC 8945; RFC 5936; RFC 1995)."""

    A = 1
    NS = 2
    SOA = 6
    TXT = 16
    OPT = 41
    TSIG = 250
    IXFR = 251
    AXFR = 252
    ANY = 255


CLASS_IN = 1


class Rcode(IntEnum):
    """Response codes (RFC 1035, section 4.1.1; NOTAUTH: RFC 2136; BADVERS: RFC 6891; BADCOOKIE: RFC 7873)."""

    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4
    REFUSED = 5
    NOTAUTH = 9
    BADVERS = 16
    BADCOOKIE = 23


class Edns(NamedTuple):
    """What the asker's OPT record says: the largest UDP answer he takes, his EDNS version, the DO bit, his cookie."""

    udp_bytes: int
    version: int
    dnssec_ok: bool
    cookie: bytes = b""  # 8 bytes, or 16 to 40


class Found(NamedTuple):
    """A record of a packet: the section it stands in (0: answers), where it begins, and where its data lies."""

    section: int
    at: int
    owner: tuple[bytes, ...]
    type: int
    class_: int
    lifetime_seconds: int
    data: slice


class Query(NamedTuple):
    """A question: `labels` as asked (case kept, leftmost first), and `question` the same in wire form with its tail."""

    id: int
    flags: int
    labels: tuple[bytes, ...]
    type: int
    class_: int
    question: bytes
    edns: Edns | None


class Refusal(NamedTuple):
    """Something that asks, but not in a way that can be answered; `flags` and `id` are the asker's."""

    id: int
    flags: int
    rcode: Rcode


class Record(NamedTuple):
    """A record to send: `owner` in wire form, or None for the question's own name."""

    owner: bytes | None
    type: Type
    lifetime_seconds: int
    data: bytes


def parse_query(packet: bytes) -> Query | Refusal | None:  # noqa: PLR0911 - one return for each way to be wrong
    """Return what a packet asks (RFC 1035, section 4); None: it gets no answer."""
    if len(packet) < HEADER.size:
        return None
    id_, flags, questions, *records = HEADER.unpack_from(packet)
    if flags & QR:
        return None
    if flags & _OPCODE_MASK:
        return Refusal(id_, flags, Rcode.NOTIMP)
    formerr = Refusal(id_, flags, Rcode.FORMERR)
    if questions != 1 or sum(records) > MAX_RECORDS:
        return formerr
    named = read_name(packet, HEADER.size)
    if named is None or named[1] + _QUESTION_TAIL.size > len(packet):
        return formerr
    labels, at = named
    type_, class_ = _QUESTION_TAIL.unpack_from(packet, at)
    at += _QUESTION_TAIL.size
    found = _read_edns(packet, at, records)
    if found is None or type_ == Type.OPT:
        return formerr
    return Query(id_, flags, labels, type_, class_, packet[HEADER.size : at], found[0])


def records_of(packet: bytes) -> list[Found] | None:
    """Return the records behind the one question of a packet, or None where they are not whole, or too many."""
    _, _, _, *counts = HEADER.unpack_from(packet)
    question = read_name(packet, HEADER.size)
    if question is None or sum(counts) > MAX_RECORDS:
        return None
    at = question[1] + _QUESTION_TAIL.size
    found: list[Found] = []
    for section in (section for section, count in enumerate(counts) for _ in range(count)):
        owner = read_name(packet, at)
        if owner is None or owner[1] + _RECORD_TAIL.size > len(packet):
            return None
        type_, class_, lifetime, length = _RECORD_TAIL.unpack_from(packet, owner[1])
        data = slice(owner[1] + _RECORD_TAIL.size, owner[1] + _RECORD_TAIL.size + length)
        if data.stop > len(packet):
            return None
        found.append(Found(section, at, owner[0], type_, class_, lifetime, data))
        at = data.stop
    return found if at == len(packet) else None


def read_name(packet: bytes, at: int) -> tuple[tuple[bytes, ...], int] | None:
    """Return the labels of the name at an offset and the offset behind it, or None where there is no whole name.

    Follows compression (RFC 1035, section 4.1.4), backwards only and never into the header.
    """
    labels: list[bytes] = []
    name_bytes, pointers, behind, limit = 1, 0, None, at
    while at < len(packet):
        length = packet[at]
        if length == 0:
            return tuple(labels), at + 1 if behind is None else behind
        if length >= _POINTER:
            target = int.from_bytes(packet[at : at + 2], "big") & 0x3FFF
            pointers += 1
            if at + 2 > len(packet) or not HEADER.size <= target < limit or pointers > MAX_POINTERS:
                return None
            behind = at + 2 if behind is None else behind
            at = limit = target
            continue
        name_bytes += 1 + length
        if length > MAX_LABEL_BYTES or name_bytes > MAX_NAME_BYTES or at + 1 + length > len(packet):
            return None
        labels.append(packet[at + 1 : at + 1 + length])
        at += 1 + length
    return None


def write_name(name: str) -> bytes:
    """Return a dotted name in wire form.  Raises ValueError where it is none (RFC 1035, section 2.3.4)."""
    labels = [label.encode("ascii") for label in name.rstrip(".").split(".")] if name.rstrip(".") else []
    wire = b"".join(bytes([len(label)]) + label for label in labels if len(label) <= MAX_LABEL_BYTES) + b"\0"
    if len(wire) > MAX_NAME_BYTES or any(not 0 < len(label) <= MAX_LABEL_BYTES for label in labels):
        raise ValueError(f"{name!r} is no domain name: labels are 1 to 63 letters, the whole at most 253")
    return wire


def text_data(text: str) -> bytes:
    """Return a text as the data of a TXT record: character-strings of at most 255 bytes (RFC 1035, section 3.3.14)."""
    raw = text.encode()
    pieces = [raw[at : at + 255] for at in range(0, len(raw), 255)] or [b""]
    return b"".join(bytes([len(piece)]) + piece for piece in pieces)


def write_refusal(refusal: Refusal) -> bytes:
    """Return the answer to what could not be read: a header alone."""
    return HEADER.pack(refusal.id, QR | refusal.flags & (_OPCODE_MASK | RD) | refusal.rcode, 0, 0, 0, 0)


def write_response(
    query: Query,
    rcode: Rcode,
    *,
    answers: tuple[Record, ...] = (),
    authority: tuple[Record, ...] = (),
    authoritative: bool,
    tcp: bool,
) -> bytes:
    """Return a response; over UDP one that is too long goes out empty with TC set (RFC 2181, section 9)."""
    opt = b"" if query.edns is None else write_opt(query.edns, rcode)
    body = b"".join(_write_record(record) for record in (*answers, *authority))
    flags = QR | (AA if authoritative else 0) | query.flags & RD | rcode & 0xF
    counts = (len(answers), len(authority))
    if HEADER.size + len(query.question) + len(body) + len(opt) > most_bytes(query.edns, tcp=tcp):
        body, counts, flags = b"", (0, 0), flags | TC
    return HEADER.pack(query.id, flags, 1, *counts, 1 if opt else 0) + query.question + body + opt


def add_cookie(query: Query, response: bytes, cookie: bytes, *, tcp: bool) -> bytes:
    """Return the response to a query with EDNS with a cookie in its OPT record, emptied where it gets too long."""
    option = _OPTION_HEAD.pack(COOKIE_OPTION, len(cookie)) + cookie
    if len(response) + len(option) > most_bytes(query.edns, tcp=tcp):
        response = truncate(query, response)
    return response[:-2] + len(option).to_bytes(2, "big") + option


def truncate(query: Query, response: bytes) -> bytes:
    """Return a response without its records and with TC set: whoever wants them asks over TCP."""
    flags = int.from_bytes(response[2:4], "big") | TC
    opt = b"" if query.edns is None else response[-_OPT_BYTES:]
    return HEADER.pack(query.id, flags, 1, 0, 0, 1 if opt else 0) + query.question + opt


def write_query(query: Query, name: bytes, type_: int) -> bytes:
    """Return a query like another, for another name (in wire form) and type, without its cookie."""
    opt = b""
    if query.edns is not None:
        flags = query.edns.version << 16 | (_DO if query.edns.dnssec_ok else 0)
        opt = b"\0" + _RECORD_TAIL.pack(Type.OPT, query.edns.udp_bytes, flags, 0)
    question = name + _QUESTION_TAIL.pack(type_, query.class_)
    return HEADER.pack(query.id, query.flags, 1, 0, 0, 1 if opt else 0) + question + opt


def put_question(query: Query, response: bytes, question_bytes: int, *, tcp: bool) -> bytes:
    """Return a response with a query's own question in the place of its own of so many bytes.

    Nothing behind the question may point to what lies within it, but to its beginning.
    """
    response = response[: HEADER.size] + query.question + response[HEADER.size + question_bytes :]
    return truncate(query, response) if len(response) > most_bytes(query.edns, tcp=tcp) else response


def most_bytes(edns: Edns | None, *, tcp: bool) -> int:
    """Return how long an answer may be for who asks."""
    if tcp:
        return TCP_BYTES
    return UDP_BYTES if edns is None else min(max(edns.udp_bytes, UDP_BYTES), EDNS_UDP_BYTES)


def _read_edns(packet: bytes, at: int, counts: list[int]) -> tuple[Edns | None] | None:
    """Return the OPT record, if any, in a tuple; None where the records are not whole, or OPT is there twice."""
    edns: Edns | None = None
    for section, count in enumerate(counts):
        for _ in range(count):
            named = read_name(packet, at)
            if named is None or named[1] + _RECORD_TAIL.size > len(packet):
                return None
            labels, at = named
            type_, class_, lifetime, length = _RECORD_TAIL.unpack_from(packet, at)
            at += _RECORD_TAIL.size + length
            if at > len(packet):
                return None
            if type_ == Type.OPT:  # RFC 6891, section 6.1.1: one, of the root, in the additional section
                if edns is not None or labels or section != 2:
                    return None
                cookie = _cookie_in(packet[at - length : at])
                if cookie is None:
                    return None
                edns = Edns(class_, lifetime >> 16 & 0xFF, bool(lifetime & _DO), cookie)
    return (edns,) if at == len(packet) else None


def _cookie_in(options: bytes) -> bytes | None:
    """Return the first cookie among options (RFC 7873, section 5.2), b"" without; None where its length is wrong."""
    at = 0
    while at + _OPTION_HEAD.size <= len(options):
        code, length = _OPTION_HEAD.unpack_from(options, at)
        at += _OPTION_HEAD.size + length
        if code == COOKIE_OPTION:
            return options[at - length : at] if at <= len(options) and (length == 8 or 16 <= length <= 40) else None
    return b""


def _write_record(record: Record) -> bytes:
    owner = struct.pack("!H", _POINT_AT_QUESTION) if record.owner is None else record.owner
    return owner + record_tail(record.type, record.lifetime_seconds, record.data)


def record_tail(type_: Type, lifetime_seconds: int, data: bytes, class_: int = CLASS_IN) -> bytes:
    """Return all of a record but its owner (RFC 1035, section 4.1.3)."""
    return _RECORD_TAIL.pack(type_, class_, lifetime_seconds, len(data)) + data


def write_opt(edns: Edns, rcode: Rcode) -> bytes:
    """Return the OPT record of an answer (RFC 6891, section 6.1)."""
    flags = rcode >> 4 << 24 | (_DO if edns.dnssec_ok else 0)  # our version: 0
    return b"\0" + _RECORD_TAIL.pack(Type.OPT, EDNS_UDP_BYTES, flags, 0)
