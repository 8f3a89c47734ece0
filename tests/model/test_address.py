"""Addresses: the quick way for plain IPv4 gives what the standard library gives."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whimbrel.model.address import host_of, is_public, network_of, parse_address

# Around the edges of every block in IANA's registry, where a table of octets could be wrong.
_BLOCKS = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
    "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32",
]  # fmt: skip


def _edges() -> list[str]:
    edges = []
    for block in map(ipaddress.IPv4Network, _BLOCKS):
        first, last = int(block.network_address), int(block.broadcast_address)
        edges += [number for number in (first - 1, first, last, last + 1) if 0 <= number < 1 << 32]
    return [str(ipaddress.IPv4Address(number)) for number in edges]


@pytest.mark.parametrize("address", _edges())
def test_public_at_the_edges_of_special_blocks(address: str) -> None:
    parsed = ipaddress.IPv4Address(address)
    assert is_public(address) == (parsed.is_global and not parsed.is_multicast)


@given(st.ip_addresses())
def test_as_the_standard_library(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    mapped = getattr(address, "ipv4_mapped", None)
    canonical = str(mapped or address)
    assert parse_address(str(address)) == canonical
    plain = ipaddress.ip_address(canonical)
    assert is_public(canonical) == (plain.is_global and not plain.is_multicast)
    bits = 24 if plain.version == 4 else 48
    assert network_of(host_of(canonical)) == str(ipaddress.ip_network((canonical, bits), strict=False))


@given(st.one_of(st.text(max_size=50), st.from_regex(r"[0-9a-f:.\[\] %x]{1,40}", fullmatch=True)))
def test_any_text_gives_an_address_in_canonical_form_or_none(text: str) -> None:
    found = parse_address(text)
    assert found is None or (parse_address(found) == found and str(ipaddress.ip_address(found)) == found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[192.0.2.1]", "192.0.2.1"),
        (" 192.0.2.1\n", "192.0.2.1"),
        ("IPv6:2001:DB8::1", "2001:db8::1"),
        ("[IPv6:fe80::1%eth0]", "fe80::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.01", None),  # octal to some, decimal to others
        ("192.0.2", None),
        ("192.0.2.256", None),
        ("192.0.2.1\0", None),
        ("\ud800", None),
        ("", None),
    ],
)
def test_what_mail_writes_around_an_address(text: str, expected: str | None) -> None:
    assert parse_address(text) == expected


def test_a_host_is_an_ipv6_site_and_an_ipv4_address() -> None:
    assert host_of("2001:db8:1:2::3") == "2001:db8:1:2::/64"
    assert host_of("192.0.2.1") == "192.0.2.1"
