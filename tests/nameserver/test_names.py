from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st

from whimbrel.nameserver.names import Prefix, address_of, prefixes_of


def labels(text: str) -> tuple[bytes, ...]:
    return tuple(text.encode().split(b"."))


@given(st.integers(0, 2**32 - 1))
def test_ipv4_round_trip(number: int) -> None:
    assert address_of(labels(".".join(reversed(str(IPv4Address(number)).split("."))))) == (4, number)


@given(st.integers(0, 2**128 - 1))
def test_ipv6_round_trip_in_either_case(number: int) -> None:
    name = ".".join(reversed(f"{number:032x}"))
    mapped = IPv6Address(number).ipv4_mapped
    expected = (6, number) if mapped is None else (4, int(mapped))
    assert address_of(labels(name)) == address_of(labels(name.upper())) == expected


@given(st.lists(st.binary(max_size=5), max_size=40).map(tuple))
def test_any_labels_give_an_address_or_none(name: tuple[bytes, ...]) -> None:
    address = address_of(name)
    assert address is None or len(name) in (4, 32)
    assert all(0 <= prefix.value < 1 << prefix.bits for prefix in prefixes_of(name))


def test_digits_of_other_scripts_are_none() -> None:
    assert address_of((b"\xd9\xa1", b"2", b"0", b"192")) is None


def test_a_short_name_may_begin_addresses_of_both_families() -> None:
    assert prefixes_of(labels("2")) == [Prefix(4, 2, 8), Prefix(6, 2, 4)]
    assert prefixes_of(labels("192")) == [Prefix(4, 192, 8)]
    assert prefixes_of(labels("0.0")) == [Prefix(4, 0, 16), Prefix(6, 0, 8), Prefix(4, 0, 0)]


def test_beneath_the_mapped_prefix_ipv4_is_meant() -> None:
    mapped = ".".join(reversed("0" * 20 + "ffff"))
    assert prefixes_of(labels(mapped)) == [Prefix(6, 0xFFFF, 96), Prefix(4, 0, 0)]
    assert prefixes_of(labels("c." + mapped)) == [Prefix(4, 0xC, 4)]
