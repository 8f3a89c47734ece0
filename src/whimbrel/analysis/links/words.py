"""The probability of a link, and the word for it (ICD 203).

The e-value controls error; the probability says what to believe.  It is a posterior: odds ratios of linked pairs, and
those that residual confounding gives to pairs without a link, have log-normal laws; the conditional likelihood of the
data is known at each point of the lattice (theta^a / Z(theta)); so

    P(linked | data) = pi L1 / (pi L1 + (1 - pi) L0),    L1, L0 = the likelihood averaged over either law.

Ratios are against all other families together.  Where many of these send the campaign themselves, the ratios of the
rest lie below 1; both laws are therefore centred on the campaign's median family.

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


# By maximum likelihood on half the pairs of six worlds of 16 families x 16 campaigns, a fifth of the pairs linked at 2,
# 3, 5 or 10, churn 10 and 30 %, all other confounders of worlds/many-pairs.toml on.  The spread without a link came
# out at nothing, and is held at half a step of the lattice.
FITTED = Prior(linked=0.2, null_mean=-0.10, null_spread=0.06, link_mean=0.92, link_spread=0.445)

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


def probability(lattice: Lattice, sent: Floats, log_z: Floats, centre: Floats, prior: Prior = FITTED) -> Floats:
    """Return the posterior probability of a link for each pair: `sent`, `centre` (pairs), `log_z` (pairs x lattice)."""
    log_theta = lattice.log_theta[: lattice.regular]
    log_likelihood = sent[..., None] * log_theta - log_z[..., : lattice.regular]
    with_link = _average(log_likelihood, log_theta, prior.link_mean + centre, prior.link_spread)
    without = _average(log_likelihood, log_theta, prior.null_mean + centre, prior.null_spread)
    log_odds = with_link - without + np.log(prior.linked) - np.log1p(-prior.linked)
    low, high = (np.log(bound / (1 - bound)) for bound in _BOUNDS)
    return np.asarray(1 / (1 + np.exp(-np.clip(log_odds, low, high))), dtype=np.float64)


def word_for(chance: float, most: str | None = None) -> str:
    """Return the word for a probability, and no stronger word than `most`."""
    words = [word for _, word in _WORDS]
    place = next((place for place, (until, _) in enumerate(_WORDS) if chance < until), len(words) - 1)
    return words[place if most is None else min(place, words.index(most))]


def _average(log_likelihood: Floats, log_theta: Floats, mean: Floats, spread: float) -> Floats:
    weight = -0.5 * ((log_theta - mean[..., None]) / max(spread, STEP / 2)) ** 2
    weight -= np.logaddexp.reduce(weight, axis=-1)[..., None]
    return np.asarray(np.logaddexp.reduce(log_likelihood + weight, axis=-1), dtype=np.float64)
