"""What may be listed, and that what can only be a mistake is one line."""

from ipaddress import IPv4Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whimbrel.errors import ConfigError
from whimbrel.publishing.targets import name_of, prefixes_of
from whimbrel.wire.snapshot.layout import MAX_NAME_LABELS

FIRST, SIZE = int(IPv4Address("192.0.2.0")), 1 << 12


@given(st.integers(0, SIZE), st.integers(0, SIZE))
def test_a_range_is_its_addresses_and_no_others(one: int, other: int) -> None:
    first, last = sorted((FIRST + one, FIRST + other))
    family, prefixes = prefixes_of(f"{IPv4Address(first)}-{IPv4Address(last)}")
    assert family == 4
    networks = [ip_network((key, bits)) for key, bits in prefixes]
    assert sorted(int(address) for network in networks for address in network) == list(range(first, last + 1))


def test_hosts_and_networks_of_both_families() -> None:
    assert prefixes_of("192.0.2.1") == (4, [(0xC0000201, 32)])
    assert prefixes_of("198.51.100.0/24") == (4, [(0xC6336400, 24)])
    assert prefixes_of("2001:db8:1:2::/64") == (6, [(0x20010DB8_00010002, 64)])
    assert prefixes_of("0.0.0.1-0.255.255.255")[1][0] == (1, 32)


@pytest.mark.parametrize(
    "target",
    [
        "192.0.2.9-192.0.2.1",
        "192.0.2.1-",
        "192.0.2.1-192.0.2.300",
        "192.0.2.0/24-192.0.3.0/24",
        "2001:db8::-2001:db9::",
        "1.0.0.0-2.0.0.0",  # wider than a /8, though each of its prefixes is not
        "126.0.0.0-127.0.0.1",
        "2001:db8::1/128",
        "2001:db8::/65",
    ],
)
def test_what_can_only_be_a_mistake_is_refused(target: str) -> None:
    with pytest.raises(ConfigError, match=r"^listing of .+$"):
        prefixes_of(target)


def test_names_are_kept_in_wire_form_and_lower_case() -> None:
    assert name_of("Example.COM.", wildcard=True) == b"\x07example\x03com"
    assert name_of("0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33._file", wildcard=False).endswith(b"\x05_file")
    assert name_of(".".join(["a"] * MAX_NAME_LABELS), wildcard=False)


@pytest.mark.parametrize(
    ("name", "wildcard", "problem"),
    [
        ("", False, "letters, digits"),
        (".", False, "letters, digits"),
        ("a..b", False, "letters, digits"),
        ("*.example", True, "letters, digits"),
        ("bücher.example", False, "IDNA form"),
        ("a\n.example", False, "letters, digits"),
        ("x" * 64 + ".example", False, "63 letters"),
        (".".join(["x" * 50] * 6), False, "at most 253"),
        (".".join(["a"] * (MAX_NAME_LABELS + 1)), False, "at most 16 labels"),
        ("test", False, "for tests"),
        ("sub.invalid", True, "for tests"),
        ("192.0.2.1", False, "an address"),
        ("com", True, "top-level"),
    ],
)
def test_names_that_cannot_be_listed(name: str, *, wildcard: bool, problem: str) -> None:
    with pytest.raises(ConfigError, match=r"^listing of .+; it is not published$") as refused:
        name_of(name, wildcard=wildcard)
    assert problem in str(refused.value)
