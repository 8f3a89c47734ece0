"""The negative controls may veto, and only veto."""

import pytest
import scipy

from whimbrel.analysis.links.veto import judge_controls, t_below, t_quantile


@pytest.mark.parametrize("degrees", [2, 3, 9, 14, 49])
def test_students_law_is_that_of_scipy(degrees: int) -> None:
    assert t_quantile(0.95, degrees) == pytest.approx(scipy.stats.t.ppf(0.95, degrees), rel=1e-6)
    assert t_below(1.3, degrees) == pytest.approx(scipy.stats.t.cdf(1.3, degrees), rel=1e-8)


def _controls(*ratios: float) -> list[tuple[str, float, float]]:
    return [(f"F{number}", ratio * 20, 20.0) for number, ratio in enumerate(ratios)]


def test_a_ratio_beyond_quiet_controls_passes() -> None:
    assert judge_controls((20 * 0.9, 20.0), _controls(-0.1, 0, 0.1, 0.2, -0.2, 0.05, -0.05, 0.1), 0.05).passed


def test_a_ratio_that_others_show_as_well_is_vetoed() -> None:
    veto = judge_controls((20 * 0.9, 20.0), _controls(1.0, 0.8, 0.9, 1.1, 0.7, -0.9, -0.8, 0.95), 0.05)
    assert not veto.passed
    assert veto.z is not None


def test_one_linked_family_among_the_controls_does_not_veto_another() -> None:
    assert judge_controls((20 * 1.1, 20.0), _controls(-0.1, 0, 0.1, 0.2, -0.2, 0.05, -0.05, 1.1), 0.05).passed


def test_too_few_controls_cannot_veto() -> None:
    veto = judge_controls((5.0, 5.0), [("F", 0.0, 0.1), ("G", 0.0, 9.0)], 0.05)
    assert veto.passed
    assert veto.z is None
    assert len(veto.estimates) == 1  # the other knows too little to be counted
