"""Names of addresses and networks as a stock name server holds them: in wire form, the zone as a pointer.

Every message repeats the question, so the zone's name stands right behind its header (RFC 5936, section 2.2).
"""

from ipaddress import IPv4Address, IPv6Address

from whimbrel.wire import dns

ZONE = (0xC000 | dns.HEADER.size).to_bytes(2, "big")  # a compression pointer at the question's name
BITS = {4: 32, 6: 64}
LABEL_BITS = {4: 8, 6: 4}
LOCALHOST = 0x7F000001  # never listed (RFC 5782, section 5)

_LOOPBACK_OCTET = 127
_OCTETS = tuple(bytes([len(str(octet))]) + str(octet).encode() for octet in range(256))
_NIBBLES = tuple(b"\x01" + f"{nibble:x}".encode() for nibble in range(16))
_WILDCARD = b"\x01*"
_MAPPED = _NIBBLES[15] * 4 + _NIBBLES[0] * 20  # ::ffff:0:0/96, last digit first (RFC 4291, section 2.5.5.2)


def owners_of_host(family: int, key: int) -> tuple[bytes, ...]:
    """Return the names of a listed host: an IPv6 /64 is a wildcard, a test address has its IPv6 form beside it."""
    if family == 6:
        return (wildcard(6, key, BITS[6]),)
    owner = _ipv4(key, 4) + ZONE
    if key >> 24 != _LOOPBACK_OCTET:
        return (owner,)
    digits = b"".join(_NIBBLES[key >> shift & 15] for shift in range(0, 32, 4))
    return () if key == LOCALHOST else (owner, digits + _MAPPED + ZONE)


def host(family: int, key: int) -> bytes:
    """Return the name of an IPv4 address, or the wildcard of an IPv6 /64."""
    return wildcard(6, key, BITS[6]) if family == 6 else _ipv4(key, 4) + ZONE


def wildcard(family: int, key: int, prefix: int) -> bytes:
    """Return the wildcard of a network whose prefix ends where a label does."""
    labels = prefix // LABEL_BITS[family]
    return _WILDCARD + (_ipv4(key, labels) if family == 4 else _ipv6(key, labels)) + ZONE


def says_only_itself(family: int, key: int, prefix: int) -> bool:
    """Tell whether the wildcard of such a network covers names of its own addresses and no others.

    `*.0.0.2`, 2.0.0.0/24, would also cover the names of 2001::/16, which end in `1.0.0.2`: where every octet is one
    digit, the name is the end of IPv6 names too.  In the same way an IPv6 wildcard of less than four labels would cover
    IPv4 names.  And none may cover 127.0.0.1.
    """
    if family == 6:
        return prefix >= 4 * LABEL_BITS[6]
    octets = [key >> shift & 255 for shift in range(24, 24 - prefix, -8)]
    localhost = LOCALHOST >> (BITS[4] - prefix) == key >> (BITS[4] - prefix)
    return any(octet > 9 for octet in octets) and not localhost


def written(family: int, key: int, prefix: int) -> str:
    """Return a target as people write it: an IPv4 host as an address, all else with its prefix length."""
    if family == 4:
        address = str(IPv4Address(key))
        return address if prefix == BITS[4] else f"{address}/{prefix}"
    return f"{IPv6Address(key << 64)}/{prefix}"


def _ipv4(key: int, labels: int) -> bytes:
    return b"".join(_OCTETS[key >> shift & 255] for shift in range(32 - 8 * labels, 32, 8))


def _ipv6(key: int, labels: int) -> bytes:
    return b"".join(_NIBBLES[key >> shift & 15] for shift in range(64 - 4 * labels, 64, 4))
