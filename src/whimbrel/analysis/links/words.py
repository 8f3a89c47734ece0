"""The probability of a link, and the word for it (ICD 203).

The e-value controls error; the probability says what to believe.  It is a posterior: odds ratios of linked pairs, and
those that residual confounding gives to pairs without a link, have log-normal laws; the conditional likelihood of the
data is known at each point of the lattice (theta^a / Z(theta)); so

    P(linked | data) = pi L1 / (pi L1 + (1 - pi) L0),    L1, L0 = the likelihood averaged over either law.

Ratios are against all other families together.  Where some of these send the campaign themselves, a family without a
link lies below 1, and one with a link nearer to 1.  So the families of a campaign are judged together: each one's
effect on the odds (1 without a link) is taken at its posterior mean; the others' mean effect, weighted by sendings
that are expected, is what a family's effect is divided by to give its ratio; and this is gone round until it stands.

The five numbers of `Prior` are fitted on planted worlds (docs/decisions/0002-link-test.md says on which).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whimbrel.analysis.links.hypothesis import STEP, Lattice
from whimbrel.analysis.links.reference import Floats


class Prior(NamedTuple):
    """How common links are, and where log odds ratios lie without one and with one, churn and confounding included."""

    linked: float
    null_mean: float
    null_spread: float
    link_mean: float
    link_spread: float


# By maximum likelihood on 18 worlds of 10 or 16 families x 12 campaigns (400 or 1,200 units a family, base rate 1, 3
# and 6 %, churn 10 and 30 %, all other confounders of worlds/many-pairs.toml on), a fifth of the pairs linked at 1.5,
# 2, 3, 5 or 10.  The spread without a link came out at half of that, and is held at half a step of the lattice.
FITTED = Prior(linked=0.165, null_mean=-0.04, null_spread=0.06, link_mean=0.62, link_spread=0.33)
# Rounds over a campaign's families: from 8 on, Brier scores of the worlds above change by less than 0.001.
_ROUNDS = 8

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


def probability(  # noqa: PLR0917 - columns over the same families, and the law
    lattice: Lattice,
    sent: Floats,
    log_z: Floats,
    expected: Floats,
    infected: NDArray[np.bool_],
    prior: Prior = FITTED,
) -> Floats:
    """Return the posterior probability of a link for each family of one campaign.

    `sent`, `expected` and `log_z` (families x lattice) are its sums; who is not `infected` (the rest of the hosts, in
    claim L1) has no link and an effect of 1.
    """
    log_theta = lattice.log_theta[: lattice.regular]
    log_likelihood = sent[..., None] * log_theta - log_z[..., : lattice.regular]
    low, high = (np.log(bound / (1 - bound)) for bound in _BOUNDS)
    others = log_odds = np.zeros(sent.shape)  # `others`: log of the mean effect of all other families
    for turn in range(_ROUNDS):
        with_link, ratio_with = _average(log_likelihood, log_theta, prior.link_mean - others, prior.link_spread)
        without, ratio_without = _average(log_likelihood, log_theta, prior.null_mean - others, prior.null_spread)
        log_odds = with_link - without + np.log(prior.linked) - np.log1p(-prior.linked)
        chance = 1 / (1 + np.exp(-np.clip(log_odds, -30, 30)))
        effect = (chance * ratio_with + (1 - chance) * ratio_without) * np.exp(others)
        found = _others(np.where(infected, effect, 1.0), expected)
        # Halfway, so that two families do not swing against each other.
        others = (others + found) / 2 if turn else found
    return np.asarray(1 / (1 + np.exp(-np.clip(log_odds, low, high))), dtype=np.float64)


def _others(effect: Floats, weight: Floats) -> Floats:
    """Return the log of the mean effect of all others, for each; 0 where there are none."""
    rest = weight.sum() - weight
    mean = ((weight * effect).sum() - weight * effect) / np.where(rest > 0, rest, 1.0)
    return np.asarray(np.log(np.where((rest > 0) & (mean > 0), mean, 1.0)), dtype=np.float64)


def word_for(chance: float, most: str | None = None) -> str:
    """Return the word for a probability, and no stronger word than `most`."""
    words = [word for _, word in _WORDS]
    place = next((place for place, (until, _) in enumerate(_WORDS) if chance < until), len(words) - 1)
    return words[place if most is None else min(place, words.index(most))]


def _average(log_likelihood: Floats, log_theta: Floats, mean: Floats, spread: float) -> tuple[Floats, Floats]:
    """Return the log likelihood averaged over a log-normal law, and the posterior mean of the ratio under it."""
    weight = -0.5 * ((log_theta - mean[..., None]) / max(spread, STEP / 2)) ** 2
    weight -= np.logaddexp.reduce(weight, axis=-1)[..., None]
    both = log_likelihood + weight
    total = np.logaddexp.reduce(both, axis=-1)
    return total, (np.exp(both - total[..., None]) * np.exp(log_theta)).sum(axis=-1)
