"""What a name beneath the zone means: an address, or the beginning of one (RFC 5782, section 2).

Addresses stand in names with the last part first, so read from the zone outwards a name is a prefix that grows by
eight bits (a decimal octet) or by four (a hexadecimal digit).  `4.3.2.1` can be either: 1.2.3.4, or the beginning
1234::/16 of IPv6; a combined zone has to think of both.
"""

from typing import NamedTuple

from whimbrel.wire.snapshot.view import Address

_IPV4_LABELS = 4
_IPV6_LABELS = 32
_OCTETS = {str(octet).encode(): octet for octet in range(256)}  # no leading zeros: 1.2.3.04 is not a second 1.2.3.4
_NIBBLES = {f"{nibble:x}".encode(): nibble for nibble in range(16)}

# ::ffff:0:0/96, the IPv6 form of IPv4 addresses (RFC 4291, section 2.5.5.2), as its bits.
_MAPPED_BITS = 96
_MAPPED = 0xFFFF


class Prefix(NamedTuple):
    """The first `bits` bits of addresses of one family."""

    family: int
    value: int
    bits: int


def address_of(labels: tuple[bytes, ...]) -> Address | None:
    """Return the address that labels beneath the zone (leftmost first) spell, or None; a mapped one as IPv4."""
    if len(labels) == _IPV4_LABELS:
        value = _spelled(labels, _OCTETS, 8)
        return None if value is None else (4, value)
    if len(labels) == _IPV6_LABELS:
        value = _spelled(labels, _NIBBLES, 4)
        if value is None:
            return None
        return (4, value & 0xFFFFFFFF) if value >> 32 == _MAPPED else (6, value)
    return None


def prefixes_of(labels: tuple[bytes, ...]) -> list[Prefix]:
    """Return the prefixes whose addresses have names beneath that of these labels, mapped IPv6 ones as IPv4 too."""
    prefixes: list[Prefix] = []
    if len(labels) < _IPV4_LABELS:
        octets = _spelled(labels, _OCTETS, 8)
        if octets is not None:
            prefixes.append(Prefix(4, octets, 8 * len(labels)))
    if len(labels) < _IPV6_LABELS:
        nibbles = _spelled(labels, _NIBBLES, 4)
        if nibbles is not None:
            prefixes += _ipv6_prefixes(nibbles, 4 * len(labels))
    return prefixes


def _ipv6_prefixes(value: int, bits: int) -> list[Prefix]:
    if bits > _MAPPED_BITS and value >> (bits - _MAPPED_BITS) == _MAPPED:
        return [Prefix(4, value & ((1 << (bits - _MAPPED_BITS)) - 1), bits - _MAPPED_BITS)]
    within = [Prefix(6, value, bits)]
    if bits <= _MAPPED_BITS and _MAPPED >> (_MAPPED_BITS - bits) == value:
        within.append(Prefix(4, 0, 0))
    return within


def _spelled(labels: tuple[bytes, ...], digits: dict[bytes, int], bits: int) -> int | None:
    value = 0
    for label in reversed(labels):
        digit = digits.get(label.lower())
        if digit is None:
            return None
        value = value << bits | digit
    return value
