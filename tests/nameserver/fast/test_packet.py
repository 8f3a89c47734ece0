"""Whatever an offset says, only the 512 bytes are touched."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from whimbrel.nameserver.fast.packet import PACKET_BYTES, byte, pair, put, put_pair


@given(at=st.integers(-(2**40), 2**40), value=st.integers(0, 0xFFFF))
def test_an_offset_is_taken_within_the_packet(at: int, value: int) -> None:
    packet = np.zeros(PACKET_BYTES, np.uint8)
    put_pair(packet, at, value)
    assert pair(packet, at) == value
    assert (byte(packet, at), byte(packet, at + 1)) == divmod(value, 256)
    put(packet, at, 7)
    assert packet[at % PACKET_BYTES] == 7
