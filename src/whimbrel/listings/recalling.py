"""A working state of which memory holds a part: the rest is let go once it is kept, and recalled when it is needed.

What policy remembers it remembers for good: how a host looked when it was first seen, that it was counted among its
neighbours, how often it was listed.  So no record can be thrown away without changing a decision some day.  But each is
read only when its host, or one of its neighbours, is seen again; until then it may lie in the ledger (`Decider.dumps`)
alone.  It comes back bit for bit, so decisions are the same whatever is let go, and when.

Memory always holds what is listed, for its end comes without anything being seen.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from whimbrel.listings.assignment import look_of
from whimbrel.listings.policy import Decider
from whimbrel.listings.prior import groups_of
from whimbrel.listings.state import HostState, NetworkState, Seen
from whimbrel.model.address import network_of

Load = Callable[[Sequence[str]], Iterable[tuple[str, bytes]]]  # rows of `dumps` by their keys, of those that are kept


def size_of(decider: Decider) -> int:
    """Return how many records are in memory: of hosts, networks and groups of the prior, some 600 bytes each."""
    return len(decider.hosts) + len(decider.networks) + len(decider.prior.tallies)


def let_go(decider: Decider) -> None:
    """Let go of all records but those of listed targets, and those that `dumps` has not given yet."""
    touched = decider.touched
    decider.hosts = {name: state for name, state in decider.hosts.items() if _is_listed(state) or name in touched}
    decider.networks = {name: state for name, state in decider.networks.items() if _is_listed(state) or name in touched}
    prior = decider.prior
    prior.tallies = {group: tally for group, tally in prior.tallies.items() if group in prior.touched}


def recall(decider: Decider, rows: Collection[Seen], load: Load) -> None:
    """Load what deciding on some rows reads, as far as it is kept and not in memory; then `decide` may be called."""
    hosts = {row.host for row in rows}
    missing = [f"host {host}" for host in hosts if host not in decider.hosts]
    networks = {network_of(host) for host in hosts}
    missing += [f"network {network}" for network in networks if network not in decider.networks]
    if missing:
        decider.loads(load(missing))
    groups = {group for row in rows for group in _groups(decider, row)}
    missing = [f"group {group}" for group in groups if group not in decider.prior.tallies]
    if missing:
        decider.loads(load(missing))


def _groups(decider: Decider, row: Seen) -> Iterator[str]:
    """Yield the groups of the prior that a row's host is in, or would be in if the row were the first of it."""
    state = decider.hosts.get(row.host)
    if state is not None:
        return iter(state.groups)
    look = look_of(row.host, row.helo, row.rdns)
    return iter(groups_of(network_of(row.host), look.shape, look.organisation, row.asn))


def _is_listed(state: HostState | NetworkState) -> bool:
    return state.standing.state == "listed"
