"""Who may ask: networks allowed, denied, not limited, and those of public resolvers.

Of the allowed and denied the most specific network decides; where any is allowed, whoever is in none is denied.  The
networks are laid out as intervals of addresses, so a look is one binary search.  The same, compiled, is in `fast.py`.
"""

from bisect import bisect_left
from collections.abc import Iterable
from enum import IntFlag
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whimbrel.errors import ConfigError
from whimbrel.nameserver.guards.client import Client

Network = IPv4Network | IPv6Network

_MAPPED = 0xFFFF << 32
_HALF = 0xFFFFFFFFFFFFFFFF
_LAST = (1 << 128) - 1


class Access(IntFlag):
    """What holds for an address."""

    PLAIN = 0
    DENIED = 1
    EXEMPT = 2  # from rate limiting
    PUBLIC = 4  # a public resolver's


class AccessList(NamedTuple):
    """Intervals in ascending order, the first at `::`; each ends where the next begins."""

    high: NDArray[np.uint64]
    low: NDArray[np.uint64]
    flags: NDArray[np.uint8]


def access_of(accesses: AccessList, client: Client) -> Access:
    """Return what holds for a client."""
    first, behind = 0, len(accesses.flags)
    while behind - first > 1:
        middle = (first + behind) // 2
        if (int(accesses.high[middle]), int(accesses.low[middle])) <= client:
            first = middle
        else:
            behind = middle
    return Access(int(accesses.flags[first]))


def access_list(
    allow: Iterable[Network] = (),
    deny: Iterable[Network] = (),
    exempt: Iterable[Network] = (),
    public: Iterable[Network] = (),
) -> AccessList:
    """Return the intervals of some networks."""
    allowed, denied, exempted, opened = ([_span(each) for each in listed] for listed in (allow, deny, exempt, public))
    edges = {edge for spans in (allowed, denied, exempted, opened) for span in spans for edge in span}
    starts = sorted({0} | {edge for edge in edges if edge <= _LAST})
    flags = np.full(len(starts), Access.DENIED if allowed else Access.PLAIN, np.uint8)

    def within(span: tuple[int, int]) -> slice:
        return slice(bisect_left(starts, span[0]), bisect_left(starts, span[1]))

    # Wide networks first, so that narrow ones overwrite them; of two alike the denial is the last word.
    told = [(span, Access.PLAIN) for span in allowed] + [(span, Access.DENIED) for span in denied]
    for span, access in sorted(told, key=lambda each: (each[0][0] - each[0][1], each[1])):
        flags[within(span)] = access
    for spans, access in ((exempted, Access.EXEMPT), (opened, Access.PUBLIC)):
        for span in spans:
            flags[within(span)] |= np.uint8(access)
    high = np.array([start >> 64 for start in starts], np.uint64)
    return AccessList(high, np.array([start & _HALF for start in starts], np.uint64), flags)


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return networks from texts, each an address or a network.  Raises ConfigError that names the one that is none."""
    found: list[Network] = []
    for text in texts:
        try:
            found.append(ip_network(text.strip()))
        except ValueError as error:
            raise ConfigError(f"{text!r} is no network: {error}; write 192.0.2.0/24 or 2001:db8::/32") from None
    return tuple(found)


def _span(network: Network) -> tuple[int, int]:
    """Return where a network begins, and where it has ended."""
    first = int(network.network_address) | (_MAPPED if network.version == 4 else 0)
    return first, first + network.num_addresses
