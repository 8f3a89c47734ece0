"""Ranges of addresses against a plain reading: the narrowest around a host, found by looking at all of them."""

import ipaddress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whimbrel.lookups.ranges import CrossedError, Range, address_range, keys, lay_out, prefix_range

# Of few addresses, so that ranges meet.
_PREFIXES = st.tuples(st.integers(0, 255), st.integers(24, 32)).map(
    lambda drawn: ipaddress.ip_network((0xC0000200 | drawn[0], drawn[1]), strict=False)
)
_RANGES = st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda pair: Range(4, min(pair), max(pair)))


def _narrowest(ranges: list[Range], key: int) -> int:
    around = [place for place, one in enumerate(ranges) if one.first <= key <= one.last]
    return min(around, key=lambda place: ranges[place].last - ranges[place].first, default=-1)


@given(st.sets(_PREFIXES, max_size=12).map(sorted).flatmap(st.permutations))
def test_the_longest_prefix_holds_whatever_the_order(networks: list[ipaddress.IPv4Network]) -> None:
    ranges = [prefix_range(str(one.network_address), one.prefixlen) for one in networks]
    whole = [one for one in ranges if one is not None]
    around = np.arange(0xC0000200 - 2, 0xC0000300 + 2, dtype=np.uint64)
    found = lay_out(whole).find(around)
    assert found.tolist() == [_narrowest(whole, key) for key in around.tolist()]


@given(st.lists(_RANGES, max_size=6))
def test_ranges_that_cross_are_refused_and_all_others_are_laid_out(ranges: list[Range]) -> None:
    def crossed(one: Range, other: Range) -> bool:
        first, second = sorted((one, other))
        return one == other or first.first < second.first <= first.last < second.last

    pairs = {(a, b) for a in range(len(ranges)) for b in range(len(ranges)) if a != b and crossed(ranges[a], ranges[b])}
    around = np.arange(45, dtype=np.uint64)
    if pairs:
        with pytest.raises(CrossedError) as caught:
            lay_out(ranges)
        assert (caught.value.one, caught.value.other) in pairs
        return
    found = lay_out(ranges).find(around)
    assert found.tolist() == [_narrowest(ranges, key) for key in around.tolist()]


@given(st.integers(0, 2**128 - 1), st.integers(0, 128))
def test_a_prefix_of_ipv6_is_its_whole_hosts(number: int, length: int) -> None:
    network = ipaddress.IPv6Network((number, length), strict=False)
    found = prefix_range(str(network.network_address), length)
    assert found == address_range(str(network.network_address), str(network.broadcast_address))
    if length > 64:
        assert found is None
    else:
        assert found is not None
        assert str(found) == str(network)
        assert (found.first << 64, (found.last << 64) + 2**64 - 1) == (int(network[0]), int(network[-1]))


def test_the_ends_of_all_addresses_are_found() -> None:
    for version, last in ((4, 2**32 - 1), (6, 2**64 - 1)):
        laid = lay_out([Range(version, 0, last), Range(version, last, last)])
        assert laid.find(np.array([0, last - 1, last], dtype=np.uint64)).tolist() == [0, 0, 1]
    assert lay_out([]).find(np.array([7], dtype=np.uint64)).tolist() == [-1]


def test_hosts_are_numbers() -> None:
    ipv6, numbers = keys(["192.0.2.1", "2001:db8:0:1::/64", "0.0.0.0"])
    assert ipv6.tolist() == [False, True, False]
    assert numbers.tolist() == [0xC0000201, 0x20010DB800000001, 0]


def test_a_range_is_written_as_a_prefix_where_it_is_one() -> None:
    assert str(address_range("192.0.2.0", "192.0.2.255")) == "192.0.2.0/24"
    assert str(address_range("192.0.2.1", "192.0.2.2")) == "192.0.2.1-192.0.2.2"
    assert str(address_range("2001:db8::1", "2001:db8:0:2::")) == "2001:db8:0:1::/64"


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ("192.0.2.9", "192.0.2.8", "first and the last"),
        ("192.0.2.9", "::", "one kind"),
        ("192.0.2.256", "::", "no addr"),
    ],
)
def test_what_is_no_range_is_said(first: str, last: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        address_range(first, last)


def test_what_is_no_prefix_is_said() -> None:
    with pytest.raises(ValueError, match=r"write 192\.0\.2\.0/24"):
        prefix_range("192.0.2.7", 24)
    with pytest.raises(ValueError, match="at most /32"):
        prefix_range("192.0.2.0", 33)
    with pytest.raises(ValueError, match="no address"):
        prefix_range("192.0.2\x00", 24)
