"""Messages: full but never too long, each with the question; a signature that does not fit leaves the rest to TCP."""

import dns.flags
import dns.message
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.nameserver.transfer.asking import KEY, KEYS, question, read

from whimbrel.nameserver.transfer import messages
from whimbrel.nameserver.transfer.owners import ZONE
from whimbrel.nameserver.transfer.signing import Seal, seal_of
from whimbrel.nameserver.transfer.zone import Records
from whimbrel.wire import dns as wire


def asked_of(asked: dns.message.Message) -> tuple[wire.Query, Seal]:
    packet = asked.to_wire()
    query, seal = wire.parse_query(packet), seal_of(packet, KEYS)
    assert isinstance(query, wire.Query)
    assert seal is not None
    return query, seal


@settings(deadline=None)
@given(st.lists(st.integers(0, 9_000), max_size=40), st.booleans())
def test_all_records_come_once_in_their_order(lengths: list[int], edns: bool) -> None:  # noqa: FBT001 - drawn
    def records() -> list[Records]:
        texts = (str(length).rjust(length + 5, "x") for length in lengths)
        return [(1, ZONE + wire.record_tail(wire.Type.TXT, 300, wire.text_data(text))) for text in texts]

    asked = question("AXFR", edns=edns)
    sent = list(messages.packed(asked_of(asked)[0], records(), asked_of(asked)[1]))
    assert all(len(message) <= messages.MESSAGE_BYTES for message in sent)
    # What would fit into one is not two: of two that follow each other, a third of the room is empty at most.
    assert len(sent) <= 1 + sum(map(len, sent)) / (messages.MESSAGE_BYTES / 3)
    found = read(sent, asked)
    assert all((message.edns >= 0) == edns for message in found)
    texts = [b"".join(rrset[0].strings).decode() for message in found for rrset in message.answer]
    assert [int(text.lstrip("x")) for text in texts] == lengths


@pytest.mark.parametrize("edns", [False, True])
def test_an_answer_that_does_not_fit_with_its_signature_says_so(edns: bool) -> None:  # noqa: FBT001
    asked = question("TXT", edns=edns)
    query, seal = asked_of(asked)
    limit = wire.most_bytes(query.edns, tcp=False)
    for length, is_cut in ((limit - 150, False), (limit - 60, True)):
        text = wire.text_data("x" * (length - len(query.question) - 50))
        record = wire.Record(None, wire.Type.TXT, 300, text)
        plain = wire.write_response(query, wire.Rcode.NOERROR, answers=(record,), authoritative=True, tcp=False)
        signed = messages.sealed(query, plain, asked_of(asked)[1], tcp=False)
        answer = dns.message.from_wire(signed, keyring={KEY.name: KEY}, request_mac=asked.mac)
        assert len(signed) <= limit
        assert bool(answer.flags & dns.flags.TC) == is_cut
        assert bool(answer.answer) != is_cut
    assert messages.sealed(query, b"plain", None, tcp=False) == b"plain"
    assert seal.fault is None
