"""The probability of a link, and the word for it (ICD 203).

The e-value controls error; the probability says what to believe.  It is a posterior: odds ratios of linked pairs, and
those that residual confounding gives to pairs without a link, have log-normal laws; the conditional likelihood of the
data is known at each point of the lattice (theta^a / Z(theta)); so

    P(linked | data) = pi L1 / (pi L1 + (1 - pi) L0),    L1, L0 = the likelihood averaged over either law.

The five numbers of `Prior` are fitted on planted worlds (docs/decisions/0002-link-test.md says on which).
"""

from typing import NamedTuple

import numpy as np

from whimbrel.analysis.links.hypothesis import STEP, Lattice
from whimbrel.analysis.links.reference import Floats


class Prior(NamedTuple):
    """How common links are, and where log odds ratios lie without one and with one, churn and confounding included."""

    linked: float
    null_mean: float
    null_spread: float
    link_mean: float
    link_spread: float


# One pair in five is linked in the planted worlds; ratios without a link stay within 1.25 in 95 % of pairs, the ratios
# of links have a median of 2.6 and stay within 1.2 and 6.
FITTED = Prior(linked=0.2, null_mean=0.0, null_spread=0.115, link_mean=0.95, link_spread=0.42)

# ICD 203 (2015), figure 1: the word for a probability up to here.
_WORDS = (
    (0.05, "almost no chance"),
    (0.20, "very unlikely"),
    (0.45, "unlikely"),
    (0.55, "even"),
    (0.80, "likely"),
    (0.95, "very likely"),
    (1.00, "almost certain"),
)
_BOUNDS = (0.01, 0.99)  # nothing is said to be surer than this


def probability(lattice: Lattice, sent: Floats, log_z: Floats, prior: Prior = FITTED) -> Floats:
    """Return the posterior probability of a link for each pair: `sent` (pairs), `log_z` (pairs x lattice)."""
    log_theta = lattice.log_theta[: lattice.regular]
    log_likelihood = sent[..., None] * log_theta - log_z[..., : lattice.regular]
    with_link = _average(log_likelihood, log_theta, prior.link_mean, prior.link_spread)
    without = _average(log_likelihood, log_theta, prior.null_mean, prior.null_spread)
    log_odds = with_link - without + np.log(prior.linked) - np.log1p(-prior.linked)
    low, high = (np.log(bound / (1 - bound)) for bound in _BOUNDS)
    return np.asarray(1 / (1 + np.exp(-np.clip(log_odds, low, high))), dtype=np.float64)


def word_for(chance: float, most: str | None = None) -> str:
    """Return the word for a probability, and no stronger word than `most`."""
    words = [word for _, word in _WORDS]
    place = next((place for place, (until, _) in enumerate(_WORDS) if chance < until), len(words) - 1)
    return words[place if most is None else min(place, words.index(most))]


def _average(log_likelihood: Floats, log_theta: Floats, mean: float, spread: float) -> Floats:
    weight = -0.5 * ((log_theta - mean) / max(spread, STEP / 2)) ** 2
    weight -= np.logaddexp.reduce(weight)
    return np.asarray(np.logaddexp.reduce(log_likelihood + weight, axis=-1), dtype=np.float64)
