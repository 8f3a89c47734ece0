"""The statistics of one stratum as defined: clear, whole, and slow.  `kernel.py` must give the same sums.

A stratum of one window and campaign is, for each family, how many units were `at_risk` and how many of them `sent` the
campaign for the first time.  Each family in turn is W, all others together its controls.
"""

from math import inf, lgamma
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# What a closing window adds to a pair, in this order, before log Z at each point of the lattice.
SUMS = ("sent", "expected", "information", "tables", "mh_r", "mh_s", "mh_pr", "mh_ps_qr", "mh_qs")


class Table(NamedTuple):
    """A 2x2 table by its margins: `row` units of W and `column` sendings among `total` units, `sent` of them W's."""

    row: int
    column: int
    total: int
    sent: int

    @property
    def is_informative(self) -> bool:
        """Tell whether the margins leave anything open; otherwise the table's factor is 1."""
        return 0 < self.row < self.total and 0 < self.column < self.total


def tables_of(at_risk: list[int], sent: list[int]) -> list[Table]:
    """Return each family's table against all others of the stratum."""
    total, column = sum(at_risk), sum(sent)
    return [Table(row, column, total, own) for row, own in zip(at_risk, sent, strict=True)]


def log_z(table: Table, log_theta: Floats) -> Floats:
    """Return log Z(theta), Z(t) = sum over k of P(k) t^k with P the central hypergeometric law of the margins."""
    lowest = max(0, table.column - (table.total - table.row))
    ks = np.arange(lowest, min(table.row, table.column) + 1)
    log_p = np.array([_log_hypergeometric(table, int(k)) for k in ks])
    return np.asarray(np.logaddexp.reduce(log_p[:, None] + ks[:, None] * log_theta[None, :], axis=0), dtype=np.float64)


def sums_of(table: Table, log_theta: Floats) -> Floats:
    """Return what an informative table adds: `SUMS`, then log Z.

    `expected` and `information` are the hypergeometric mean and variance (Peto); the rest are the terms of the
    Mantel-Haenszel ratio and of its variance (Robins, Breslow & Greenland 1986).
    """
    a = table.sent
    b, c = table.row - a, table.column - a
    d = table.total - table.row - c
    n = table.total
    expected, information = moments(table)
    r, s, p, q = a * d / n, b * c / n, (a + d) / n, (b + c) / n
    head = np.array([a, expected, information, 1, r, s, p * r, p * s + q * r, q * s], dtype=np.float64)
    return np.concatenate([head, log_z(table, log_theta)])


def moments(table: Table) -> tuple[float, float]:
    """Return mean and variance of `sent` at an odds ratio of 1."""
    row, column, total = table.row, table.column, table.total
    if total < 2:
        return row * column / max(total, 1), 0.0
    variance = row * (total - row) * column * (total - column) / (total * total * (total - 1))
    return row * column / total, variance


def control_sums(at_risk: list[int], sent: list[int], w: int) -> Floats:
    """Return, for each other family of a stratum, score and information of its ratio **among units without W**."""
    total, column = sum(at_risk) - at_risk[w], sum(sent) - sent[w]
    sums = np.zeros((len(at_risk), 2))
    for k, (row, own) in enumerate(zip(at_risk, sent, strict=True)):
        table = Table(row, column, total, own)
        if k != w and table.is_informative:
            expected, information = moments(table)
            sums[k] = own - expected, information
    return sums


def mantel_haenszel(sums: Floats) -> tuple[float, float, float]:
    """Return the Mantel-Haenszel odds ratio and its 95 % interval from `SUMS` (inf or 0 where one side is empty)."""
    r, s, pr, ps_qr, qs = (float(value) for value in sums[4:9])
    if r <= 0 and s <= 0:
        return 1.0, 0.0, inf
    if r <= 0 or s <= 0:
        return (0.0, 0.0, inf) if r <= 0 else (inf, 0.0, inf)
    spread = 1.959964 * float(np.sqrt(pr / (2 * r * r) + ps_qr / (2 * r * s) + qs / (2 * s * s)))
    ratio = r / s
    return ratio, ratio * float(np.exp(-spread)), ratio * float(np.exp(spread))


def _log_hypergeometric(table: Table, k: int) -> float:
    return (
        _log_choose(table.row, k)
        + _log_choose(table.total - table.row, table.column - k)
        - _log_choose(table.total, table.column)
    )


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
