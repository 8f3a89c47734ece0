"""The negative controls: do families that nobody suspects show the same ratio?

For each other family k of the same strata, its Peto one-step log odds ratio b_k = score / information is computed
**among units without W**, so that W's own effect is not in it.  If campaigns lean towards some families for reasons
that have nothing to do with W, the b_k spread; W's own ratio must stand out of that spread:

    z = (b_W - median) / sqrt(se^2 + tau^2 + (pi / 2) Var(b_k) / K),      Student's t with K - 1 degrees,

tau^2 being what the b_k spread beyond their own standard errors.  (Negative-control calibration: Gruber & Tchetgen
Tchetgen; the median's variance is pi/2 that of the mean.)  Variances are robust (median absolute deviation), as other
linked families may be among the controls.  The test can be too bold, so it may only veto, never convict.
"""

from functools import lru_cache
from math import lgamma, log, sqrt
from typing import NamedTuple

import numpy as np

# A control's ratio counts from this information on: below it one sending more or less moves it by more than a factor of
# 7.
LEAST_INFORMATION = 0.5
_MAD_TO_SIGMA = 1.4826  # of a normal law
_FEWEST = 3  # controls from which a spread can be computed at all


class Veto(NamedTuple):
    """What the controls say of one pair."""

    passed: bool
    z: float | None
    threshold: float | None
    estimates: tuple[tuple[str, float, float], ...]  # control, log odds ratio, standard error


def judge_controls(own: tuple[float, float], controls: list[tuple[str, float, float]], level: float) -> Veto:
    """Return whether W's ratio stands out; `own` and `controls` give score and information."""
    kept = [(name, float(s / i), 1 / sqrt(i)) for name, s, i in controls if i >= LEAST_INFORMATION]
    if len(kept) < _FEWEST or own[1] <= 0:
        return Veto(passed=True, z=None, threshold=None, estimates=tuple(kept))
    ratios = np.array([ratio for _, ratio, _ in kept])
    errors = np.array([error for _, _, error in kept])
    middle = float(np.median(ratios))
    spread = (_MAD_TO_SIGMA * float(np.median(np.abs(ratios - middle)))) ** 2
    tau2 = max(0.0, spread - float(np.median(errors**2)))
    variance = 1 / own[1] + tau2 + np.pi / 2 * spread / len(kept)
    z = float(own[0] / own[1] - middle) / sqrt(variance)
    threshold = t_quantile(1 - level, len(kept) - 1)
    return Veto(passed=z > threshold, z=z, threshold=threshold, estimates=tuple(kept))


@lru_cache(maxsize=256)
def t_quantile(probability: float, degrees: int) -> float:
    """Return Student's quantile for a probability of at least 1/2, by bisection."""
    low, high = 0.0, 1.0
    while t_below(high, degrees) < probability:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if t_below(middle, degrees) < probability else (low, middle)
    return (low + high) / 2


def t_below(t: float, degrees: int) -> float:
    """Return the probability of a value below t >= 0: Simpson's rule on the density, in an angle that makes it
    finite.
    """
    # With t = sqrt(v) tan(phi), the density is proportional to cos(phi)^(v - 1).
    angles = np.linspace(0.0, float(np.arctan(t / sqrt(degrees))), 401)
    values = np.cos(angles) ** (degrees - 1)
    weights = np.full(401, 2.0)
    weights[1::2], weights[[0, -1]] = 4.0, 1.0
    scale = np.exp(lgamma((degrees + 1) / 2) - lgamma(degrees / 2) - 0.5 * log(np.pi))
    return 0.5 + float(scale * (values * weights).sum() * (angles[1] - angles[0]) / 3)
