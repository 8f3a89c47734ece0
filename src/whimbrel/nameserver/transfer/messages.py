"""Records in, messages out: as many records a message as fit, the question in each (RFC 5936, section 2.2)."""

from collections.abc import Iterable, Iterator

from whimbrel.nameserver.transfer.signing import MOST_BYTES, Seal
from whimbrel.nameserver.transfer.zone import Records
from whimbrel.wire import dns
from whimbrel.wire.dns import Query, Rcode

# Larger ones need fewer signatures; smaller ones let the queries between them wait less (a millisecond each).
MESSAGE_BYTES = 32_768
_RECORDS_AT_MOST = 0xFFFF


def packed(query: Query, records: Iterable[Records], seal: Seal) -> Iterator[bytes]:
    """Yield the messages of an answer, signed; `records` come as numbers of them, with their wire form."""
    full = MESSAGE_BYTES - len(_message(query, 0, 0, [])) - MOST_BYTES
    body: list[bytes] = []
    count = length = 0
    for number, wire in records:
        if length + len(wire) > full or count + number > _RECORDS_AT_MOST:
            yield seal.put_on(_message(query, dns.QR | dns.AA, count, body), is_part=True)
            body, count, length = [], 0, 0
        body.append(wire)
        count += number
        length += len(wire)
    yield seal.put_on(_message(query, dns.QR | dns.AA, count, body), is_part=True)


def sealed(query: Query, response: bytes, seal: Seal | None, *, tcp: bool) -> bytes:
    """Return a response signed as its question was; one that then does not fit is empty and says so (TC)."""
    if seal is None:
        return response
    signed = seal.put_on(response)
    if len(signed) <= dns.most_bytes(query.edns, tcp=tcp):
        return signed
    flags = int.from_bytes(response[2:4], "big") | dns.TC
    return seal.put_on(_message(query, flags, 0, []))


def _message(query: Query, flags: int, count: int, body: list[bytes]) -> bytes:
    opt = b"" if query.edns is None else dns.write_opt(query.edns, Rcode.NOERROR)
    head = dns.HEADER.pack(query.id, flags, 1, count, 0, 1 if opt else 0)
    return b"".join((head, query.question, *body, opt))
