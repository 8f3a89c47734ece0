"""Ranges of addresses, laid out so that one search says which of them is the narrowest around a host.

A host is a number: an IPv4 address its 32 bits, an IPv6 /64 its upper 64 (`model.address`).  Ranges may lie within each
other, as prefixes do, and then the narrowest holds (longest-prefix match, RFC 1812, section 5.2.4.3).
"""

import ipaddress
from collections.abc import Sequence
from socket import AF_INET, AF_INET6, inet_pton
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

# What is known of hosts: the AS that announces them, and the network in which a table has them.
NETWORKS = pa.schema([pa.field("host", pa.string()), pa.field("asn", pa.int64()), pa.field("prefix", pa.string())])

Keys = NDArray[np.uint64]
Places = NDArray[np.int64]

_BITS = {4: 32, 6: 64}
_LOW = (1 << 64) - 1  # the lower half of an IPv6 address, within a host


class Range(NamedTuple):
    """Hosts from `first` to `last`, both included, as numbers of IP version 4 or 6."""

    version: int
    first: int
    last: int

    def __str__(self) -> str:
        """Return it as a prefix, or as `first-last` where it is none."""
        size = self.last - self.first + 1
        length = _BITS[self.version] + 1 - size.bit_length()
        first, last = _address(self.version, self.first), _address(self.version, self.last)
        return f"{first}/{length}" if size & (size - 1) == 0 and self.first % size == 0 else f"{first}-{last}"


class CrossedError(Exception):
    """Two ranges overlap, and neither lies within the other (or both are the same): `one` and `other` by place."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__(one, other)
        self.one, self.other = one, other


class Laid(NamedTuple):
    """Disjoint stretches: from each of `starts` on, the range at place `which` holds (-1: none)."""

    starts: Keys
    which: Places

    def find(self, keys: Keys) -> Places:
        """Return for each host the place of the narrowest range around it, or -1."""
        if not self.starts.size:
            return np.full(keys.size, -1, dtype=np.int64)
        at = np.searchsorted(self.starts, keys, side="right") - 1
        return np.where(at < 0, -1, self.which[np.maximum(at, 0)])


def prefix_range(address: str, length: int) -> Range | None:
    """Return the hosts of a prefix; None where it is narrower than a host.

    Raises ValueError, with what is wrong, where it is no prefix.
    """
    version, number = _number(address)
    bits = 32 if version == 4 else 128
    if not 0 <= length <= bits:
        raise ValueError(f"a prefix of IPv{version} is at most /{bits}")
    inside = (1 << bits - length) - 1
    if number & inside:
        raise ValueError(f"the address of a prefix is its first; write {_text(version, number & ~inside)}/{length}")
    return _hosts(version, number, number | inside)


def address_range(first: str, last: str) -> Range | None:
    """Return the hosts between two addresses, both included; None where there is no whole host in between.

    Raises ValueError, with what is wrong, where these are no two addresses in order.
    """
    (version, begin), (other, end) = _number(first), _number(last)
    if version != other or end < begin:
        raise ValueError("a range is two addresses of one kind, the first and the last")
    return _hosts(version, begin, end)


def lay_out(ranges: Sequence[Range]) -> Laid:
    """Return ranges of one version as disjoint stretches.

    Raises CrossedError where two overlap and neither lies strictly within the other.
    """
    firsts, lasts = [one.first for one in ranges], [one.last for one in ranges]
    starts: list[int] = []
    which: list[int] = []

    def begin(at: int, place: int) -> None:
        if starts and starts[-1] == at:
            which[-1] = place
        else:
            starts.append(at)
            which.append(place)

    around: list[int] = []  # places of the ranges that hold at the sweep's position, the narrowest last

    def leave(before: int) -> None:
        while around and lasts[around[-1]] < before:
            ended = lasts[around.pop()]
            begin(ended + 1, around[-1] if around else -1)

    # By first address, the widest first; in order of places where both are the same.
    for place in np.lexsort((~np.array(lasts, np.uint64), np.array(firsts, np.uint64))).tolist():
        leave(firsts[place])
        if around and (lasts[place] > lasts[around[-1]] or ranges[place] == ranges[around[-1]]):
            raise CrossedError(around[-1], place)
        begin(firsts[place], place)
        around.append(place)
    leave(_LOW + 1)
    if starts and starts[-1] > _LOW:  # the end of all addresses
        del starts[-1], which[-1]
    return Laid(np.array(starts, dtype=np.uint64), np.array(which, dtype=np.int64))


def keys(hosts: Sequence[str]) -> tuple[NDArray[np.bool_], Keys]:
    """Return whether each host (canonical text) is of IPv6, and all of them as numbers."""
    ipv6 = np.array([":" in host for host in hosts], dtype=bool)
    numbers = np.empty(len(hosts), dtype=np.uint64)
    packed = b"".join(inet_pton(AF_INET, host) for host in hosts if ":" not in host)
    numbers[~ipv6] = np.frombuffer(packed, dtype=">u4")
    packed = b"".join(inet_pton(AF_INET6, host.partition("/")[0])[:8] for host in hosts if ":" in host)
    numbers[ipv6] = np.frombuffer(packed, dtype=">u8")
    return ipv6, numbers


def _number(address: str) -> tuple[int, int]:
    version = 6 if ":" in address else 4
    try:
        return version, int.from_bytes(inet_pton(AF_INET6 if version == 6 else AF_INET, address))
    except (OSError, ValueError):  # no address; a letter that is none of an address
        raise ValueError(f"{address!r:.60} is no address") from None


def _hosts(version: int, first: int, last: int) -> Range | None:
    if version == 4:
        return Range(4, first, last)
    # Only whole hosts: an IPv6 range that begins or ends within a /64 does not hold that one.
    begin, end = (first >> 64) + (first & _LOW > 0), (last >> 64) - (last & _LOW < _LOW)
    return Range(6, begin, end) if begin <= end else None


def _address(version: int, key: int) -> str:
    return _text(version, key if version == 4 else key << 64)


def _text(version: int, number: int) -> str:
    return str(ipaddress.IPv4Address(number) if version == 4 else ipaddress.IPv6Address(number))
