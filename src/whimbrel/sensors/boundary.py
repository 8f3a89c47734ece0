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

What shows that a peer P is ours, from chains alone.  No single line can, for P may have written all the lines below.
But:

own name   our topmost lines carry our servers' names (`by`), and fetchmail's lines name the mailboxes that were
           emptied.  A peer whose looked-up name, confirmed by the server (name -> address -> name), is one of these
           names is ours: nobody else controls that zone.  HELO, unconfirmed names and `by` names of lower lines never
           count.
forwards   a server which hands on what strangers gave it *for somebody else than our recipient* (a forwarding or
           subscribed address: the `for` of its line has another domain than the `for` of ours).  Asked of it: many
           messages, a fair share of what the receiver gets, over many days by our own clock; nearly every
           time its own line is the next one; and a wide *fan-in*: the peers in its lines come from many networks.
           Measured on the SpamAssassin mail
           the fan-in splits cleanly: 39 or more networks for relays, lists and backup MXs, at most 7 for
           everybody else, among them newsletter houses (cnet: 1), slashdot (0), yahoogroups (4 a host) and the busiest
           spammer (0).
pool       a provider's inner servers are thousands of IPv6 addresses which each appear once (Exchange Online).  The
           same is asked of a whole IPv6 network (/64, /48, /32), which must hold many hosts; the recipient does not
           change there, so that is not asked.  IPv4 networks are never inferred whole: list hosters and spammers are
           neighbours there.

What remains.  A spammer who mails us from one address for two weeks, for at least a hundredth of our mail, and each
time forges a well-made line of his own with ever new networks and another recipient, would be taken for a forwarder;
then he frames others. That is why every inferred server is recorded with its counts, to be read by a person, and why
trust told is better than trust inferred.  A backup MX (it does not change the recipient) looks like an internet
provider's smarthost and is not inferred: tell it.

The learner keeps the chains with the smallest digests (a bottom-k sample; Cohen and Kaplan 2007), so that its result
is a function of the set of chains alone: any order, any split among workers, and the same mail read twice give the
same trust, in bounded memory.
"""

import ipaddress
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from functools import lru_cache
from hashlib import sha256
from operator import itemgetter
from typing import Final, Literal, NamedTuple

import msgspec

from whimbrel.errors import ConfigError
from whimbrel.model.address import is_public, network_of
from whimbrel.model.reading import Hop
from whimbrel.wire.received import FETCHMAIL, LOCAL

TRUST_VERSION: Final = 1

# Chains kept and lines kept of each: 8,192 of some 6 lines are about 30 MB, and know a share of 1 % to 0.1 %.
SAMPLE_CHAINS: Final = 8_192
CHAIN_LINES: Final = 16
# What is asked of a forwarder or a pool.  Fan-in: the gap measured on the SpamAssassin mail is 7 to 40 networks, 20 is
# its middle on a logarithmic scale.  Chains, share, days: the weakest relay there has 224 chains, 4.7 %, 49 days; the
# lines' own forms vary (a peer that submits mail by itself, a lost line), so nearly all must be its own, not all.
LEAST_CHAINS: Final = 30
LEAST_SHARE: Final = 0.01
LEAST_DAYS: Final = 14
LEAST_FAN_IN: Final = 20
LEAST_SIGNED: Final = 0.95
LEAST_REDIRECTED: Final = 0.5
LEAST_POOL_HOSTS: Final = 20
_POOL_PREFIXES: Final = (64, 48, 32)  # a LAN, a site, a provider's allocation (RFC 6177; RIPE-738)
_MOST_ROUNDS: Final = 8  # relays behind relays; each round trusts one more layer

# Names that every machine may give itself (RFC 6761, 6762; Debian's and Red Hat's default).
_NOBODYS: Final = (".localdomain", ".localhost", ".local")

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


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """Which servers are ours: networks and names told by the operator, and what was inferred."""

    networks: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    inferred: tuple[Inferred, ...] = ()
    version: int = TRUST_VERSION

    def holds(self, hop: Hop, networks: tuple[str, ...] | None = None) -> bool:
        """Tell whether a line's peer is ours: by address, or by a confirmed name at or below one told.

        `networks` are `all_networks()`, where the caller has them at hand.
        """
        if hop.address is None:
            return False
        if _within(hop.address, self.all_networks() if networks is None else networks):
            return True
        name = hop.rdns if hop.rdns_confirmed else None
        return name is not None and any(name == told or name.endswith("." + told) for told in self.names)

    def all_networks(self) -> tuple[str, ...]:
        """Return the networks told and inferred."""
        return self.networks + tuple(one.network for one in self.inferred) if self.inferred else self.networks

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
        parse_trust(trust.all_networks() + trust.names)
        return trust


_NOBODY: Final = Trust()


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


class TrustLearner:
    """Infers our own servers from what a corpus's chains share; a pure function of the set of chains added."""

    def __init__(self, told: Trust | None = None) -> None:
        self._told = told or Trust()
        self._chains: dict[bytes, tuple[Hop, ...]] = {}

    def add(self, hops: Sequence[Hop]) -> None:
        """Take in one message's chain, newest line first."""
        if hops:
            self._chains[sha256(b"".join(hop.trace_sha256 for hop in hops)).digest()] = tuple(hops[:CHAIN_LINES])
            if len(self._chains) > 2 * SAMPLE_CHAINS:
                self._keep_sample()

    def merge(self, other: "TrustLearner") -> None:
        """Take in all that another learner has taken in."""
        self._chains.update(other._chains)  # noqa: SLF001 - the same class
        self._keep_sample()

    def dumps(self) -> list[tuple[bytes, tuple[Hop, ...]]]:
        """Return the sample that all is inferred from, by digest."""
        self._keep_sample()
        return sorted(self._chains.items(), key=itemgetter(0))

    def loads(self, sample: Iterable[tuple[bytes, tuple[Hop, ...]]]) -> None:
        """Take up a sample that `dumps` gave: as if all the chains it was drawn from had been added."""
        self._chains.update(sample)
        self._keep_sample()

    def result(self) -> Trust:
        """Return what was told and, with its counts, what the chains show."""
        self._keep_sample()
        chains = [_Chain(_receiver(hops), hops) for hops in self._chains.values()]
        names = _own_names(chains)
        inferred: dict[str, Inferred] = {}
        trust = self._told
        for _ in range(_MOST_ROUNDS):
            found = _round(chains, trust, names)
            if not found:
                break
            inferred.update((one.network, one) for one in found)
            ordered = tuple(sorted(inferred.values(), key=lambda one: (-one.chains, one.network)))
            trust = msgspec.structs.replace(trust, inferred=ordered)
        return trust

    def _keep_sample(self) -> None:
        if len(self._chains) > SAMPLE_CHAINS:
            self._chains = {digest: self._chains[digest] for digest in sorted(self._chains)[:SAMPLE_CHAINS]}


class _Chain(NamedTuple):
    """One message's lines, newest first, and the server of ours that took it from the first public address."""

    receiver: str
    hops: tuple[Hop, ...]


class _Evidence:
    """What the chains say about one candidate: an address, or an IPv6 network."""

    def __init__(self) -> None:
        self.chains = 0
        self.signed = 0  # the next line is the candidate's own
        self.redirected = 0  # the candidate took the message for another domain's recipient
        self.same_recipient = 0
        self.own_name = 0
        self.hosts: set[str] = set()
        self.days: set[date] = set()
        self.fan_in: set[str] = set()
        self.writers: Counter[str] = Counter()  # `by` of the next line
        self.receivers: Counter[str] = Counter()

    def note(self, receiver: str, hop: Hop, below: Sequence[Hop], names: frozenset[str]) -> None:
        """Count one chain in which the candidate is the first peer not yet trusted, in the line `hop`."""
        assert hop.address is not None
        self.chains += 1
        self.receivers[receiver] += 1
        self.hosts.add(hop.address)
        if hop.at is not None:
            self.days.add(hop.at.date())
        self.own_name += hop.rdns_confirmed and hop.rdns in names
        written = next((line for line in below[:3] if line.by is not None), None)  # qmail's queue lines name nobody
        if written is not None and written.by is not None:
            self.writers[written.by] += 1
            self.signed += written.by_address == hop.address or _same_machine(written.by, hop)
        network = network_of(hop.address)
        peers = (line.address for line in below if line.address is not None and is_public(line.address))
        self.fan_in.update([next((network_of(peer) for peer in peers if network_of(peer) != network), network)])
        taken_for = next((line.for_domain for line in below[:3] if line.for_domain is not None), None)
        if taken_for is not None and hop.for_domain is not None:
            self.redirected += taken_for != hop.for_domain
            self.same_recipient += taken_for == hop.for_domain

    def ground(self, share: float, pool: bool) -> Ground | None:  # noqa: FBT001 - private, two kinds of candidate
        """Return on what ground the candidate is ours, if on any."""
        if self.own_name and self.own_name == self.chains and not pool:
            return "own name"
        # A server may write another name than DNS gives it, but then it writes always the same.
        signed = max(self.signed, max(self.writers.values(), default=0) if not pool else 0)
        if (
            self.chains < LEAST_CHAINS
            or share < LEAST_SHARE
            or len(self.days) < LEAST_DAYS
            or len(self.fan_in) < LEAST_FAN_IN
            or signed < LEAST_SIGNED * self.chains
        ):
            return None
        if pool:
            return "pool" if len(self.hosts) >= LEAST_POOL_HOSTS else None
        told = self.redirected + self.same_recipient
        forwards = 2 * told >= self.chains and self.redirected >= LEAST_REDIRECTED * told
        return "forwards" if forwards else None


def _round(chains: Sequence[_Chain], trust: Trust, names: frozenset[str]) -> list[Inferred]:
    """Look at the first untrusted peer of every chain, and return those that are ours."""
    evidence: defaultdict[str, _Evidence] = defaultdict(_Evidence)
    received: Counter[str] = Counter()
    for receiver, hops in chains:
        received[receiver] += 1
        client = _walk(hops, trust)
        if isinstance(client, str):
            continue
        for candidate in _candidates(client.peer):
            evidence[candidate].note(receiver, hops[client.hop_index], hops[client.hop_index + 1 :], names)
    found: list[Inferred] = []
    for network, seen in evidence.items():
        pool = "/" in network
        of = len(chains) if pool else sum(received[name] for name in seen.receivers)
        share = seen.chains / of
        ground = seen.ground(share, pool)
        if ground is not None:
            name = min(seen.writers, key=lambda by: (-seen.writers[by], by), default="")
            found.append(
                Inferred(
                    network=str(ipaddress.ip_network(network)),
                    name=name,
                    ground=ground,
                    chains=seen.chains,
                    share=round(share, 4),
                    days=len(seen.days),
                    fan_in=len(seen.fan_in),
                )
            )
    return _outermost(found)


def _outermost(found: Sequence[Inferred]) -> list[Inferred]:
    """Leave out the networks that lie in another one that was found as well."""
    networks = tuple(one.network for one in found)
    return [one for one in found if not any(_lies_in(one.network, other) for other in networks)]


def _lies_in(inner: str, outer: str) -> bool:
    address, _, bits = inner.partition("/")
    return int(bits) > int(outer.partition("/")[2]) and _within(address, (outer,))


def _candidates(address: str) -> tuple[str, ...]:
    if ":" not in address:
        return (address,)
    return (address, *(str(ipaddress.ip_network((address, bits), strict=False)) for bits in _POOL_PREFIXES))


def _own_names(chains: Iterable[_Chain]) -> frozenset[str]:
    """Return the names that our topmost lines give our own servers, and fetchmail's mailboxes, each seen often."""
    counts: Counter[str] = Counter()
    for receiver, hops in chains:
        counts.update({receiver, *(hop.rdns for hop in hops if hop.form == FETCHMAIL and hop.rdns is not None)})
    return frozenset(
        name for name, times in counts.items() if times >= LEAST_CHAINS and "." in name and not name.endswith(_NOBODYS)
    )


def _receiver(hops: Sequence[Hop]) -> str:
    """Return the name of the server of ours that took the message from the first public address."""
    client = _walk(hops, _NOBODY)
    return "" if isinstance(client, str) else hops[client.hop_index].by or ""


def _same_machine(by: str, hop: Hop) -> bool:
    """Tell whether a `by` is the peer's own name: as looked up, as said, or by its first label."""
    label = by.partition(".")[0]
    return any(label == name.partition(".")[0].lower() for name in (hop.helo, hop.rdns) if name is not None)


def _walk(hops: Sequence[Hop], trust: Trust) -> Connection | str:
    if not hops:
        return "no Received line"
    at = None
    networks = trust.all_networks()
    for index, hop in enumerate(hops):
        at = hop.at or at
        if hop.address is None:
            if hop.form in {LOCAL, FETCHMAIL}:
                continue
            return f"line {index + 1} does not tell the peer's address ({hop.form})"
        if not is_public(hop.address) or trust.holds(hop, networks):
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
