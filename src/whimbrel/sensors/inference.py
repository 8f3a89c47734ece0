"""Which servers are ours, from what a corpus's chains of `Received` lines share.

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
from hashlib import sha256
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from whimbrel.model.address import is_public, network_of
from whimbrel.model.reading import FETCHMAIL, Hop
from whimbrel.sensors.boundary import Ground, Inferred, Trust, connecting_client

if TYPE_CHECKING:
    from datetime import date

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

_NOBODY: Final = Trust()

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


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
        border = _Border(chains, names)
        for _ in range(_MOST_ROUNDS):
            found = border.round(trust)
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


class _Border:
    """The chains, each at its first peer not yet trusted, and the evidence about all such peers."""

    def __init__(self, chains: Sequence[_Chain], names: frozenset[str]) -> None:
        self._chains = chains
        self._names = names
        self._received = Counter(chain.receiver for chain in chains)
        self._waiting = list(chains)
        self._at: defaultdict[str, list[_Chain]] = defaultdict(list)  # by peer
        self._evidence: defaultdict[str, _Evidence] = defaultdict(_Evidence)

    def round(self, trust: Trust) -> list[Inferred]:
        """Look at the first untrusted peer of every chain, and return those that are ours."""
        for chain in self._waiting:
            client = connecting_client(chain.hops, trust)
            if client is None:
                continue
            self._at[client.peer].append(chain)
            hop, below = chain.hops[client.hop_index], chain.hops[client.hop_index + 1 :]
            for candidate in _candidates(client.peer):
                self._evidence[candidate].note(chain.receiver, hop, below, self._names)
        found = _outermost([one for one in map(self._judged, self._evidence) if one is not None])
        self._move_on([one.network for one in found])
        return found

    def _judged(self, network: str) -> Inferred | None:
        seen, pool = self._evidence[network], "/" in network
        of = len(self._chains) if pool else sum(self._received[name] for name in seen.receivers)
        share = seen.chains / of
        ground = seen.ground(share, pool)
        if ground is None:
            return None
        return Inferred(
            network=str(ipaddress.ip_network(network)),
            name=min(seen.writers, key=lambda by: (-seen.writers[by], by), default=""),
            ground=ground,
            chains=seen.chains,
            share=round(share, 4),
            days=len(seen.days),
            fan_in=len(seen.fan_in),
        )

    def _move_on(self, networks: Sequence[str]) -> None:
        """Have the chains that stand at one of these networks look further down in the next round."""
        if any(":" in network for network in networks):  # their evidence is in wider networks, too: begin again
            self._waiting = list(self._chains)
            self._at.clear()
            self._evidence.clear()
            return
        # An IPv4 address is its own and only candidate, so what all others have gathered stands.
        peers = [network.removesuffix("/32") for network in networks]
        self._waiting = [chain for peer in peers for chain in self._at.pop(peer)]
        for peer in peers:
            del self._evidence[peer]


def _outermost(found: Sequence[Inferred]) -> list[Inferred]:
    """Leave out the networks that lie in another one that was found as well."""
    networks = [ipaddress.ip_network(one.network) for one in found]
    return [
        one for one, inner in zip(found, networks, strict=True) if not any(_lies_in(inner, outer) for outer in networks)
    ]


def _lies_in(inner: _Network, outer: _Network) -> bool:
    return inner.version == outer.version and inner.prefixlen > outer.prefixlen and inner.overlaps(outer)


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
    client = connecting_client(hops, _NOBODY)
    return "" if client is None else hops[client.hop_index].by or ""


def _same_machine(by: str, hop: Hop) -> bool:
    """Tell whether a `by` is the peer's own name: as looked up, as said, or by its first label."""
    label = by.partition(".")[0]
    return any(label == name.partition(".")[0].lower() for name in (hop.helo, hop.rdns) if name is not None)
