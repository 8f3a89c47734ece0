"""Response rate limiting: so many answers a second, of a class, to all that ask from one network.

Who forges the address of a victim gets an answer sent there for each query.  What limits that, as BIND, Knot and NSD do
it (Vixie and Schryver, "DNS Response Rate Limiting", 2012): each network has an account of answers for each class.  It
grows by `rate` a second up to one second's worth, and each answer takes one; a flood takes it below zero, as far as
`window` seconds' worth, so that the network stays limited until the flood has ended.  Of the answers that are due but
not granted one in `slip` goes out empty with TC set: who really asked comes back over TCP, where he is not limited.

Accounts lie in a table of fixed size, in sets of eight (a cache line of keys); a new one takes the place of the one
in its set that was used least recently.  Which set is ours alone to know, so none can be filled on purpose.  Threads
share the table and take no turns: a count may get lost, which no limit notices.  The same, compiled, is in `fast.py`.
"""

import secrets
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

WAYS = 8
# 262,144 accounts (8 MB): NSD has a million buckets without sets (`rrl-size`), BIND at most 20,000 by default.
SETS = 1 << 15
# BIND's `window`.
WINDOW_SECONDS = 15
# NSD's `rrl-ratelimit` and `rrl-slip`; BIND's manual goes by 5 to 10, but for answers to one name, which a mail server
# that asks a blocklist never repeats.
RATE = 200
SLIP = 2

_MASK = 0xFFFFFFFFFFFFFFFF
# An answer, in the unit of accounts: so `rate` a second is `rate` a millisecond.
ANSWER = 1000


class Kind(IntEnum):
    """Classes of answers: an account each, so that a flood of one leaves the others alone."""

    POSITIVE = 0
    NEGATIVE = 1  # NXDOMAIN, no data
    ERROR = 2


class Verdict(IntEnum):
    """What becomes of an answer."""

    SEND = 0
    SLIP = 1
    DROP = 2


class Limits(NamedTuple):
    """The table, and by what it goes: `rules` are rate (0: no limit), slip (0: never), window in seconds."""

    keys: NDArray[np.uint64]  # prefix and class; 0: free
    accounts: NDArray[np.int64]  # thousandths of answers
    used_ms: NDArray[np.int64]
    withheld: NDArray[np.int64]  # answers not granted, for slip
    rules: NDArray[np.int64]
    seed: NDArray[np.uint64]


def limits_of(rate: int = RATE, slip: int = SLIP, *, sets: int = SETS, seed: int | None = None) -> Limits:
    """Return an empty table of so many sets (a power of two)."""
    size = sets * WAYS
    return Limits(
        keys=np.zeros(size, np.uint64),
        accounts=np.zeros(size, np.int64),
        used_ms=np.full(size, np.iinfo(np.int64).min, np.int64),
        withheld=np.zeros(size, np.int64),
        rules=np.array([rate, slip, WINDOW_SECONDS], np.int64),
        seed=np.array([secrets.randbits(64) if seed is None else seed], np.uint64),
    )


def judge(limits: Limits, prefix: int, kind: int, now_ms: int) -> Verdict:
    """Return what becomes of an answer of a class to a network, and charge it; the clock of `now_ms` only rises."""
    rate, slip, window_seconds = limits.rules.tolist()
    if rate <= 0:
        return Verdict.SEND
    at = _account_at(limits, prefix | (kind + 1), now_ms, rate)
    used_ms = limits.used_ms.item(at)
    age_ms = min(max(now_ms - used_ms, 0), (window_seconds + 1) * 1000)
    account = min(limits.accounts.item(at) + age_ms * rate, rate * ANSWER) - ANSWER
    limits.accounts[at] = max(account, -window_seconds * rate * ANSWER)
    limits.used_ms[at] = max(used_ms, now_ms)
    if account >= 0:
        return Verdict.SEND
    limits.withheld[at] += 1
    return Verdict.SLIP if slip > 0 and limits.withheld.item(at) % slip == 0 else Verdict.DROP


def _account_at(limits: Limits, key: int, now_ms: int, rate: int) -> int:
    """Return where the account of a key is, opened where there was none."""
    sets = len(limits.keys) // WAYS
    first = (mixed(key ^ limits.seed.item(0)) & (sets - 1)) * WAYS
    keys: list[int] = limits.keys[first : first + WAYS].tolist()
    if key in keys:
        return first + keys.index(key)
    oldest = first + int(np.argmin(limits.used_ms[first : first + WAYS]))
    limits.keys[oldest] = key
    limits.accounts[oldest] = rate * ANSWER
    limits.used_ms[oldest] = now_ms
    limits.withheld[oldest] = 0
    return oldest


def mixed(value: int) -> int:
    """Return 64 bits each of which hangs on all of a value's (the finalizer of SplitMix64, Steele et al. 2014)."""
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _MASK
    return value ^ value >> 31
