"""How likely a host is legitimate before it has done anything: learned from its neighbours.

A chain of ever smaller groups: everybody; hosts whose names look alike; the AS (or /16, /32 where it is not known); the
organisation of the reverse name; the /24 (or /48).  Each group keeps how many of its distinct hosts turned out
legitimate and how many spamming, and how many of each its parent had led us to expect.  Going down the chain, with p
the parent's share and k the level's weight:

    logit += log((legitimate + k p) / (expected legitimate + k p))
           - log((spamming + k (1-p)) / (expected spamming + k (1-p)))

With hosts that are all alike that is exactly the beta-binomial estimate with prior weight k; with hosts of different
looks it is indirect standardisation (observed against expected), so that a customer's line between five mail servers is
compared with what lines and what mail servers do.  A group without members changes nothing.  Counts are of distinct
hosts, not of messages: a group cannot be shouted down.  They decay with the e-folding time below.

Exact reproducibility: only `count` and `turn` change a tally, and reading never does (a decay applied while reading
would make the last bits of a float depend on who asked when).  Memory: one tally (five floats, about 200 bytes with its
key) for each group with a member; `forget` drops those whose hosts have decayed to nothing.
"""

from math import exp, log
from typing import Final

import msgspec

# How long a neighbour's testimony counts (e-folding): a season, the length of the streams that it was tried on.
NEIGHBOUR_TAU_SECONDS: Final = 90 * 86_400.0

# A group counts as empty below this many hosts (five and a half tau after its only host was seen).
EMPTY_HOSTS: Final = 0.004

# Prior weights k by level: (everybody, look, AS or /16, organisation, /24), in hosts.  Small k trusts few neighbours.
# Chosen by log-loss of the causal prior over hosts' first messages on the shipped corpus (docs/listing.md).
WEIGHT_HOSTS: Final = (2.0, 8.0, 2.0, 1.0, 0.5)

# The root, before anything is known: even odds.
ROOT_LOGIT: Final = 0.0


class Tally(msgspec.Struct, array_like=True):
    """The members of one group at `at` (seconds since 1970), decayed: observed and expected."""

    legitimate: float
    spamming: float
    expected_legitimate: float
    expected_spamming: float
    at: float


class Counted(msgspec.Struct, array_like=True, frozen=True):
    """What one host added to its groups: when, as what, and the legitimate share that each group's parent expected."""

    at: float
    legitimate: bool
    expected: tuple[float, ...]


def groups_of(network: str, shape: str, organisation: str | None, asn: int | None) -> tuple[str, ...]:
    """Return the names of the groups of a host in `network` (a /24 or /48), from the widest to the nearest."""
    wide = f"as {asn}" if asn is not None else _wide_network(network)
    return ("", f"look {shape}" if shape else "", wide, f"of {organisation}" if organisation else "", network)


class Prior:
    """The tallies of all groups."""

    def __init__(self) -> None:
        self.tallies: dict[str, Tally] = {}
        self.touched: set[str] = set()

    def chain(self, groups: tuple[str, ...], now: float, own: Counted | None = None) -> tuple[float, tuple[float, ...]]:
        """Return the logit at the end of the chain, and each level's parent share; `own` is left out of every group."""
        logit = ROOT_LOGIT
        shares = []
        for level, group in enumerate(groups):
            p = 1.0 / (1.0 + exp(-logit))
            shares.append(p)
            tally = self.tallies.get(group) if group or level == 0 else None
            if tally is not None:
                logit += _shift(tally, now, p, WEIGHT_HOSTS[level], own=own, level=level)
        return logit, tuple(shares)

    def count(self, groups: tuple[str, ...], now: float, *, legitimate: bool) -> Counted:
        """Add a host to its groups; return what was added, for `turn` and for leaving it out of its own prior."""
        _, shares = self.chain(groups, now)
        for level, group in enumerate(groups):
            if group or level == 0:
                tally = self._at(group, now)
                tally.legitimate += legitimate
                tally.spamming += not legitimate
                tally.expected_legitimate += shares[level]
                tally.expected_spamming += 1.0 - shares[level]
        return Counted(now, legitimate, shares)

    def turn(self, groups: tuple[str, ...], counted: Counted, now: float) -> Counted:
        """Move a host that was counted as spamming over to the legitimate ones."""
        weight = exp((counted.at - now) / NEIGHBOUR_TAU_SECONDS)
        for level, group in enumerate(groups):
            if group or level == 0:
                tally = self._at(group, now)
                tally.legitimate += weight
                tally.spamming = max(0.0, tally.spamming - weight)
        return msgspec.structs.replace(counted, legitimate=True)

    def forget(self, now: float) -> list[str]:
        """Drop the groups whose hosts have all decayed to nothing; return their names."""
        gone = [name for name, tally in self.tallies.items() if _mass(tally, now) < EMPTY_HOSTS]
        for name in gone:
            del self.tallies[name]
            self.touched.discard(name)
        return gone

    def _at(self, group: str, now: float) -> Tally:
        self.touched.add(group)
        tally = self.tallies.get(group)
        if tally is None:
            tally = self.tallies[group] = Tally(0.0, 0.0, 0.0, 0.0, now)
            return tally
        kept = exp((tally.at - now) / NEIGHBOUR_TAU_SECONDS)
        tally.legitimate *= kept
        tally.spamming *= kept
        tally.expected_legitimate *= kept
        tally.expected_spamming *= kept
        tally.at = now
        return tally


def _shift(tally: Tally, now: float, p: float, weight: float, *, own: Counted | None, level: int) -> float:
    kept = exp((tally.at - now) / NEIGHBOUR_TAU_SECONDS)
    legitimate, spamming = tally.legitimate * kept, tally.spamming * kept
    expected_legitimate, expected_spamming = tally.expected_legitimate * kept, tally.expected_spamming * kept
    if own is not None:
        mine = exp((own.at - now) / NEIGHBOUR_TAU_SECONDS)
        if own.legitimate:
            legitimate = max(0.0, legitimate - mine)
        else:
            spamming = max(0.0, spamming - mine)
        expected_legitimate = max(0.0, expected_legitimate - mine * own.expected[level])
        expected_spamming = max(0.0, expected_spamming - mine * (1.0 - own.expected[level]))
    base_legitimate, base_spamming = weight * p, weight * (1.0 - p)
    return log(
        (legitimate + base_legitimate)
        * (expected_spamming + base_spamming)
        / ((expected_legitimate + base_legitimate) * (spamming + base_spamming))
    )


def _mass(tally: Tally, now: float) -> float:
    return (tally.legitimate + tally.spamming) * exp((tally.at - now) / NEIGHBOUR_TAU_SECONDS)


def _wide_network(network: str) -> str:
    if ":" in network:
        parts = network.split(":")
        return f"{parts[0]}:{parts[1] or '0'}::/32"
    first, second = network.split(".")[:2]
    return f"{first}.{second}.0.0/16"
