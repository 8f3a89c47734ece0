"""The null hypothesis, and the evidence against it.

**H0** for a family W and a campaign C: *given the lease epoch, the network, the volume, the sensor and the method, and
being infected by some family, the odds of first sending C in a window are, for hosts of W, at most `theta0` times those
for hosts of the other families.*  Not "no association": residual confounding makes small ratios, so the null is a
range.

Within one stratum (sensor x method x network x volume class) of one window stand n units at risk, r of them W's; c of
the n send C for the first time, `a` of these are W's.  Given these margins, and for an odds ratio theta, `a` has
Fisher's noncentral hypergeometric law

    P_theta(a) = P_1(a) theta^a / Z(theta),     Z(t) = sum over k of P_1(k) t^k,

P_1 the central hypergeometric.  Nothing else is left in it: the margins take away how many units there are, how much
the network sends, and how early the campaign is.  A likelihood ratio against theta0 is then

    e(theta) = (theta / theta0)^a  Z(theta0) / Z(theta)        for theta > theta0 **only**.

Its mean under theta0 is 1; as it grows with `a`, and the law has monotone likelihood ratio, its mean is at most 1 for
*every* odds ratio <= theta0.  (A theta below theta0 would grow under the null.)  Products over strata and windows are
non-negative supermartingales, and so is an average of them over fixed thetas: by Ville's inequality it ever reaches
20 with probability at most 1/20, however often one looks.  As an e-value it merges by averaging, and enters e-BH.

So the whole evidence of a pair is (number of a, and log Z summed over strata, at each theta of a lattice): sums, to
which a closing window adds.  From the same sums come `Gamma*` (the largest theta0 that is refuted), the evidence
*against* a link (the same bet the other way round), and the likelihood for the posterior.

**The bet.**  Which thetas to average decides how many units are needed.  A bet at ratio x times theta0, where the truth
is y times, pays best for 80 % power not at x = y but lower, about y^0.75 (less gain, but less spread), and a bet at
1.6 theta0 is good at 2 as well as at 3.  Measured (3 % base rate, ten controls a unit, e >= 20 at the end, units for 80
% power over those of the fixed-sample exact test of the same null; docs/decisions/0002-link-test.md):

    bet                                   OR 1.5   OR 2   OR 3   OR 5
    twelve thetas, evenly in log            2.8    2.5    2.0    1.8
    one theta, 1.6 theta0                  (40)    1.7    1.7    2.2
    half on 1.6, a sixth on 1.2, 2.4, 4     2.5    1.9    1.8    1.8      <- BETS
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whimbrel.analysis.links.settings import Settings

Floats = NDArray[np.float64]

# The lattice of odds ratios: steps of 1.6^(1/4) = 1.125 around theta0, so that from every theta0 on it the bets are on
# it too.
STEP = 0.25 * np.log(1.6)
STEPS_DOWN = 16  # to 0.15 theta0
STEPS_UP = 30  # to 34 theta0
BET_STEPS = (2, 4, 8, 12)  # 1.26, 1.6, 2.56 and 4.1 times theta0
BET_WEIGHTS = (1 / 6, 1 / 2, 1 / 6, 1 / 6)
MOST_GAMMA_STEPS = STEPS_UP - BET_STEPS[-1]  # Gamma* is looked for up to 8.3 theta0
AGAINST_STEPS = (1, 2, 3)  # the truth is near 1 and the limit 1.2 to 1.5: 0.89, 0.79 and 0.70 times the limit
AGAINST_WEIGHTS = (1 / 3, 1 / 3, 1 / 3)


class Lattice(NamedTuple):
    """Logarithms of the odds ratios at which log Z is summed: the lattice, then the limit of "against" and its bets."""

    log_theta: Floats

    @classmethod
    def of(cls, settings: Settings) -> "Lattice":
        """Return the lattice of these settings."""
        steps = np.arange(-STEPS_DOWN, STEPS_UP + 1) * STEP
        against = np.log(settings.against_limit) - np.array([0, *AGAINST_STEPS]) * STEP
        return cls(np.concatenate([np.log(settings.theta0) + steps, against]))

    @property
    def regular(self) -> int:
        """Return how many points are of the lattice proper."""
        return STEPS_DOWN + STEPS_UP + 1


def log_e(lattice: Lattice, sent: Floats, log_z: Floats, steps: int = 0) -> Floats:
    """Return log e against OR <= theta0 * exp(steps * STEP); `sent` (pairs), `log_z` (pairs x lattice)."""
    null = STEPS_DOWN + steps
    bets = [null + bet for bet in BET_STEPS]
    return _mixture(lattice, sent, log_z, null, bets, BET_WEIGHTS)


def log_e_against(lattice: Lattice, sent: Floats, log_z: Floats) -> Floats:
    """Return log e against OR >= the limit of "evidence against"."""
    null = lattice.regular
    bets = [null + 1 + place for place in range(len(AGAINST_STEPS))]
    return _mixture(lattice, sent, log_z, null, bets, AGAINST_WEIGHTS)


def gamma(lattice: Lattice, sent: Floats, log_z: Floats, alpha: float) -> Floats:
    """Return Gamma*: the largest theta0 of the lattice, from 1, refuted at e >= 1/alpha; 0 where there is none.

    The largest up to which *all* are refuted: what a hidden bias of that size cannot explain away.
    """
    lowest = -int(lattice.log_theta[STEPS_DOWN] / STEP)
    best = np.zeros(sent.shape)
    refuted = np.ones(sent.shape, dtype=bool)
    for steps in range(lowest, MOST_GAMMA_STEPS + 1):
        refuted &= log_e(lattice, sent, log_z, steps) >= -np.log(alpha)
        best[refuted] = np.exp(lattice.log_theta[STEPS_DOWN + steps])
    return best


def upper_limit(lattice: Lattice, sent: Floats, log_z: Floats, alpha: float) -> Floats:
    """Return the upper limit of the odds ratio's confidence sequence: the smallest lattice point refuted from above."""
    limit = np.full(sent.shape, np.inf)
    refuted = np.ones(sent.shape, dtype=bool)
    for null in range(lattice.regular - 1, AGAINST_STEPS[-1] - 1, -1):
        bets = [null - step for step in AGAINST_STEPS]
        refuted &= _mixture(lattice, sent, log_z, null, bets, AGAINST_WEIGHTS) >= -np.log(alpha)
        limit[refuted] = np.exp(lattice.log_theta[null])
    return limit


def log_average(log_es: list[Floats], weights: list[float]) -> Floats:
    """Return the log of a weighted average of e-values: how arms that share hosts are merged (Vovk & Wang)."""
    stacked = np.array([one + np.log(weight) for one, weight in zip(log_es, weights, strict=True) if weight > 0])
    return np.asarray(np.logaddexp.reduce(stacked, axis=0), dtype=np.float64)


def _mixture(  # noqa: PLR0917 - one formula, six letters
    lattice: Lattice, sent: Floats, log_z: Floats, null: int, bets: list[int], weights: tuple[float, ...]
) -> Floats:
    gains = [
        sent * (lattice.log_theta[bet] - lattice.log_theta[null]) + log_z[..., null] - log_z[..., bet] for bet in bets
    ]
    return log_average(gains, list(weights))
