"""The sums of `reference.py`, for all strata of one campaign in one window, compiled.

Most strata hold none to three sendings, so log Z is a polynomial of low degree: its weights follow from one another by
a ratio, and Horner's rule gives all lattice points with one logarithm each.  Where the degree is high, the same in
logarithms.
"""

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from whimbrel.analysis.links.reference import SUMS, Floats

_HEAD = len(SUMS)
_MOST_DEGREE = 48  # 43^48 = 1e78: a polynomial in thetas of the lattice is far from overflow


class Sums(NamedTuple):
    """What a campaign's window adds: to each slot (a family of a sensor), and to each family and its controls."""

    slots: Floats  # slots x (SUMS, log Z)
    scores: Floats  # families x controls
    information: Floats


def campaign_sums(
    starts: NDArray[np.int64],
    slot: NDArray[np.int64],
    family: NDArray[np.int64],
    at_risk: NDArray[np.int64],
    sent: NDArray[np.int64],
    log_theta: Floats,
) -> Sums:
    """Return the sums over strata; the cells of stratum i are rows `starts[i]` to `starts[i + 1]`.

    A cell's `slot` says where its family's sums go, `family` numbers the campaign's families from 0.
    """
    slots = np.zeros((int(slot.max(initial=-1)) + 1, _HEAD + log_theta.size))
    families = int(family.max(initial=-1)) + 1
    scores, information = np.zeros((families, families)), np.zeros((families, families))
    _add_strata(starts, slot, family, at_risk, sent, log_theta, slots, scores, information)
    return Sums(slots, scores, information)


@numba.njit(cache=True, nogil=True)
def _add_strata(starts, slot, family, at_risk, sent, log_theta, slots, scores, information):  # type: ignore[no-untyped-def]
    theta = np.exp(log_theta)
    for stratum in range(starts.size - 1):
        first, end = starts[stratum], starts[stratum + 1]
        total = at_risk[first:end].sum()
        column = sent[first:end].sum()
        if column == 0:
            continue
        for w in range(first, end):
            row = at_risk[w]
            if row in (0, total):
                continue
            if column < total:
                _add_table(slots[slot[w]], row, column, total, sent[w], theta, log_theta)
            for k in range(first, end):
                if k != w:
                    score, added = _control(at_risk[k], column - sent[w], total - row, sent[k])
                    scores[family[w], family[k]] += score
                    information[family[w], family[k]] += added


@numba.njit(cache=True, nogil=True)
def _control(row, column, total, own):  # type: ignore[no-untyped-def]
    if row in (0, total) or column in (0, total):
        return 0.0, 0.0
    variance = row / total * (total - row) / total * column * (total - column) / (total - 1)
    return own - row * column / total, variance


@numba.njit(cache=True, nogil=True)
def _add_table(into, row, column, total, a, theta, log_theta):  # type: ignore[no-untyped-def]
    b, c = row - a, column - a
    d = total - row - c
    r, s, p, q = a * d / total, b * c / total, (a + d) / total, (b + c) / total
    into[0] += a
    into[1] += row * column / total
    into[2] += row / total * (total - row) / total * column * (total - column) / (total - 1)
    into[3] += 1
    into[4] += r
    into[5] += s
    into[6] += p * r
    into[7] += p * s + q * r
    into[8] += q * s
    lowest = max(0, column - (total - row))
    degree = min(row, column) - lowest
    weights = np.empty(degree + 1)
    weights[0] = 0.0
    for step in range(degree):
        k = lowest + step
        ratio = (row - k) * (column - k) / ((k + 1.0) * (total - row - column + k + 1))
        weights[step + 1] = weights[step] + np.log(ratio)
    highest = weights.max()
    mass = np.log(np.exp(weights - highest).sum()) + highest
    weights -= mass
    if degree <= _MOST_DEGREE:
        _add_polynomial(into, np.exp(weights), lowest, theta, log_theta)
    else:
        _add_in_logarithms(into, weights, lowest, log_theta)


@numba.njit(cache=True, nogil=True)
def _add_polynomial(into, weights, lowest, theta, log_theta):  # type: ignore[no-untyped-def]
    for point in range(theta.size):
        value = 0.0
        for step in range(weights.size - 1, -1, -1):
            value = value * theta[point] + weights[step]
        into[_HEAD + point] += np.log(value) + lowest * log_theta[point]


@numba.njit(cache=True, nogil=True)
def _add_in_logarithms(into, log_weights, lowest, log_theta):  # type: ignore[no-untyped-def]
    for point in range(log_theta.size):
        highest = -np.inf
        for step in range(log_weights.size):
            highest = max(highest, log_weights[step] + step * log_theta[point])
        value = 0.0
        for step in range(log_weights.size):
            value += np.exp(log_weights[step] + step * log_theta[point] - highest)
        into[_HEAD + point] += np.log(value) + highest + lowest * log_theta[point]
