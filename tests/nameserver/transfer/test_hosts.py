"""Hosts row by row are the hosts that the decoder gives all at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.wire.test_snapshot import BORN, Row, encoded

from whimbrel.nameserver.transfer.hosts import Hosts
from whimbrel.wire.snapshot import Snapshot
from whimbrel.wire.snapshot.decoder import decode

_untils = st.integers(BORN + 1, BORN + 700_000)  # most examples have some in the side table
_ipv4 = st.lists(st.builds(lambda key, until: (key, 32, 0, until), st.integers(0, 2**32 - 1), _untils), max_size=400)
_ipv6 = st.lists(st.builds(lambda key, until: (key, 64, 1, until), st.integers(0, 2**64 - 1), _untils), max_size=400)


@settings(max_examples=50, deadline=None)
@given(_ipv4, _ipv6, st.integers(1, 300))
def test_parts_and_rows_are_what_the_decoder_says(ipv4: list[Row], ipv6: list[Row], part: int) -> None:
    snapshot = Snapshot(encoded(ipv4, ipv6))
    until = np.frombuffer(snapshot.section("classes"), "<i8")[::2]
    decoded = decode(snapshot)
    for family, rows, bits in ((4, decoded.ipv4, 32), (6, decoded.ipv6, 64)):
        hosts = Hosts(snapshot, family)
        parts = [hosts.part(first, min(first + part, len(hosts))) for first in range(0, len(hosts), part)]
        keys = [key for found, _ in parts for key in found.tolist()]
        assert keys == rows.key.tolist()
        assert [int(until[number]) for _, found in parts for number in found.tolist()] == rows.until.tolist()
        assert [hosts.key_at(row) for row in range(len(hosts))] == keys
        assert [hosts.row_of(key) for key in keys] == list(range(len(hosts)))
        assert hosts.row_of(1 << bits) == len(hosts)
        assert all(map(hosts.has, keys))
        assert all(hosts.has(key + 1) == (key + 1 in keys) for key in keys if key + 1 < 1 << bits)


@pytest.mark.parametrize(("first", "last", "steps"), [(0x0A000000, 0x0AFFFFFF, [0, 3]), (0x0B000000, 0x0BFFFFFF, [])])
def test_steps_are_the_pieces_that_hold_a_host(first: int, last: int, steps: list[int]) -> None:
    keys = (0x09FFFFFF, 0x0A000000, 0x0A000009, 0x0A030001, 0x0A03FFFF, 0x0C000000)
    snapshot = Snapshot(encoded([(key, 32, 0, BORN + 9) for key in keys]))
    assert list(Hosts(snapshot, 4).steps(first, last, 1 << 16)) == steps
