"""What may be listed, as the snapshot has it: hosts, networks, ranges and names, read from text.

What can only be a mistake is refused: it would come near "everything is listed", or list what is never anybody's.
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_network, summarize_address_range

from whimbrel.errors import ConfigError
from whimbrel.wire import dns
from whimbrel.wire.snapshot.layout import MAX_NAME_LABELS
from whimbrel.wire.snapshot.names import wire_of

# Wider than any registry gives to one party (RFC 1366's class A; RIPE-738: at most a /19 at first, /16s exist by
# growth): a listing so wide is a mistake.
WIDEST_IPV4_BITS = 8
WIDEST_IPV6_BITS = 16

_IPV4_BITS = 32
_IPV6_HOST_BITS = 64
_LOOPBACK = ip_network("127.0.0.0/8")
# Everything IPv4-like in IPv6 clothes, the loopback and the unspecified address: listed there is never anybody.
_IPV6_LOOPBACK = ip_network("::/64")

# RFC 1035's letters, digits and hyphens, with the underscore of `_email` and other names that are no host's.
_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", re.ASCII)
# Test entries (RFC 5782, section 5, in front of a zone) and a name that is never listed; RFC 2606 keeps both from use.
_RESERVED = {"test", "invalid"}
_LEAST_WILDCARD_LABELS = 2

Prefix = tuple[int, int]  # key, prefix length


def prefixes_of(target: str) -> tuple[int, list[Prefix]]:
    """Return family and prefixes of a host, a network, or a range of IPv4 addresses (`192.0.2.5-192.0.2.77`).

    Keys are IPv4 addresses or the upper halves of IPv6 ones.  Raises ConfigError where it is none of these, or cannot
    be listed.
    """
    first, dash, last = target.partition("-")
    try:
        if dash:
            networks = list(summarize_address_range(IPv4Address(first), IPv4Address(last)))
            return 4, _ipv4_prefixes(target, networks)
        network = ip_network(target)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"listing of {target!r}: {error}") from None
    if isinstance(network, IPv4Network):
        return 4, _ipv4_prefixes(target, [network])
    return 6, [_ipv6_prefix(network)]


def name_of(name: str, *, wildcard: bool) -> bytes:
    """Return a name in wire form and lower case; raises ConfigError where it cannot be listed.

    `wildcard`: all names beneath it would be listed, too.  The root's empty label is left out.
    """
    written = name.rstrip(".").lower()
    labels = written.split(".")
    problem = ""
    if not _NAME.fullmatch(written):
        problem = "a name has letters, digits, hyphens and underscores, others in IDNA form (xn--...)"
    elif len(labels) > MAX_NAME_LABELS:
        problem = f"a name has at most {MAX_NAME_LABELS} labels"
    elif labels[-1] in _RESERVED:
        problem = f"names beneath .{labels[-1]} are for tests"
    elif labels[-1].isdigit():
        problem = "it is an address, not a name"
    elif wildcard and len(labels) < _LEAST_WILDCARD_LABELS:
        problem = "all names beneath a top-level domain are too many"
    try:
        dns.write_name(written)
    except ValueError as error:
        problem = problem or str(error)
    if problem:
        raise ConfigError(f"listing of {name!r}: {problem}; it is not published")
    return wire_of(tuple(label.encode() for label in labels))


def _ipv4_prefixes(target: str, networks: list[IPv4Network]) -> list[Prefix]:
    addresses = sum(network.num_addresses for network in networks)
    if addresses > 1 << (_IPV4_BITS - WIDEST_IPV4_BITS) or any(network.overlaps(_LOOPBACK) for network in networks):
        raise ConfigError(f"listing of {target}: loopback, or wider than a /{WIDEST_IPV4_BITS}; it is not published")
    return [(int(network.network_address), network.prefixlen) for network in networks]


def _ipv6_prefix(network: IPv6Network) -> Prefix:
    if not WIDEST_IPV6_BITS <= network.prefixlen <= _IPV6_HOST_BITS or network.overlaps(_IPV6_LOOPBACK):
        raise ConfigError(
            f"listing of {network}: must be a /{WIDEST_IPV6_BITS} to /64 beside ::/64; it is not published"
        )
    return int(network.network_address) >> _IPV6_HOST_BITS, network.prefixlen
