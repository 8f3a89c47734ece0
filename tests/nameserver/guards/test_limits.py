"""Accounts as in Vixie and Schryver's note: a second's worth at once, `rate` a second, debts of `window` seconds."""

import pytest

from whimbrel.nameserver.guards.client import client_at
from whimbrel.nameserver.guards.limits import SETS, WAYS, Kind, Limits, Verdict, judge, limits_of

PREFIX = client_at("192.0.2.1").prefix
OTHER = client_at("198.51.100.1").prefix


def verdicts(limits: Limits, count: int, now_ms: int, prefix: int = PREFIX, kind: Kind = Kind.POSITIVE) -> list[int]:
    return [judge(limits, prefix, kind, now_ms) for _ in range(count)]


def test_a_second_s_worth_is_granted_at_once_then_one_in_slip_goes_out_empty() -> None:
    limits = limits_of(10, 3, sets=2)
    assert verdicts(limits, 10, 0) == [Verdict.SEND] * 10
    assert verdicts(limits, 6, 0) == [Verdict.DROP, Verdict.DROP, Verdict.SLIP] * 2


@pytest.mark.parametrize(("slip", "expected"), [(0, Verdict.DROP), (1, Verdict.SLIP)])
def test_slip_may_be_never_or_always(slip: int, expected: Verdict) -> None:
    limits = limits_of(1, slip, sets=2)
    assert verdicts(limits, 5, 0)[1:] == [expected] * 4


def test_no_rate_is_no_limit() -> None:
    assert set(verdicts(limits_of(0, sets=2), 5000, 0)) == {Verdict.SEND}


def test_who_stays_below_the_rate_is_never_limited() -> None:
    limits = limits_of(10, sets=2)
    assert all(judge(limits, PREFIX, Kind.NEGATIVE, now_ms) == Verdict.SEND for now_ms in range(0, 60_000, 100))


def test_a_flood_is_limited_until_it_has_ended_and_its_debt_is_paid() -> None:
    limits = limits_of(10, sets=2)
    for now_ms in range(0, 60_000, 10):  # ten times the rate
        verdict = judge(limits, PREFIX, Kind.POSITIVE, now_ms)
        assert (verdict == Verdict.SEND) == (now_ms < 110)
    assert judge(limits, PREFIX, Kind.POSITIVE, 60_000 + 14_000) != Verdict.SEND
    assert judge(limits, PREFIX, Kind.POSITIVE, 60_000 + 15_200) == Verdict.SEND


def test_classes_and_networks_have_accounts_of_their_own() -> None:
    limits = limits_of(1, sets=2)
    verdicts(limits, 100, 0)
    assert judge(limits, PREFIX, Kind.NEGATIVE, 0) == Verdict.SEND
    assert judge(limits, PREFIX, Kind.ERROR, 0) == Verdict.SEND
    assert judge(limits, OTHER, Kind.POSITIVE, 0) == Verdict.SEND
    assert judge(limits, PREFIX, Kind.POSITIVE, 0) != Verdict.SEND


def test_a_clock_that_goes_back_gives_and_takes_nothing() -> None:
    limits = limits_of(10, sets=2)
    verdicts(limits, 10, 10_000)
    assert verdicts(limits, 1, 0) != [Verdict.SEND]
    assert judge(limits, PREFIX, Kind.POSITIVE, 10_300) == Verdict.SEND


def test_who_was_used_least_recently_makes_room() -> None:
    limits = limits_of(1, sets=1)
    for number in range(WAYS):
        verdicts(limits, 5, number, prefix=number << 8)
    assert judge(limits, 99 << 8, Kind.POSITIVE, 10) == Verdict.SEND
    assert judge(limits, 1 << 8, Kind.POSITIVE, 10) != Verdict.SEND  # still known
    assert judge(limits, 0, Kind.POSITIVE, 10) == Verdict.SEND  # forgotten


def test_a_flood_of_forged_networks_leaves_the_busy_ones_known() -> None:
    """100,000 networks, one packet each, between which one network sends far too much."""
    limits = limits_of(5)
    granted = sum(
        judge(limits, PREFIX, Kind.POSITIVE, number // 10) == Verdict.SEND
        for number in range(100_000)
        if judge(limits, (number + 1) << 8, Kind.POSITIVE, number // 10) is not None
    )
    assert len(limits.keys) == SETS * WAYS
    assert granted < 200
