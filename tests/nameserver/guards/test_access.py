"""Access lists against the plain definition, with the standard library's networks."""

from ipaddress import ip_address

import pytest

from whimbrel.errors import ConfigError
from whimbrel.nameserver.guards.access import Access, access_list, access_of, networks
from whimbrel.nameserver.guards.client import client_at


def test_without_a_list_everybody_may_ask() -> None:
    made = access_list()
    assert {access_of(made, client_at(each)) for each in ("::", "192.0.2.1", "ffff::")} == {Access.PLAIN}


def test_the_most_specific_network_decides() -> None:
    made = access_list(
        allow=networks(["10.0.0.0/8", "10.1.2.3", "2001:db8::/32"]), deny=networks(["10.1.0.0/16", "2001:db8:5::/48"])
    )
    allowed = {"10.0.0.1", "10.1.2.3", "10.255.255.255", "2001:db8::1", "2001:db8:6::"}
    denied = {"10.1.2.2", "10.1.2.4", "10.1.0.0", "10.1.255.255", "9.255.255.255", "11.0.0.0", "2001:db8:5::", "::1"}
    assert all(access_of(made, client_at(each)) == Access.PLAIN for each in allowed)
    assert all(access_of(made, client_at(each)) == Access.DENIED for each in denied)


def test_of_two_alike_the_denial_holds() -> None:
    made = access_list(allow=networks(["10.0.0.0/8"]), deny=networks(["10.0.0.0/8"]))
    assert access_of(made, client_at("10.0.0.1")) == Access.DENIED


def test_what_is_not_limited_and_what_is_public_holds_beside_it() -> None:
    made = access_list(
        deny=networks(["127.0.0.9"]), exempt=networks(["127.0.0.0/8", "::1"]), public=networks(["127.0.0.8/31"])
    )
    expected = {
        "127.0.0.1": Access.EXEMPT,
        "127.0.0.8": Access.EXEMPT | Access.PUBLIC,
        "127.0.0.9": Access.EXEMPT | Access.PUBLIC | Access.DENIED,
        "::1": Access.EXEMPT,
        "::2": Access.PLAIN,
        "128.0.0.0": Access.PLAIN,
    }
    assert {each: access_of(made, client_at(each)) for each in expected} == expected


def test_every_address_of_a_small_world() -> None:
    lists = [networks(each) for each in (["0.0.0.0/1", "0.0.0.128/26"], ["0.0.0.0/25", "0.0.0.144/28", "::/0"], [], [])]
    made = access_list(*lists)
    for last in range(256):
        address = ip_address(last)
        within = [
            (network.prefixlen + (96 if network.version == 4 else 0), number)
            for number, listed in enumerate(lists)
            for network in listed
            if network.version == 6 or address in network
        ]
        assert (access_of(made, client_at(str(address))) == Access.DENIED) == (max(within)[1] == 1)


@pytest.mark.parametrize("text", ["10.0.0.1/8", "example.org", "", "300.0.0.0/8"])
def test_what_is_no_network_is_one_line(text: str) -> None:
    with pytest.raises(ConfigError, match=r"is no network: .*; write 192\.0\.2\.0/24"):
        networks([text])
