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
hosts, not of messages: a group cannot be shouted down.  They decay with the e-folding time below (Cormode and others,
Forward Decay, ICDE 2009).

Exact reproducibility: only `count` and `turn` change a tally, and reading never does (a decay applied while reading
would make the last bits of a float depend on who asked when).  Memory: one tally (four floats, about 200 bytes with its
key) for each group with a member; `forget` drops those whose hosts have decayed to nothing.
"""

from math import exp, log
from typing import Final

import msgspec

# How long a neighbour's testimony counts (e-folding): a season, the length of the streams that it was tried on.
NEIGHBOUR_TAU_SECONDS: Final = 90 * 86_400.0

# Where masses are 1: 2000-01-01.  Until 2174 they stay below the largest float, exp(709).
LANDMARK_SECONDS: Final = 946_684_800.0

# A group counts as empty below this many hosts (five and a half tau after its only host was seen).
EMPTY_HOSTS: Final = 0.004

# Prior weights k by level: (everybody, look, AS or /16, organisation, /24), in hosts.  Small k trusts few neighbours.
# Chosen by log-loss of the causal prior over hosts' first messages on the shipped corpus (docs/listing.md).
WEIGHT_HOSTS: Final = (2.0, 8.0, 2.0, 1.0, 0.5)

# The root, before anything is known: even odds.
ROOT_LOGIT: Final = 0.0


class Tally(msgspec.Struct, array_like=True):
    """The members of one group, observed and expected; a host counted at time t has the mass of `grown(t)`."""

    legitimate: float = 0.0
    spamming: float = 0.0
    expected_legitimate: float = 0.0
    expected_spamming: float = 0.0


class Counted(msgspec.Struct, array_like=True, frozen=True):
    """What one host added to its groups: its mass, as what, and the legitimate share that each level expected."""

    mass: float
    legitimate: bool
    expected: tuple[float, ...]


def grown(at: float) -> float:
    """Return the mass of a host counted at `at` (seconds since 1970).

    Decay runs forward: newer hosts weigh more, so that old tallies need no touching, and what is read is only ratios.
    """
    return exp((at - LANDMARK_SECONDS) / NEIGHBOUR_TAU_SECONDS)


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
        scale, logit = grown(now), ROOT_LOGIT
        shares = []
        for level, group in enumerate(groups):
            p = 1.0 / (1.0 + exp(-logit))
            shares.append(p)
            tally = self.tallies.get(group) if group or level == 0 else None
            if tally is None:
                continue
            good, bad = tally.legitimate, tally.spamming
            expected_good, expected_bad = tally.expected_legitimate, tally.expected_spamming
            if own is not None:
                mine, share = own.mass, own.expected[level]
                good, bad = (good - mine, bad) if own.legitimate else (good, bad - mine)
                expected_good -= mine * share
                expected_bad -= mine * (1.0 - share)
            k = WEIGHT_HOSTS[level] * scale
            k_good, k_bad = k * p, k * (1.0 - p)
            # Rounding may leave a tally that should be empty a little below nothing.
            above = (k_good + (max(0.0, good))) * (k_bad + (max(0.0, expected_bad)))
            below = (k_good + (max(0.0, expected_good))) * (k_bad + (max(0.0, bad)))
            logit += log(above / below)
        return logit, tuple(shares)

    def count(self, groups: tuple[str, ...], now: float, *, legitimate: bool) -> Counted:
        """Add a host to its groups; return what was added, for `turn` and for leaving it out of its own prior."""
        _, shares = self.chain(groups, now)
        mass = grown(now)
        for level, group in enumerate(groups):
            if group or level == 0:
                self.touched.add(group)
                tally = self.tallies.setdefault(group, Tally())
                tally.legitimate += mass if legitimate else 0.0
                tally.spamming += 0.0 if legitimate else mass
                tally.expected_legitimate += mass * shares[level]
                tally.expected_spamming += mass * (1.0 - shares[level])
        return Counted(mass, legitimate, shares)

    def turn(self, groups: tuple[str, ...], counted: Counted) -> Counted:
        """Move a host that was counted as spamming over to the legitimate ones."""
        for level, group in enumerate(groups):
            if group or level == 0:
                self.touched.add(group)
                tally = self.tallies.setdefault(group, Tally())
                tally.legitimate += counted.mass
                tally.spamming = max(0.0, tally.spamming - counted.mass)
        return Counted(counted.mass, True, counted.expected)

    def forget(self, now: float) -> list[str]:
        """Drop the groups whose hosts have all decayed to nothing; return their names."""
        least = EMPTY_HOSTS * grown(now)
        gone = [name for name, tally in self.tallies.items() if tally.legitimate + tally.spamming < least]
        for name in gone:
            del self.tallies[name]
            self.touched.discard(name)
        return gone


def _wide_network(network: str) -> str:
    if ":" in network:
        parts = network.split(":")
        return f"{parts[0]}:{parts[1] or '0'}::/32"
    first, second = network.split(".")[:2]
    return f"{first}.{second}.0.0/16"
