"""A secondary's side of signed messages, as dnspython has it."""

from collections.abc import Iterable
from functools import cache

import dns.message
import dns.name
import dns.rrset
import dns.tsig

from whimbrel.nameserver.transfer.messages import packed
from whimbrel.nameserver.transfer.signing import Keyring, Seal, seal_of
from whimbrel.nameserver.transfer.zone import Records
from whimbrel.wire import dns as wire

SECRET = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlYyE="
KEY = dns.tsig.Key("secondary.example", SECRET)
KEYS: Keyring = {KEY.name: KEY}
OTHERS = dns.tsig.Key("secondary.example", "b3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3Q=")


def question(
    type_: str,
    *,
    key: dns.tsig.Key | None = KEY,
    serial: int | None = None,
    name: str = "bl.example.",
    edns: bool = False,
) -> dns.message.QueryMessage:
    """Return a question, signed where there is a key; of an incremental transfer with the serial that its asker has."""
    made = dns.message.make_query(name, type_, use_edns=edns)
    if serial is not None:
        soa = f"localhost. hostmaster.{name} {serial} 1 1 1 1"
        made.authority.append(dns.rrset.from_text(name, 1, "IN", "SOA", soa))
    if key is not None:
        made.use_tsig(key)
    made.to_wire()
    return made


def read(messages: Iterable[bytes], asked: dns.message.Message, key: dns.tsig.Key = KEY) -> list[dns.message.Message]:
    """Return the messages of an answer, each with its signature verified."""
    found: list[dns.message.Message] = []
    context = None
    for message in messages:
        given = dns.message.from_wire(
            message, keyring={key.name: key}, request_mac=asked.mac, multi=True, tsig_ctx=context, one_rr_per_rrset=True
        )
        assert given.had_tsig
        assert given.id == asked.id
        assert given.question == asked.question
        context = given.tsig_ctx
        found.append(given)
    return found


def answer_of(records: Iterable[Records]) -> list[dns.rrset.RRset]:
    """Return records, one an RRset, as a secondary reads them from the signed messages of an answer."""
    asked = question("AXFR")
    packet = asked.to_wire()
    query, seal = wire.parse_query(packet), seal_of(packet, KEYS)
    assert isinstance(query, wire.Query)
    assert isinstance(seal, Seal)
    assert seal.fault is None
    messages = read(packed(query, records, seal), asked)
    return [rrset for message in messages for rrset in message.answer]


def records_of(records: Iterable[Records]) -> list[dns.rrset.RRset]:
    """Return records, one an RRset, as `answer_of` does, but not from messages: equal ones are read once a run.

    For tests that are about the records of many lists that are much alike; messages and signatures have theirs.
    """
    return [rrset for number, wire_form in records for rrset in _read(number, wire_form)]


@cache
def _read(number: int, wire_form: bytes) -> tuple[dns.rrset.RRset, ...]:
    head = wire.HEADER.pack(0, wire.QR | wire.AA, 1, number, 0, 0)
    question_of_zone = question("AXFR", key=None).to_wire()[wire.HEADER.size :]  # what names point at
    return tuple(dns.message.from_wire(head + question_of_zone + wire_form, one_rr_per_rrset=True).answer)
