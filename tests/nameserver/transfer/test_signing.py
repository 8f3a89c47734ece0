"""Signatures: those that hold, those that do not, and any bytes at all."""

import random
import time

import dns.message
import dns.rcode
import dns.tsig
import pytest
from tests.nameserver.test_fuzz import mutated
from tests.nameserver.transfer.asking import KEY, KEYS, OTHERS, question

from whimbrel.nameserver.transfer import signing
from whimbrel.nameserver.transfer.signing import Seal, seal_of

UNKNOWN = dns.tsig.Key("nobody.example", KEY.secret)
OTHER_ALGORITHM = dns.tsig.Key("secondary.example", KEY.secret, "hmac-sha512")


def sealed(packet: bytes) -> Seal:
    seal = seal_of(packet, KEYS)
    assert seal is not None
    return seal


def test_a_signature_holds_and_what_is_not_signed_has_none() -> None:
    assert sealed(question("SOA").to_wire()).fault is None
    assert seal_of(question("SOA", key=None).to_wire(), KEYS) is None


@pytest.mark.parametrize(
    ("key", "fault", "peer_says"),
    [
        (OTHERS, dns.rcode.BADSIG, dns.tsig.PeerBadSignature),
        (UNKNOWN, dns.rcode.BADKEY, dns.tsig.PeerBadKey),
        (OTHER_ALGORITHM, dns.rcode.BADKEY, dns.tsig.PeerBadKey),
    ],
)
def test_a_signature_that_does_not_hold_is_told_unsigned(
    key: dns.tsig.Key, fault: dns.rcode.Rcode, peer_says: type[Exception]
) -> None:
    asked = question("SOA", key=key)
    seal = sealed(asked.to_wire())
    assert seal.fault == fault
    assert seal.reason
    answer = seal.put_on(dns.message.make_response(question("SOA", key=None)).to_wire())
    with pytest.raises(peer_says):
        dns.message.from_wire(answer, keyring={key.name: key}, request_mac=asked.mac)


def test_a_late_question_gets_a_signed_answer_with_our_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = question("SOA")
    packet = asked.to_wire()
    ahead = time.time() + signing.FUDGE_SECONDS + 60
    monkeypatch.setattr("whimbrel.nameserver.transfer.signing.time.time", lambda: ahead)
    seal = sealed(packet)
    assert seal.fault == dns.rcode.BADTIME
    answer = seal.put_on(dns.message.make_response(question("SOA", key=None)).to_wire())
    with pytest.raises(dns.tsig.PeerBadTime):
        dns.message.from_wire(answer, keyring=KEYS, request_mac=asked.mac)
    assert int(ahead).to_bytes(6, "big") in answer


def test_any_damage_is_a_fault_or_nothing_and_never_raises() -> None:
    chance = random.Random(8945)
    packet = question("IXFR", serial=7).to_wire()
    for _ in range(3_000):
        damaged = mutated(packet, chance)
        if len(damaged) < 12:
            continue
        seal = seal_of(damaged, KEYS)
        # The id is not signed but the original one is; names are compared without their case.
        assert seal is None or seal.fault is not None or damaged[2:].lower() == packet[2:].lower()
