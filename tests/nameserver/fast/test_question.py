"""What a name asks about, by labels as people write them."""

import dns.message
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whimbrel.nameserver.fast.insides import unsigned
from whimbrel.nameserver.fast.packet import ROOM_BYTES
from whimbrel.nameserver.fast.question import ELSEWHERE, ODD, UNLISTABLE, asked, four_digits, nibble
from whimbrel.nameserver.fast.tables import lists_of
from whimbrel.wire.snapshot import Snapshot

IPV6 = ".".join(reversed("20010db8000100020000000000000007"))
MAPPED = ".".join(reversed("00000000000000000000ffffc0000201"))


@pytest.mark.parametrize(
    ("name", "family", "key"),
    [
        ("1.2.0.192.bl.example", 4, 0xC0000201),
        ("1.2.0.192.BL.eXample", 4, 0xC0000201),
        (f"{IPV6}.bl.example", 6, 0x20010DB800010002),
        (f"{IPV6.upper()}.bl.example", 6, 0x20010DB800010002),
        (f"{MAPPED}.bl.example", 4, 0xC0000201),
        ("01.2.0.192.bl.example", ODD, 0),  # no octet; perhaps a beginning of something
        ("256.2.0.192.bl.example", ODD, 0),
        ("1.2.0.1920.bl.example", UNLISTABLE, 0),
        ("x.2.0.192.bl.example", UNLISTABLE, 0),
        ("0.192.bl.example", ODD, 0),
        ("bl.example", ODD, 0),
        ("1.2.0.192.bl.examples", ELSEWHERE, 0),
        ("1.2.0.192xbl.example", ELSEWHERE, 0),
        ("example", ELSEWHERE, 0),
        (".", ELSEWHERE, 0),
    ],
)
def test_names(name: str, family: int, key: int, world: Snapshot) -> None:
    query = dns.message.make_query(name, "A", use_edns=False).to_wire()
    packet = np.zeros(ROOM_BYTES, np.uint8)
    packet[: len(query)] = np.frombuffer(query, np.uint8)
    found, found_key, _, end = asked(packet, len(query), lists_of(world), False)
    assert (found, int(found_key)) == (family, key)
    assert end == (0 if family == ODD and end == 0 else len(query))


def test_nibbles_are_the_hexadecimal_digits() -> None:
    for letter in range(256):
        digits = "0123456789abcdef"
        expected = digits.index(chr(letter).lower()) if chr(letter).lower() in tuple(digits) else 16
        assert nibble(letter) == expected


_LABELS = st.lists(st.sampled_from([b"\1%c" % letter for letter in b"0123456789abcdefABCDEF"]), min_size=4, max_size=4)


@given(labels=_LABELS, place=st.integers(0, 7), octet=st.integers(0, 255))
def test_four_labels_of_a_digit_each(labels: list[bytes], place: int, octet: int) -> None:
    """And with any octet in any place: each label is looked at apart from its neighbours."""
    octets = bytearray(b"".join(labels))
    octets[place] = octet
    is_size, is_digit = octets[::2] == b"\1\1\1\1", all(nibble(letter) < 16 for letter in octets[1::2])
    number, bad = four_digits(unsigned(int.from_bytes(octets)))
    assert (bad == 0) == (is_size and is_digit)
    if bad == 0:
        assert number == int(bytes(reversed(octets[1::2])), 16)
