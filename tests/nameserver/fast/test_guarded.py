"""What the guards leave of an answer, byte for byte as the reference leaves it; the rest is in `test_loop.py`."""

import dns.edns
import dns.message
import numpy as np
import pytest

from whimbrel.nameserver import answer
from whimbrel.nameserver.fast.guarded import emptied, kind_of, put_cookie
from whimbrel.nameserver.fast.packet import ROOM_BYTES
from whimbrel.nameserver.guards.guard import kind_of as reference_kind_of
from whimbrel.wire import dns as wire
from whimbrel.wire.dns import Query, Rcode
from whimbrel.wire.snapshot import Snapshot

COOKIE = bytes(range(24))


def written(response: bytes) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    packet = np.zeros(ROOM_BYTES, np.uint8)
    packet[: len(response)] = np.frombuffer(response, np.uint8)
    return packet


@pytest.mark.parametrize("name", ["1.2.0.192.bl.example", "10.9.9.9.bl.example", "elsewhere.example"])
@pytest.mark.parametrize("edns", [False, 0])
def test_as_the_reference_leaves_it(name: str, edns: int, world: Snapshot, now: float) -> None:
    asked = dns.message.make_query(name, "A", use_edns=edns).to_wire()
    response, query = answer(asked, world, now, tcp=False), wire.parse_query(asked)
    assert response is not None
    assert isinstance(query, Query)
    end, has_edns = 12 + len(query.question), 1 if query.edns else 0
    packet = written(response)
    assert kind_of(packet) == reference_kind_of(response)
    size = emptied(packet, end, has_edns, False)
    assert packet[:size].tobytes() == wire.truncate(query, response)
    if query.edns:
        packet = written(response)
        size = emptied(packet, end, has_edns, True)
        bad = wire.write_response(query, Rcode.BADCOOKIE, authoritative=False, tcp=False)
        assert packet[:size].tobytes() == bad
        size = put_cookie(packet, size, np.frombuffer(COOKIE, np.uint8))
        assert packet[:size].tobytes() == wire.add_cookie(query, bad, COOKIE, tcp=False)
