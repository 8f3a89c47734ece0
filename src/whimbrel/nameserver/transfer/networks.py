"""Listed networks as names of a zone: wildcards, where DNS can say them.

A wildcard covers what does not exist (RFC 4592), so each name that exists within a network hides the network's wildcard
from all that is beneath that name: it gets a wildcard of its own.  A prefix that ends within a label is as many
wildcards as there are labels; where a wildcard would say too much (`owners.says_only_itself`), its addresses are
named one by one.
"""

from collections.abc import Iterator
from typing import NamedTuple

from whimbrel.nameserver.transfer import owners
from whimbrel.nameserver.transfer.hosts import Hosts
from whimbrel.nameserver.transfer.said import Said, Sayings
from whimbrel.wire.snapshot import Snapshot, layout


class _Network(NamedTuple):
    key: int
    prefix: int
    said: Said


def network_names(snapshot: Snapshot, sayings: Sayings) -> Iterator[tuple[bytes, Said]]:
    """Yield each name that the networks of a snapshot give, with what it says; no name twice, none that a host has."""
    for family in (4, 6):
        networks = sorted(_networks(snapshot, family, sayings))
        yield from _Tree(family, Hosts(snapshot, family)).names(0, 0, None, networks)


def _networks(snapshot: Snapshot, family: int, sayings: Sayings) -> Iterator[_Network]:
    groups = snapshot.section(f"ipv{family}.net.group").cast("I")
    keys = snapshot.section(f"ipv{family}.net.key").cast("I" if family == 4 else "Q")
    classes = snapshot.section(f"ipv{family}.net.class").cast("I")
    for at in range(0, len(groups), layout.GROUP_COLUMNS):
        prefix, start, count = groups[at : at + layout.GROUP_COLUMNS]
        for row in range(start, start + count):
            said = sayings[classes[row]]
            yield _Network(keys[row], prefix, said)


class _Tree:
    """The names of one family as a tree of labels: a node is the network of all addresses that begin alike."""

    def __init__(self, family: int, hosts: Hosts) -> None:
        self._family = family
        self._hosts = hosts
        self._bits = owners.BITS[family]
        self._label_bits = owners.LABEL_BITS[family]

    def names(
        self, key: int, prefix: int, cover: _Network | None, inside: list[_Network]
    ) -> Iterator[tuple[bytes, Said]]:
        """Yield the names at and beneath a node that `cover` covers, whose own networks are `inside`, wider first."""
        is_said = cover is not None and owners.says_only_itself(self._family, key, prefix)
        if cover is not None and is_said:
            yield owners.wildcard(self._family, key, prefix), self._fitted(cover)
        size = 1 << (self._bits - prefix - self._label_bits)
        covers, within = self._shared_out(key, prefix + self._label_bits, inside)
        children = covers.keys() | within.keys()
        if cover is not None and not is_said:
            children |= set(range(1 << self._label_bits))
        elif cover is not None and size > 1:
            children |= set(self._hosts.steps(key, key + (size << self._label_bits) - 1, size))
        for child in sorted(children):
            beneath = key + child * size
            own = covers.get(child, cover)
            if size > 1:
                yield from self.names(beneath, prefix + self._label_bits, own, within.get(child, []))
            elif own is not None and not self._hosts.has(beneath) and (self._family, beneath) != (4, owners.LOCALHOST):
                yield owners.host(self._family, beneath), self._fitted(own, beneath)

    def _shared_out(
        self, key: int, prefix: int, inside: list[_Network]
    ) -> tuple[dict[int, _Network], dict[int, list[_Network]]]:
        """Return, by child, the narrowest network that covers it whole, and those that lie within it."""
        covers: dict[int, _Network] = {}
        within: dict[int, list[_Network]] = {}
        for network in inside:
            first = (network.key - key) >> (self._bits - prefix)
            if network.prefix > prefix:
                within.setdefault(first, []).append(network)
                continue
            for child in range(first, first + (1 << (prefix - network.prefix))):
                covers[child] = network
        return covers, within

    def _fitted(self, network: _Network, host: int | None = None) -> Said:
        """Return what a network says, with its own name in the text: nobody fills in the address that is asked for."""
        one = host is not None and self._family == 4
        target = owners.written(4, host or 0, 32) if one else owners.written(self._family, *network[:2])
        return network.said.of(target)
