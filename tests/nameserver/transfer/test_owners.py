"""Names in wire form are the names that people write, and no wildcard covers a name of the other family."""

from ipaddress import IPv4Network, IPv6Network, ip_address

import dns.message
import dns.name
import dns.reversename
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.nameserver.transfer.some_lists import ipv4_keys, ipv6_keys

from whimbrel.nameserver.transfer import owners


def text_of(owner: bytes) -> str:
    """Return a name's labels as text, without the zone."""
    assert owner.endswith(owners.ZONE)
    return dns.name.from_wire(owner.removesuffix(owners.ZONE) + b"\0", 0)[0].to_text(omit_final_dot=True)


@pytest.mark.parametrize(
    ("family", "target", "name"),
    [
        (4, "192.0.2.0/24", "*.2.0.192"),
        (4, "10.0.0.0/8", "*.10"),
        (6, "2001:db8::/32", "*.8.b.d.0.1.0.0.2"),
        (6, "2001:db8:1:2::/64", "*.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2"),
    ],
)
def test_wildcards_are_networks_reversed(family: int, target: str, name: str) -> None:
    network = IPv4Network(target) if family == 4 else IPv6Network(target)
    key = int(network[0]) >> (0 if family == 4 else 64)
    assert text_of(owners.wildcard(family, key, network.prefixlen)) == name
    assert owners.written(family, key, network.prefixlen) == target


def test_a_test_address_has_both_its_names_and_localhost_none() -> None:
    plain, mapped = map(text_of, owners.owners_of_host(4, int(ip_address("127.0.0.2"))))
    assert plain == "2.0.0.127"
    assert f"{mapped}.ip6.arpa." == dns.reversename.from_address("fe80::ffff:7f00:2").to_text().replace(
        "0.8.e.f", "0.0.0.0"
    )
    assert owners.owners_of_host(4, owners.LOCALHOST) == ()
    assert [text_of(owner) for owner in owners.owners_of_host(4, int(ip_address("192.0.2.1")))] == ["1.2.0.192"]


@settings(deadline=None)
@given(ipv4_keys, ipv6_keys, st.sampled_from((8, 16, 24)), st.sampled_from(range(4, 65, 4)))
def test_no_wildcard_covers_a_name_of_the_other_family(ipv4: int, ipv6: int, short: int, long: int) -> None:
    names = text_of(owners.host(4, ipv4)), ".".join("0" * 16) + text_of(owners.host(6, ipv6))[1:]
    ends = [text_of(owners.wildcard(4, ipv4, short))[1:], text_of(owners.wildcard(6, ipv6, long))[1:]]
    if owners.says_only_itself(4, ipv4, short):
        assert not names[1].endswith(ends[0])
    if owners.says_only_itself(6, ipv6, long):
        assert not names[0].endswith(ends[1]) or len(names[0]) == len(ends[1]) - 1
    assert owners.says_only_itself(4, 0xC0000200, 24)
    assert not owners.says_only_itself(4, 0x02000000, 24)
    assert not owners.says_only_itself(4, 0x7F000000, 24)
    assert not owners.says_only_itself(6, 0x2001 << 48, 12)
