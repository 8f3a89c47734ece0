from math import exp, isclose, log

from hypothesis import given
from hypothesis import strategies as st

from whimbrel.listings.prior import NEIGHBOUR_TAU_SECONDS, WEIGHT_HOSTS, Prior, groups_of, grown

GROUPS = groups_of("192.0.2.0/24", "line-other", "isp.example", None)


def test_groups_from_wide_to_near() -> None:
    assert GROUPS == ("", "look line-other", "192.0.0.0/16", "of isp.example", "192.0.2.0/24")
    assert groups_of("2001:db8:1::/48", "silent", None, 64496)[2] == "as 64496"
    assert groups_of("2001:db8:1::/48", "silent", None, None)[2:4] == ("2001:db8::/32", "")


def test_hosts_that_are_all_alike_give_the_beta_binomial_estimate() -> None:
    prior = Prior()
    for number in range(10):
        prior.count(("",), 0.0, legitimate=number < 3)
    k, p = WEIGHT_HOSTS[0], 0.5
    logit, _ = prior.chain(("",), 0.0)
    assert isclose(logit, log((3 + k * p) / (7 + k * (1 - p))))


def test_an_empty_group_changes_nothing() -> None:
    prior = Prior()
    prior.count(("",), 0.0, legitimate=False)
    assert prior.chain(("",), 0.0)[0] == prior.chain(("", "look x", "", "", "192.0.2.0/24"), 0.0)[0]


@given(st.lists(st.booleans(), max_size=20), st.booleans(), st.floats(0, 1e7))
def test_a_host_is_left_out_of_its_own_prior(others: list[bool], mine: bool, later: float) -> None:  # noqa: FBT001
    prior = Prior()
    for legitimate in others:
        prior.count(GROUPS, 0.0, legitimate=legitimate)
    before, _ = prior.chain(GROUPS, later)
    counted = prior.count(GROUPS, 0.0, legitimate=mine)
    after, _ = prior.chain(GROUPS, later, counted)
    assert isclose(before, after, abs_tol=1e-6)


def test_turning_moves_a_host_over_with_what_is_left_of_it() -> None:
    prior = Prior()
    counted = prior.count(GROUPS, 0.0, legitimate=False)
    prior.turn(GROUPS, counted)
    tally = prior.tallies["192.0.2.0/24"]
    assert isclose(tally.legitimate / grown(NEIGHBOUR_TAU_SECONDS), exp(-1))
    assert tally.spamming == 0.0


def test_forgetting_drops_only_what_has_decayed() -> None:
    prior = Prior()
    prior.count(GROUPS, 0.0, legitimate=False)
    prior.count(("", "look x"), 6 * NEIGHBOUR_TAU_SECONDS, legitimate=False)
    assert set(prior.forget(6 * NEIGHBOUR_TAU_SECONDS)) == set(GROUPS) - {""}
    assert set(prior.tallies) == {"", "look x"}
