"""Who connected to us: the trust boundary in a chain of `Received` lines."""

import ipaddress
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final

import msgspec

from whimbrel.errors import ConfigError
from whimbrel.model.address import is_public
from whimbrel.model.reading import Hop
from whimbrel.wire.received import FETCHMAIL, LOCAL

TRUST_VERSION: Final = 1


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """Which servers are ours: told by the operator (networks, names), or inferred (networks, with the reason of each)."""

    networks: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    inferred: tuple[str, ...] = ()
    version: int = TRUST_VERSION

    def holds(self, address: str, rdns: str | None) -> bool:
        """Tell whether a peer is ours, by its address or by the name that our own server looked up for it."""
        if _within(address, self.networks) or _within(address, self.inferred):
            return True
        return rdns is not None and any(rdns == name or rdns.endswith("." + name) for name in self.names)

    def to_json(self) -> bytes:
        """Return the stored form."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, stored: bytes) -> "Trust":
        """Read the stored form; raises ConfigError where it is none."""
        try:
            return msgspec.json.decode(stored, type=cls)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise ConfigError(f"trust: {error}") from error


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
    """Return the first peer from the top (newest line first) that is not ours; None where there is none (see `absence`)."""
    found = _walk(hops, trust)
    return found if isinstance(found, Connection) else None


def absence(hops: Sequence[Hop], trust: Trust) -> str | None:
    """Return why there is no connecting client, or None where there is one."""
    found = _walk(hops, trust)
    return found if isinstance(found, str) else None


def parse_trust(texts: Iterable[str]) -> Trust:
    """Read what the operator told: addresses, networks in CIDR form, host names, `.suffix` or `*.suffix` alike.

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
            if (
                "." not in name
                or not all(part and part.replace("-", "a").isalnum() for part in name.split("."))
                or (name.rpartition(".")[2].isdigit())
            ):
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
            if hop.form in (LOCAL, FETCHMAIL):
                continue
            return f"line {index + 1} does not tell the peer's address ({hop.form})"
        if not is_public(hop.address) or trust.holds(hop.address, hop.rdns):
            continue
        below = len(hops) - index - 1
        return Connection(hop.address, index, hop.helo, hop.rdns, at, below, hop.trace_sha256)
    return "every line is a hand-over between our own servers"


@lru_cache(maxsize=65_536)
def _within(address: str, networks: tuple[str, ...]) -> bool:
    parsed = ipaddress.ip_address(address)
    return any(parsed in ipaddress.ip_network(network) for network in networks)
