"""Any list at all, with networks in networks and hosts in them, where names of both families meet and where not."""

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, IPv6Network

from hypothesis import strategies as st
from tests.listed import listing

from whimbrel.model.listing import Code
from whimbrel.publishing import Entries
from whimbrel.wire.snapshot import Snapshot

BORN = datetime(2002, 7, 27, 12, tzinfo=UTC)
EXPIRES = BORN + timedelta(days=1)

Targets = dict[str, tuple[Code, int]]  # code, seconds of its term


def _spelled(digits: tuple[int, ...], bits: int) -> int:
    value = 0
    for digit in digits:
        value = value << bits | digit
    return value


# Octets of one digit are digits of IPv6 names as well; 2.0.0.1 is the beginning of 2001::/16.
_octets = st.sampled_from((0, 1, 2, 9, 10, 192, 255))
_nibbles = st.sampled_from((0, 1, 2, 9, 15))
ipv4_keys = st.builds(lambda *octets: _spelled((*octets,), 8), st.sampled_from((2, 192)), *[_octets] * 3)
ipv6_keys = st.builds(lambda *nibbles: _spelled((*nibbles,), 4), st.just(2), *[_nibbles] * 15)


def _ipv4(key: int, prefix: int) -> str:
    network = IPv4Network((key, prefix), strict=False)
    return str(network.network_address) if prefix == 32 else str(network)


def _ipv6(key: int, prefix: int) -> str:
    return str(IPv6Network((key << 64, prefix), strict=False))


_targets = st.one_of(
    st.builds(_ipv4, ipv4_keys, st.just(32)),
    st.builds(_ipv4, ipv4_keys, st.sampled_from((22, 23, 24, 25, 28, 31))),
    st.builds(_ipv4, ipv4_keys.map(lambda key: key | 192 << 24), st.sampled_from((14, 16, 20))),
    st.builds(_ipv6, ipv6_keys, st.just(64)),
    st.builds(_ipv6, ipv6_keys, st.sampled_from((16, 18, 19, 20, 32, 47, 48, 59, 60, 61, 62, 63))),
)
_said = st.tuples(st.sampled_from((Code.SPAM_SOURCE, Code.INFECTED, Code.NETWORK)), st.sampled_from((3600, 7200)))
lists = st.dictionaries(_targets, _said, max_size=12)


def snapshot_of(targets: Targets, serial: int = 7, zone: str = "bl.example") -> Snapshot:
    """Return the snapshot of a list."""
    entries = Entries.of(listing(target, code, BORN, seconds) for target, (code, seconds) in targets.items())
    return Snapshot(entries.moment().snapshot(zone=zone, serial=serial, born=BORN, expires=EXPIRES))
