"""Who connected to us: the trust boundary in a chain of `Received` lines.

Every server that takes a message puts its line on top.  So the topmost line is ours by definition, and each line is as
good as the server that wrote it: the peer that our line names is a fact; whether the next line is one as well depends
on whether that peer is ours.  The walk goes down from the top over servers we trust to the first peer that is not
ours.  Below it everything may be forged.

What errors cost.  *Trusting too much* moves the boundary down into lines that a spammer wrote: he goes free and an
innocent of his choice is accused.  *Trusting too little* accuses our own relay, or a mailing list's server: a relay
that carries our good mail too, which the policy sees as ham, so that it is seldom listed; but the spammer behind it
stays unseen.  The first is worse, and somebody else pays for it.  So the walk stops at a peer unless trust is told or
well shown, and a line of ours that tells no address (not of the known local hand-overs) ends the walk with no client
at all.

What shows that a peer is ours, where nobody tells: `inference.py`.
"""

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Final, Literal

import msgspec

from whimbrel.errors import ConfigError
from whimbrel.model.address import is_public, network_of
from whimbrel.model.reading import FETCHMAIL, LOCAL, Hop

TRUST_VERSION: Final = 1

Ground = Literal["own name", "forwards", "pool"]


class Inferred(msgspec.Struct, frozen=True, kw_only=True):
    """A server taken for ours, and on what counts: `share` is of its receiver's chains (a pool's: of all)."""

    network: str
    name: str
    ground: Ground
    chains: int
    share: float
    days: int
    fan_in: int


class Trust(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Which servers are ours: networks and names told by the operator, and what was inferred."""

    networks: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    inferred: tuple[Inferred, ...] = ()
    version: int = TRUST_VERSION

    def holds(self, hop: Hop) -> bool:
        """Tell whether a line's peer is ours: by address, or by a confirmed name at or below one told."""
        if hop.address is None:
            return False
        if _within(hop.address, self.all_networks):
            return True
        name = hop.rdns if hop.rdns_confirmed else None
        return name is not None and any(name == told or name.endswith("." + told) for told in self.names)

    @cached_property
    def all_networks(self) -> tuple[str, ...]:
        """The networks told and inferred."""
        return self.networks + tuple(one.network for one in self.inferred)

    def to_json(self) -> bytes:
        """Return the stored form."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, stored: bytes) -> "Trust":
        """Read the stored form; raises ConfigError where it is none, or of another version."""
        try:
            trust = msgspec.json.decode(stored, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"trust: the stored form is damaged: {error}") from error
        if trust.version != TRUST_VERSION:
            raise ConfigError(f"trust: stored with version {trust.version}, this is version {TRUST_VERSION}")
        parse_trust(trust.all_networks + trust.names)
        return trust


class Connection(msgspec.Struct, frozen=True):
    """The connection by which a message came to us; `at` in UTC, `received_below` counts the lines below the peer's."""

    peer: str
    hop_index: int
    helo: str | None
    rdns: str | None
    at: datetime | None
    received_below: int
    trace_sha256: bytes


def connecting_client(hops: Sequence[Hop], trust: Trust) -> Connection | None:
    """Return the first peer from the top that is not ours; None where there is none (see `absence`)."""
    found = _walk(hops, trust)
    return found if isinstance(found, Connection) else None


def absence(hops: Sequence[Hop], trust: Trust) -> str | None:
    """Return why there is no connecting client, as a short clause; None where there is one."""
    found = _walk(hops, trust)
    return found if isinstance(found, str) else None


def was_passed_on(hops: Sequence[Hop], client: Connection) -> bool:
    """Tell whether the client took the message from a stranger, as far as the lines below its own tell.

    A server that forwards writes whom it has it from, and that line stands above all that a sender could make up.  So a
    message whose lines name nobody but the client's own network, private addresses and hand-overs on one machine began
    there.  A line that does not tell its peer's address may hide anybody.
    """
    network = network_of(client.peer)
    for hop in hops[client.hop_index + 1 :]:
        if hop.address is None:
            if hop.form != LOCAL:
                return True
        elif is_public(hop.address) and network_of(hop.address) != network:
            return True
    return False


def parse_trust(texts: Iterable[str]) -> Trust:
    """Read what the operator told: addresses, networks (CIDR), and host names, which stand for all names below them
    too.

    Raises ConfigError with one line that names the bad value.
    """
    networks: set[str] = set()
    names: set[str] = set()
    for text in texts:
        told = text.strip()
        try:
            networks.add(str(ipaddress.ip_network(told, strict=False)))
        except ValueError:
            name = told.removeprefix("*").strip(".").lower()
            if not _is_host_name(name):
                raise ConfigError(
                    f"trust: {text!r} is neither an address, a network such as 192.0.2.0/24, nor a host name"
                ) from None
            names.add(name)
    return Trust(networks=tuple(sorted(networks)), names=tuple(sorted(names)))


def _walk(hops: Sequence[Hop], trust: Trust) -> Connection | str:
    if not hops:
        return "no Received line"
    at = None
    for index, hop in enumerate(hops):
        at = hop.at or at
        if hop.address is None:
            if hop.form in {LOCAL, FETCHMAIL}:
                continue
            return f"line {index + 1} does not tell the peer's address ({hop.form})"
        if not is_public(hop.address) or trust.holds(hop):
            continue
        below = len(hops) - index - 1
        return Connection(hop.address, index, hop.helo, hop.rdns, at, below, hop.trace_sha256)
    return "every peer is a server of ours, or has no public address"


def _is_host_name(name: str) -> bool:
    labels = name.split(".")
    letters = all(label and label.replace("-", "a").isalnum() and label.isascii() for label in labels)
    return len(labels) > 1 and letters and not labels[-1].isdigit()


@lru_cache(maxsize=65_536)
def _within(address: str, networks: tuple[str, ...]) -> bool:
    """Tell whether an address lies in one of the networks; one look-up a length of prefix, however many there are."""
    if not networks:
        return False
    parsed = ipaddress.ip_address(address)
    number, bits = int(parsed), parsed.max_prefixlen
    return any(number >> bits - length in known for length, known in _parsed(networks, bits))


@lru_cache(maxsize=128)  # two for each set of networks, one set a sensor
def _parsed(networks: tuple[str, ...], bits: int) -> tuple[tuple[int, frozenset[int]], ...]:
    """Return the leading bits of the networks among addresses of `bits`, by length of prefix."""
    known: defaultdict[int, set[int]] = defaultdict(set)
    for network in map(ipaddress.ip_network, networks):
        if network.max_prefixlen == bits:
            known[network.prefixlen].add(int(network.network_address) >> bits - network.prefixlen)
    return tuple((length, frozenset(heads)) for length, heads in known.items())
