"""Any packet at all: never an exception, always silence or a well-formed response to it.

`WHIMBREL_FUZZ` sets the number of mutated packets (10,000 here; `make fuzz` runs 1,000,000).
"""

import os
import random

import dns.message
from hypothesis import given, settings
from hypothesis import strategies as st

from whimbrel.nameserver import answer
from whimbrel.wire.snapshot import Snapshot

PACKETS = int(os.environ.get("WHIMBREL_FUZZ", "10000"))
# Every so many of the mutated packets dnspython reads the answer; reading all of a million would take the hour.
READ_EVERY = 1 if PACKETS <= 20_000 else 10


def seeds() -> list[bytes]:
    names = ["1.2.0.192.bl.example.", "2.0.192.BL.example.", "bl.example.", ".", "x." * 60 + "bl.example."]
    names += [".".join("5200000000000000200010008bd01002") + ".bl.example."]
    queries = [
        dns.message.make_query(name, type_, use_edns=edns, payload=payload)
        for name in names
        for type_, edns, payload in (("A", False, 0), ("TXT", 0, 1), ("ANY", 0, 4096), ("SOA", 1, 512), ("IXFR", 0, 99))
    ]
    return [query.to_wire() for query in queries]


def check(packet: bytes, world: Snapshot, now: float, *, tcp: bool, read: bool = True) -> int | None:
    response = answer(packet, world, now, tcp=tcp)
    if response is None:
        assert len(packet) < 12 or packet[2] & 0x80
        return None
    assert response[:2] == packet[:2]
    assert response[2] & 0x80
    assert len(response) <= (65_535 if tcp else 1232)
    if read:
        dns.message.from_wire(response)
    return response[3] & 0xF


def mutated(packet: bytes, chance: random.Random) -> bytes:
    """Damage a packet once or twice; mostly within its fields, so that most get past the first checks."""
    mutable = bytearray(packet)
    for _ in range(chance.randrange(1, 3)):
        at = chance.randrange(len(mutable)) if mutable else 0
        match chance.choices(range(6), (8, 2, 8, 1, 1, 1))[0]:
            case 0 if mutable:
                mutable[at] ^= 1 << chance.randrange(8)
            case 1 if mutable:
                mutable[at] = chance.choice((0, 1, 0x3F, 0x40, 0xC0, 0xFF, 12))
            case 2:  # a letter or digit of the name
                letters = [place for place in range(12, len(mutable)) if mutable[place] in b"0123456789abcdefx"]
                if letters:
                    mutable[chance.choice(letters)] = chance.choice(b"0123456789abcdefABCDEF")
            case 3:
                del mutable[at:]
            case 4:
                mutable[at:at] = chance.randbytes(chance.randrange(1, 20))
            case _:
                mutable += mutable[at : at + 40]
    return bytes(mutable)


def test_mutated_packets(world: Snapshot, now: float) -> None:
    chance = random.Random(5782)
    packets = seeds()
    rcodes = set()
    for number in range(PACKETS):
        packet = mutated(chance.choice(packets), chance)
        rcodes.add(check(packet, world, now, tcp=number % 2 == 0, read=number % READ_EVERY == 0))
    assert rcodes == {None, 0, 1, 3, 4, 5}  # every kind of answer is reached (an expired list apart)


@settings(max_examples=300, deadline=None)
@given(packet=st.binary(max_size=600), tcp=st.booleans())
def test_random_packets(packet: bytes, world: Snapshot, now: float, *, tcp: bool) -> None:
    check(packet, world, now, tcp=tcp)


@settings(max_examples=300, deadline=None)
@given(
    name=st.lists(st.binary(min_size=1, max_size=63), max_size=4),
    counts=st.tuples(*[st.integers(0, 20)] * 3),
    tail=st.binary(max_size=80),
)
def test_queries_for_the_zone_with_odd_records(
    name: list[bytes], counts: tuple[int, int, int], tail: bytes, world: Snapshot, now: float
) -> None:
    wire = b"".join(bytes([len(label)]) + label for label in (*name, b"bl", b"example")) + b"\0\0\x01\0\x01"
    header = b"\x12\x34\x01\0\0\x01" + b"".join(count.to_bytes(2, "big") for count in counts)
    check(header + wire + tail, world, now, tcp=False)


def test_the_largest_hostile_packet_is_looked_at_a_bounded_number_of_times(world: Snapshot, now: float) -> None:
    """A chain of pointers, each to the one before, in a name asked for at every record."""
    question = b"\x02bl\x07example\0\0\x01\0\x01"
    chain = b"".join((0xC000 | 12 + len(question) + 2 * n - 2).to_bytes(2, "big") for n in range(8_000))
    packet = b"\x12\x34\0\0\0\x01\0\0\0\0\xff\xff" + question + chain
    response = answer(packet, world, now, tcp=True)
    assert response is not None
    assert response[3] & 0xF == 1
