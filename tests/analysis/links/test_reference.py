"""Our own statistics against those of others."""

import numpy as np
import pytest
import scipy

from whimbrel.analysis.links.reference import (
    SUMS,
    Table,
    control_sums,
    log_z,
    mantel_haenszel,
    moments,
    sums_of,
    tables_of,
)


def _random_tables(count: int, seed: int) -> list[Table]:
    dice = np.random.default_rng(seed)
    found: list[Table] = []
    while len(found) < count:
        at_risk, sent = dice.integers(1, 30, 2), dice.integers(0, 6, 2)
        sent = np.minimum(sent, at_risk)
        table = tables_of(at_risk.tolist(), sent.tolist())[0]
        if table.is_informative:
            found.append(table)
    return found


@pytest.mark.parametrize("odds_ratio", [0.3, 1.0, 1.25, 6.0])
def test_likelihood_is_fishers_noncentral_law(odds_ratio: float) -> None:
    for table in _random_tables(30, seed=1):
        theirs = scipy.stats.nchypergeom_fisher.logpmf(table.sent, table.total, table.row, table.column, odds_ratio)
        central = scipy.stats.nchypergeom_fisher.logpmf(table.sent, table.total, table.row, table.column, 1.0)
        z = float(log_z(table, np.array([np.log(odds_ratio)]))[0])
        assert central + table.sent * np.log(odds_ratio) - z == pytest.approx(theirs, abs=1e-9)


def test_mantel_haenszel_is_that_of_statsmodels() -> None:
    from statsmodels.stats.contingency_tables import StratifiedTable  # noqa: PLC0415 - takes a second; all else does not

    tables = _random_tables(40, seed=2)
    sums = np.sum([sums_of(table, np.zeros(1)) for table in tables], axis=0)
    layers = []
    for table in tables:
        c = table.column - table.sent
        d = table.total - table.row - c
        layers.append(np.array([[table.sent, table.row - table.sent], [c, d]]))
    theirs = StratifiedTable(layers)
    ratio, low, high = mantel_haenszel(sums)
    assert ratio == pytest.approx(theirs.oddsratio_pooled)
    assert (low, high) == pytest.approx(theirs.oddsratio_pooled_confint(), rel=1e-6)
    assert sums[SUMS.index("tables")] == 40


def test_moments_are_those_of_the_hypergeometric_law() -> None:
    for table in _random_tables(20, seed=3):
        law = scipy.stats.nchypergeom_fisher(table.total, table.row, table.column, 1.0)
        assert moments(table) == pytest.approx((law.mean(), law.var()), rel=1e-6, abs=1e-9)


def test_a_ratio_with_an_empty_side_has_no_interval() -> None:
    sums = np.zeros(len(SUMS))
    assert mantel_haenszel(sums) == (1.0, 0.0, np.inf)
    sums[4] = 1
    assert mantel_haenszel(sums) == (np.inf, 0.0, np.inf)


def test_controls_are_computed_among_units_without_w() -> None:
    # With W's five units, all of them senders, out of the way, the two others are equal.
    sums = control_sums([5, 10, 10], [5, 2, 2], 0)
    assert sums[0].tolist() == [0, 0]
    assert sums[1] == pytest.approx(sums[2])
    assert sums[1][0] == pytest.approx(0)
