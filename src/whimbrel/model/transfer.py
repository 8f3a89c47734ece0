"""Who may take a copy of the zone, and who is told of a new one.

A transfer wants both: a key that signs what is asked (RFC 8945), and an address within a prefix that is named.
"""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import NamedTuple

import msgspec

from whimbrel.errors import ConfigError
from whimbrel.model.endpoint import Endpoint, parse_endpoint

DNS_PORT = 53


class Secondary(NamedTuple):
    """A name server that is told of every new list (RFC 1996), signed by the key of a name where one is given."""

    endpoint: Endpoint
    key: str | None = None

    def __str__(self) -> str:
        """Return it as it is written: `key@192.0.2.53:53`."""
        return f"{self.key}@{self.endpoint}" if self.key else str(self.endpoint)


class TransferSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who may take the zone: with a key of the file `keys`, from an address within `allowed`; `notify` are told."""

    keys: str
    allowed: tuple[IPv4Network | IPv6Network, ...]
    notify: tuple[Secondary, ...] = ()

    def allows(self, address: str) -> bool:
        """Tell whether an address may ask for a transfer."""
        asked = ip_address(address.partition("%")[0])
        return any(asked in network for network in self.allowed)


def transfer_settings(keys: str, allowed: Sequence[str], notify: Sequence[str]) -> TransferSettings | None:
    """Return the settings of transfers, or None where nobody gets any.

    `keys` is the path of a key file, `allowed` prefixes, `notify` secondaries as `[KEY@]ADDRESS[:PORT]`.  Raises
    ConfigError where one of them is wrong, or one of the first two is missing.
    """
    if not keys and not allowed and not notify:
        return None
    if not keys or not allowed:
        missing = "the file of keys that sign transfers" if not keys else "the addresses that may ask for one"
        raise ConfigError(f"transfers want both keys and addresses, and {missing} is not given: give both, or neither")
    return TransferSettings(
        keys=keys,
        allowed=tuple(_prefix(text) for text in allowed),
        notify=tuple(parse_secondary(text) for text in notify),
    )


def parse_secondary(text: str) -> Secondary:
    """Read `[KEY@]ADDRESS[:PORT]`.  Raises ConfigError where it is none."""
    key, at, where = text.rpartition("@")
    try:
        endpoint = parse_endpoint(where, DNS_PORT)
    except ValueError:
        endpoint = None
    if endpoint is None or not endpoint.port or (at and not key):
        raise ConfigError(f"{text!r} is no secondary; write 192.0.2.53, 192.0.2.53:5353 or key.example@192.0.2.53")
    return Secondary(endpoint, key or None)


def _prefix(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ConfigError(f"{text!r} is no prefix ({error}); write 192.0.2.53 or 192.0.2.0/24") from None
