"""Listed hosts and networks of one family as columns: chosen from, put together, found and changed in their order.

Rows are in order of their targets when keys ascend, and prefix lengths where keys are alike.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_Places = NDArray[np.intp]


class Rows(NamedTuple):
    """Listed hosts and networks of one family, as columns of equal length.

    `key` is the IPv4 address or the upper half of the IPv6 address (no bit set beyond the prefix), `prefix` the prefix
    length (32 or 64: a host), `reason` a row of the reasons, `until` seconds since 1970.  A target may have
    several rows.
    """

    key: NDArray[np.uint64]
    prefix: NDArray[np.uint8]
    reason: NDArray[np.uint32]
    until: NDArray[np.int64]


def no_rows() -> Rows:
    """Return rows of nothing."""
    return Rows(np.empty(0, np.uint64), np.empty(0, np.uint8), np.empty(0, np.uint32), np.empty(0, np.int64))


def where(rows: Rows, chosen: NDArray[np.bool_] | _Places) -> Rows:
    """Return the chosen rows, by a mask or by their places."""
    return Rows(rows.key[chosen], rows.prefix[chosen], rows.reason[chosen], rows.until[chosen])


def stacked(first: Rows, second: Rows) -> Rows:
    """Return the rows of both."""
    return Rows(
        np.concatenate((first.key, second.key)),
        np.concatenate((first.prefix, second.prefix)),
        np.concatenate((first.reason, second.reason)),
        np.concatenate((first.until, second.until)),
    )


def is_same_target(rows: Rows) -> NDArray[np.bool_]:
    """Tell of each row but the first whether it has the target of the one before."""
    same: NDArray[np.bool_] = (rows.key[1:] == rows.key[:-1]) & (rows.prefix[1:] == rows.prefix[:-1])
    return same


def spans(rows: Rows, key: NDArray[np.uint64], prefix: NDArray[np.uint8]) -> tuple[_Places, _Places]:
    """Return where the rows of some targets begin and end; `rows` are in order of their targets."""
    first = _passed(rows, np.searchsorted(rows.key, key), key, prefix)
    return first, _passed(rows, first, key, prefix + np.uint8(1))


def _passed(rows: Rows, at: _Places, key: NDArray[np.uint64], prefix: NDArray[np.uint8]) -> _Places:
    """Return places moved on beyond the rows of the same keys with shorter prefixes.

    One row a round: no more share a key than there are prefix lengths, and of each what one target has.
    """
    at, moving = at.copy(), np.arange(len(at))
    while len(moving):
        moving = moving[at[moving] < len(rows.key)]
        here = at[moving]
        moving = moving[(rows.key[here] == key[moving]) & (rows.prefix[here] < prefix[moving])]
        at[moving] += 1
    return at


def inserted(rows: Rows, more: Rows) -> Rows:
    """Return both in order of their targets, as each of them is; of one target, `rows` come first."""
    _, at = spans(rows, more.key, more.prefix)
    return Rows(
        np.insert(rows.key, at, more.key),
        np.insert(rows.prefix, at, more.prefix),
        np.insert(rows.reason, at, more.reason),
        np.insert(rows.until, at, more.until),
    )


def without(rows: Rows, key: NDArray[np.uint64], prefix: NDArray[np.uint8]) -> Rows:
    """Return what is left when all rows of some targets are taken away."""
    first, last = spans(rows, key, prefix)
    stays = np.ones(len(rows.key), np.bool_)
    while len(first):
        stays[first[first < last]] = False
        first, last = first[first < last] + 1, last[first < last]
    return where(rows, stays)


def found(rows: Rows, key: int, prefix: int) -> list[tuple[int, int]]:
    """Return reason and end of the rows of one target; `rows` are in order of their targets."""
    at = int(np.searchsorted(rows.key, np.uint64(key)))
    of_target = []
    while at < len(rows.key) and rows.key[at] == key and rows.prefix[at] <= prefix:
        if rows.prefix[at] == prefix:
            of_target.append((int(rows.reason[at]), int(rows.until[at])))
        at += 1
    return of_target
