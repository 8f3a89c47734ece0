"""Who asks: an address as two numbers of 64 bits, IPv4 in IPv6's clothes, so that one table holds both."""

import socket
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple

_MAPPED = 0xFFFF  # ::ffff:0:0/96 (RFC 4291, section 2.5.5.2)

# What belongs to one customer, by BIND's `ipv4-prefix-length` and `ipv6-prefix-length` (its defaults since 9.9.4).
IPV4_PREFIX_BITS = 24
IPV6_PREFIX_BITS = 56


class Client(NamedTuple):
    """An address; `high` and `low` are its halves as IPv6 writes them."""

    high: int
    low: int

    @property
    def is_ipv4(self) -> bool:
        """Tell whether it is an IPv4 address."""
        return self.high == 0 and self.low >> 32 == _MAPPED

    @property
    def packed(self) -> bytes:
        """The address as its own family writes it: 4 bytes or 16."""
        if self.is_ipv4:
            return (self.low & 0xFFFFFFFF).to_bytes(4, "big")
        return self.high.to_bytes(8, "big") + self.low.to_bytes(8, "big")

    @property
    def prefix(self) -> int:
        """Its /24 or /56 as one number, whose last 8 bits are 0; 0:ffff::/32, which nobody has, is IPv4."""
        return (self.low if self.is_ipv4 else self.high) & ~0xFF


def prefix_network(prefix: int) -> IPv4Network | IPv6Network:
    """Return a client's prefix as a network."""
    if prefix >> 32 == _MAPPED:
        return IPv4Network((prefix & 0xFFFFFFFF, IPV4_PREFIX_BITS))
    return IPv6Network((prefix << 64, IPV6_PREFIX_BITS))


def prefix_text(prefix: int) -> str:
    """Return a client's prefix as people write it."""
    return str(prefix_network(prefix))


@lru_cache(maxsize=4096)  # the resolvers that ask now
def client_at(host: str) -> Client:
    """Return the client at an address, as a socket names it (`fe80::1%eth0` too); raises OSError where it is none."""
    if ":" not in host:
        return Client(0, _MAPPED << 32 | int.from_bytes(socket.inet_pton(socket.AF_INET, host), "big"))
    packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    return Client(int.from_bytes(packed[:8], "big"), int.from_bytes(packed[8:], "big"))
