import pytest

from whimbrel.nameserver.guards.client import client_at, prefix_text


@pytest.mark.parametrize(
    ("address", "packed", "prefix"),
    [
        ("192.0.2.77", "c000024d", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "c000024d", "192.0.2.0/24"),
        ("2001:db8:1:2ff::5", "20010db8000102ff0000000000000005", "2001:db8:1:200::/56"),
        ("::1", "00000000000000000000000000000001", "::/56"),
        ("fe80::1%eth0", "fe800000000000000000000000000001", "fe80::/56"),
    ],
)
def test_an_address_its_bytes_and_its_network(address: str, packed: str, prefix: str) -> None:
    client = client_at(address)
    assert client.packed.hex() == packed
    assert prefix_text(client.prefix) == prefix
    assert client.prefix & 0xFF == 0


def test_what_is_no_address() -> None:
    with pytest.raises(OSError, match="illegal"):
        client_at("localhost")
