"""The compiled answer as tests ask it: one packet in, the answer's bytes out, or None where it is handed on."""

import random
from collections.abc import Callable

import dns.message
import numpy as np
import pytest
from tests.nameserver.fast.one import one
from tests.nameserver.test_fuzz import mutated, seeds

from whimbrel.nameserver.fast.insides import compiled
from whimbrel.nameserver.fast.packet import PACKET_BYTES, ROOM_BYTES
from whimbrel.nameserver.fast.search import Array, Lists
from whimbrel.nameserver.fast.tables import lists_of, overlaid
from whimbrel.wire.snapshot import Snapshot

Ask = Callable[[bytes, Snapshot, int], bytes | None]

# A frame around the packet: what is written outside shows.
_FRAME = 64


def asking(function: Callable[[Array, int, Lists, int, int], int]) -> Ask:
    framed = np.zeros(ROOM_BYTES + 2 * _FRAME, np.uint8)
    packet = framed[_FRAME : _FRAME + ROOM_BYTES]
    last: list[tuple[Snapshot, Lists]] = []

    def ask(query: bytes, snapshot: Snapshot, now: int) -> bytes | None:
        if not last or last[0][0] is not snapshot:
            last[:] = [(snapshot, overlaid(lists_of(snapshot), snapshot.overlay))]
        lists = last[0][1]
        framed[:] = 0xA5
        size = min(len(query), PACKET_BYTES)
        packet[:size] = np.frombuffer(query[:size], np.uint8)
        length = function(packet, len(query), lists, now, now)
        assert (framed[:_FRAME] == 0xA5).all()
        assert (framed[_FRAME + ROOM_BYTES :] == 0xA5).all()
        if length == 0:
            assert packet[:size].tobytes() == query[:size]  # handed on as it came
            return None
        return packet[:length].tobytes()

    return ask


@pytest.fixture(scope="session")
def ask() -> Ask:
    """The compiled build."""
    return asking(compiled(one))


@pytest.fixture(scope="session")
def ask_python() -> Ask:
    """The same source, run by Python."""
    return asking(one)


@pytest.fixture(scope="session")
def queries() -> Callable[[int, int], list[bytes]]:
    """Make as many queries, most of them damaged."""

    def make(count: int, seed: int) -> list[bytes]:
        chance = random.Random(seed)
        whole = seeds() + [
            dns.message.make_query(f"{name}.bl.example.", type_, use_edns=edns).to_wire()
            for name in ("1.2.0.192", "200.2.0.192", "7.100.51.198", "9.100.51.198", "9.9.9.9", "2.0.0.127",
                         "1.0.0.127", "4.3.2.1", "1.2.3.04", "no.name", ".".join("2000000000000000200010008bd01002"),
                         ".".join("1" + "0" * 15 + "100000ffff8bd0100" + "2"))
            for type_ in ("A", "AAAA", "TXT", "ANY")
            for edns in (False, 0)
        ]  # fmt: skip
        return [packet if number % 4 == 0 else mutated(packet, chance)
                for number, packet in enumerate(chance.choices(whole, k=count))]  # fmt: skip

    return make
