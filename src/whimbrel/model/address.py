"""Addresses as text, and what they belong to.

The *host* is the unit of all evidence: one IPv4 address, or one IPv6 /64, because a single IPv6 machine is commonly
given a whole /64 (RFC 6177) and picks addresses in it at will (RFC 8981).  The *network* is the unit of neighbourhood:
a /24 or a /48.  An IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2) is the IPv4 address.
"""

import ipaddress
import re
from functools import lru_cache

# Addresses repeat (a relay is seen thousands of times); 64 Ki texts of at most 43 characters stay under 16 MB.
_CACHED_ADDRESSES = 65_536

# The first octets below 224 in which some block is not for strangers (IANA's special-purpose registry, RFC 6890).
_MIXED_OCTETS = frozenset({"0", "10", "100", "127", "169", "172", "192", "198", "203"})
_PLAIN = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!\Z)|\Z)){4}")
_MULTICAST_OCTET = 224  # and above it, what is reserved (RFC 1112, section 4)


@lru_cache(maxsize=_CACHED_ADDRESSES)
def parse_address(text: str) -> str | None:
    """Return the canonical text of an IPv4 or IPv6 address, or None where `text` is none.

    Accepts what mail writes around one: brackets, the `IPv6:` tag of RFC 5321 section 4.1.3, a zone id, blanks.
    """
    if _PLAIN.fullmatch(text):  # nearly all; `ipaddress` needs five times as long
        return text
    bare = text.strip().strip("[]")
    if bare[:5].lower() == "ipv6:":
        bare = bare[5:]
    bare = bare.partition("%")[0]
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


@lru_cache(maxsize=_CACHED_ADDRESSES)
def host_of(address: str) -> str:
    """Return the host of a canonical address: the IPv4 address itself, or the IPv6 /64 as `2001:db8::/64`."""
    if ":" not in address:
        return address
    return _covering(address.partition("/")[0], 64)


@lru_cache(maxsize=_CACHED_ADDRESSES)
def network_of(host: str) -> str:
    """Return the network of a canonical address or host: the /24 of an IPv4 one, the /48 of an IPv6 one."""
    bare = host.partition("/")[0]
    return _covering(bare, 48) if ":" in bare else f"{bare.rpartition('.')[0]}.0/24"


@lru_cache(maxsize=_CACHED_ADDRESSES)
def is_public(address: str) -> bool:
    """Tell whether a canonical address can belong to a stranger: neither private, loopback, reserved nor multicast."""
    first, dot, _ = address.partition(".")
    if dot and first.isdigit() and first not in _MIXED_OCTETS:
        return int(first) < _MULTICAST_OCTET
    parsed = ipaddress.ip_address(address.partition("/")[0])
    return parsed.is_global and not parsed.is_multicast


def _covering(address: str, prefix_bits: int) -> str:
    return str(ipaddress.ip_network((address, prefix_bits), strict=False))
