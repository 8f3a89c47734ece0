"""What sensors saw adds up, decays, and makes a probability."""

from math import log

import pytest
from tests.listings.rows import day, seen

from whimbrel.listings import judging
from whimbrel.listings.assignment import look_of
from whimbrel.listings.prior import Prior, groups_of
from whimbrel.listings.settings import OWN
from whimbrel.listings.state import OTHER_SENSORS, SENSORS_KEPT, HostState, seconds_of
from whimbrel.listings.weighing import Worth
from whimbrel.model.address import network_of

HOST = "192.0.2.7"
NOW = seconds_of(day(0))
WEEK = 7 * 86_400.0


def host() -> HostState:
    row = seen(HOST, rdns="mail.org.example", helo="mail.org.example")
    look = look_of(row.host, row.helo, row.rdns)
    groups = groups_of(network_of(HOST), look.shape, look.organisation, None)
    return HostState(HOST, groups[-1], look, groups, {}, [])


def probability(state: HostState, now: float) -> float:
    return judging.judged(state, now, Prior(), OWN).probability_legitimate


def test_spam_lowers_the_probability_ham_raises_it_and_both_fade() -> None:
    spamming, good = host(), host()
    before = probability(host(), NOW)
    judging.add(spamming, "a", Worth(spam=3.0), now=NOW, seen=NOW, settings=OWN)
    judging.add(good, "a", Worth(ham=3.0), now=NOW, seen=NOW, settings=OWN)
    assert probability(spamming, NOW) < before < probability(good, NOW)
    assert probability(spamming, NOW) < probability(spamming, NOW + WEEK) < before
    assert judging.judged(spamming, NOW, Prior(), OWN).spamming_sensors == 1
    assert judging.judged(spamming, NOW + 6 * OWN.static_tau_seconds, Prior(), OWN).spamming_sensors == 0


def test_what_was_seen_long_ago_counts_as_what_is_left_of_it() -> None:
    late, then = host(), host()
    judging.add(late, "a", Worth(spam=3.0), now=NOW + WEEK, seen=NOW, settings=OWN)
    judging.add(then, "a", Worth(spam=3.0), now=NOW, seen=NOW, settings=OWN)
    assert probability(late, NOW + WEEK) == pytest.approx(probability(then, NOW + WEEK))


def test_a_worm_is_hard_evidence_until_half_of_it_is_left() -> None:
    state = host()
    judging.add(state, "a", Worth(hard=1.0), now=NOW, seen=NOW, settings=OWN)
    half = OWN.static_tau_seconds * log(2)
    assert judging.judged(state, NOW + half - 60, Prior(), OWN).hard
    assert not judging.judged(state, NOW + half + 60, Prior(), OWN).hard


def test_of_very_many_sensors_the_later_ones_are_one() -> None:
    state = host()
    for number in range(SENSORS_KEPT + 3):
        judging.add(state, f"s{number}", Worth(spam=1.0), now=NOW, seen=NOW, settings=OWN)
    assert len(state.sensors) == SENSORS_KEPT + 1
    assert state.sensors[OTHER_SENSORS].spam == pytest.approx(3.0)


def test_a_host_never_seen_is_what_its_network_says() -> None:
    logit, _ = Prior().chain(groups_of(network_of(HOST), "", None, None), NOW)
    judged = judging.judged_unseen(network_of(HOST), NOW, Prior())
    assert judged.prior_logit == logit
    assert judged.probability_legitimate == pytest.approx(judging.logistic(logit))
    assert judging.logistic(-1e6) == 0.0
