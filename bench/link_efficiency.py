"""What the anytime-valid e-value costs: units beside those of the exact test of the same null, looked at once.

The yardstick is the best that strata and margins allow without looks: the one-sided exact conditional test of OR <=
theta0, level 5 %.  Given all margins, the number of first sendings by W is a sum of independent noncentral
hypergeometric numbers (Fisher); its law at theta0 is their convolution.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy

from whimbrel.analysis.links.columns import STRATUM

Real = npt.NDArray[np.float64]
POWER: Final = 0.8
LEVEL: Final = 0.05
_RESAMPLES: Final = 400
_FEWEST_POINTS: Final = 3  # numbers of units for a curve


def exact_p(windows: Sequence[pa.Table], pair: tuple[str, str], theta0: float) -> float:
    """Return the one-sided p-value of OR <= theta0 over all strata of the arm `sending` (1 where there is none)."""
    law, lowest, sent = np.ones(1), 0, 0
    for row, column, total, own in _tables(windows, pair):
        start = max(0, column - (total - row))
        support = np.arange(start, min(row, column) + 1)
        weights = scipy.stats.hypergeom.pmf(support, total, column, row) * theta0 ** (support - start)
        law = np.convolve(law, weights / weights.sum())
        lowest += start
        sent += own
    return float(min(1.0, law[sent - lowest :].sum()))


def _tables(windows: Sequence[pa.Table], pair: tuple[str, str]) -> list[tuple[int, int, int, int]]:
    """Return (units of W, first sendings, all units, W's first sendings) of each stratum."""
    found: dict[tuple[Any, ...], list[int]] = {}
    for cells in windows:
        for cell in cells.to_pylist():
            if cell["arm"] == "sending" and cell["campaign"] == pair[1]:
                table = found.setdefault(tuple(cell[name] for name in STRATUM), [0, 0, 0, 0])
                own = cell["family"] == pair[0]
                for place, number in enumerate(
                    (own * cell["at_risk"], cell["sent"], cell["at_risk"], own * cell["sent"])
                ):
                    table[place] += number
    return [(row, column, total, own) for row, column, total, own in found.values() if 0 < row < total]


def units_for_power(units: Real, found: npt.NDArray[np.bool_]) -> float:
    """Return the units at which `found` has probability 80 %: a probit line in the root of the units.

    For either test, power is nearly Phi(slope * sqrt(units) - constant).
    """
    sizes, of = np.unique(units, return_inverse=True)
    hits, runs = np.bincount(of, found), np.bincount(of)
    root = np.sqrt(sizes)
    scale = np.sqrt(units).mean()

    def loss(line: Real) -> float:
        at = line[0] + line[1] * root / scale
        return -float(hits @ scipy.special.log_ndtr(at) + (runs - hits) @ scipy.special.log_ndtr(-at))

    line = scipy.optimize.minimize(loss, np.array([-1.0, 1.0]), method="Nelder-Mead").x
    return float(((scipy.stats.norm.ppf(POWER) - line[0]) / line[1] * scale) ** 2) if line[1] > 0 else float("inf")


def ratio_of_units(units: Real, by_e: npt.NDArray[np.bool_], by_p: npt.NDArray[np.bool_]) -> tuple[float, ...]:
    """Return units by e, units by the exact test, their ratio, and its 95 % interval (bootstrap over runs).

    NaN where there are too few points for a curve.
    """
    if np.unique(units).size < _FEWEST_POINTS:
        return (float("nan"),) * 5
    dice = np.random.default_rng(1)
    needed = units_for_power(units, by_e), units_for_power(units, by_p)
    ratios = []
    for _ in range(_RESAMPLES):
        drawn = dice.integers(units.size, size=units.size)
        ratios.append(units_for_power(units[drawn], by_e[drawn]) / units_for_power(units[drawn], by_p[drawn]))
    low, high = np.quantile(ratios, [0.025, 0.975])
    return *needed, needed[0] / needed[1], float(low), float(high)
