"""What is thought of a host: what sensors saw of it, decayed to now, and the P(legitimate) that follows.

    logit P(legitimate) = logit prior(host's neighbours) - S(host, now)
    S = sum over sensors of llr(spam) * min(cap, log2(1 + spam)) - llr(ham) * min(cap, log2(1 + ham)), all decayed

All times here are seconds since 1970.
"""

from math import exp, log2
from typing import Final

from whimbrel.listings.assignment import Look
from whimbrel.listings.prior import Prior, groups_of
from whimbrel.listings.settings import Settings
from whimbrel.listings.state import OTHER_SENSORS, SENSORS_KEPT, HostState, Judgement, Mass
from whimbrel.listings.weighing import Worth

# A sensor is a witness until what it saw has decayed to a hundredth of a message: 4.6 tau after a single one.
WITNESS_FRESH: Final = 0.01

# A worm verdict counts as hard evidence until it has decayed to one half.
HARD_FRESH: Final = 0.5

_UNSEEN: Final = Judgement(0.0, 0.0, 0.5, 0, hard=False)


def add(host: HostState, sensor: str, worth: Worth, *, now: float, seen: float, settings: Settings) -> None:
    """Add what an observation, seen at `seen`, weighs to the masses of its host, all decayed to `now`."""
    tau, ham_tau = _tau(host.look, settings), settings.ham_tau_seconds
    left, ham_left = exp((seen - now) / tau), exp((seen - now) / ham_tau)
    worth = Worth(worth.spam * left, worth.ham * ham_left, worth.reports * left, worth.hard * left)
    mass = host.sensors.get(sensor)
    if mass is None and len(host.sensors) >= SENSORS_KEPT:
        sensor = OTHER_SENSORS
        mass = host.sensors.get(sensor)
    if mass is None:
        host.sensors[sensor] = Mass(worth.spam, worth.ham, worth.reports, worth.hard, now)
        return
    kept = exp((mass.at - now) / tau)
    mass.spam = mass.spam * kept + worth.spam
    mass.reports = mass.reports * kept + worth.reports
    mass.hard = mass.hard * kept + worth.hard
    mass.ham = mass.ham * exp((mass.at - now) / ham_tau) + worth.ham
    mass.at = now


def judged(host: HostState, now: float, prior: Prior, settings: Settings) -> Judgement:
    """Return what is thought of a host at `now`."""
    tau = _tau(host.look, settings)
    score, spamming, hard = 0.0, 0, False
    spam_llr = settings.server_spam_llr if host.look.server_like else settings.spam_llr
    for mass in host.sensors.values():
        kept = exp((mass.at - now) / tau)
        bad = (mass.spam + mass.reports + mass.hard) * kept
        spam = min(settings.spam_cap, log2(1.0 + mass.spam * kept))
        reports = min(settings.spam_cap, log2(1.0 + mass.reports * kept))
        worm = min(1.0, mass.hard * kept)
        ham = min(settings.ham_cap, log2(1.0 + mass.ham * exp((mass.at - now) / settings.ham_tau_seconds)))
        score += spam_llr * spam + settings.report_llr * reports + settings.hard_llr * worm
        score -= settings.ham_llr * ham
        spamming += bad >= WITNESS_FRESH
        hard = hard or worm >= HARD_FRESH
    logit, _ = prior.chain(host.groups, now, host.counted)
    return Judgement(score, logit, logistic(logit - score), spamming, hard)


def judged_unseen(network: str, now: float, prior: Prior) -> Judgement:
    """Return what is thought of a host that was never seen: what its network alone says."""
    logit, _ = prior.chain(groups_of(network, "", None, None), now)
    return _UNSEEN._replace(prior_logit=logit, probability_legitimate=logistic(logit))


def logistic(logit: float) -> float:
    """Return the probability whose logit this is."""
    return 1.0 / (1.0 + exp(-logit)) if logit > -700.0 else 0.0


def _tau(look: Look, settings: Settings) -> float:
    dynamic = look.assignment == "dynamic"
    return settings.dynamic_tau_seconds if dynamic else settings.static_tau_seconds
