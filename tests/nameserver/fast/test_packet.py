"""Whatever an offset says, only the packet's room is touched."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from whimbrel.nameserver.fast.packet import PACKET_BYTES, ROOM_BYTES, byte, pair, put, put_pair, put_word, word


@given(at=st.integers(-(2**40), 2**40), value=st.integers(0, 0xFFFF))
def test_an_offset_is_taken_within_the_packet(at: int, value: int) -> None:
    packet = np.zeros(ROOM_BYTES, np.uint8)
    put_pair(packet, at, value)
    assert pair(packet, at) == value
    assert (byte(packet, at), byte(packet, at + 1)) == divmod(value, 256)
    put(packet, at, 7)
    assert packet[at % PACKET_BYTES] == 7


@given(at=st.integers(-(2**40), 2**40), value=st.integers(0, 2**64 - 1))
def test_a_word_is_eight_bytes_the_highest_first(at: int, value: int) -> None:
    packet = np.zeros(ROOM_BYTES, np.uint8)
    put_word(packet, at, value)
    assert word(packet, at) == value
    begins = at % PACKET_BYTES
    assert packet[begins : begins + 8].tobytes() == value.to_bytes(8)
    assert np.count_nonzero(packet) <= 8
