"""The e-value's promises, by enumeration: nothing is simulated here."""

from itertools import product
from math import comb, log

import numpy as np
import pytest

from whimbrel.analysis.links import hypothesis
from whimbrel.analysis.links.hypothesis import Lattice
from whimbrel.analysis.links.reference import Floats, Table, log_z
from whimbrel.analysis.links.settings import Settings

SETTINGS = Settings()
LATTICE = Lattice.of(SETTINGS)
MARGINS = [(1, 1, 2), (1, 2, 11), (3, 2, 7), (4, 5, 12), (6, 6, 9), (2, 9, 10)]


def _law(table: Table, odds_ratio: float) -> Floats:
    """Return P(a) for a = 0 to `column` at an odds ratio, from Z by differences of its polynomial."""
    lowest = max(0, table.column - (table.total - table.row))
    ks = np.arange(lowest, min(table.row, table.column) + 1)
    weights = np.array([np.exp(_log_weight(table, int(k))) * odds_ratio**k for k in ks])
    law = np.zeros(table.column + 1)
    law[ks] = weights / weights.sum()
    return law


def _log_weight(table: Table, k: int) -> float:
    return log(comb(table.row, k)) + log(comb(table.total - table.row, table.column - k))


@pytest.mark.parametrize("margins", MARGINS)
@pytest.mark.parametrize("odds_ratio", [0.1, 0.5, 1.0, 1.2, 1.25])
def test_mean_of_e_is_at_most_one_for_every_ratio_of_the_null(margins: tuple[int, int, int], odds_ratio: float) -> None:
    table = Table(*margins, 0)
    law = _law(table, odds_ratio)
    sent = np.arange(law.size, dtype=np.float64)
    e = np.exp(hypothesis.log_e(LATTICE, sent, np.tile(log_z(table, LATTICE.log_theta), (law.size, 1))))
    assert float(law @ e) <= 1 + 1e-12


@pytest.mark.parametrize("odds_ratio", [1.0, 1.25])
def test_mean_of_a_product_over_strata_is_at_most_one(odds_ratio: float) -> None:
    tables = [Table(*margins, 0) for margins in MARGINS[:4]]
    laws = [_law(table, odds_ratio) for table in tables]
    z = np.sum([log_z(table, LATTICE.log_theta) for table in tables], axis=0)
    mean = 0.0
    for counts in product(*(range(law.size) for law in laws)):
        chance = np.prod([law[count] for law, count in zip(laws, counts, strict=True)])
        mean += float(chance * np.exp(hypothesis.log_e(LATTICE, np.array(float(sum(counts))), z)))
    assert mean <= 1 + 1e-12
    if odds_ratio == SETTINGS.theta0:
        assert mean == pytest.approx(1.0)  # at the edge of the null nothing is given away


@pytest.mark.parametrize("margins", MARGINS)
def test_mean_of_e_against_is_at_most_one_for_ratios_at_or_above_the_limit(margins: tuple[int, int, int]) -> None:
    table = Table(*margins, 0)
    for odds_ratio in (SETTINGS.against_limit, 1.5, 4.0):
        law = _law(table, odds_ratio)
        sent = np.arange(law.size, dtype=np.float64)
        z = np.tile(log_z(table, LATTICE.log_theta), (law.size, 1))
        assert float(law @ np.exp(hypothesis.log_e_against(LATTICE, sent, z))) <= 1 + 1e-12


def test_evidence_grows_with_sendings_of_w_and_shrinks_with_the_null() -> None:
    table = Table(40, 60, 400, 0)
    sent = np.arange(0, 41, dtype=np.float64)
    z = np.tile(log_z(table, LATTICE.log_theta), (sent.size, 1))
    assert (np.diff(hypothesis.log_e(LATTICE, sent, z)) > 0).all()
    assert (np.diff(hypothesis.log_e_against(LATTICE, sent, z)) < 0).all()
    assert (np.diff(hypothesis.gamma(LATTICE, sent, z, 0.05)) >= 0).all()
    limits = hypothesis.upper_limit(LATTICE, sent, z, 0.05)
    assert (limits[1:] >= limits[:-1]).all()
    at_nulls = [hypothesis.log_e(LATTICE, sent[20], z[20], steps) for steps in range(-2, 12)]
    assert (np.diff(at_nulls) < 0).all()


def test_gamma_refutes_itself_and_no_more() -> None:
    table = Table(100, 120, 1100, 40)
    z = log_z(table, LATTICE.log_theta)
    gamma = float(hypothesis.gamma(LATTICE, np.array(40.0), z, 0.05))
    steps = round(np.log(gamma / SETTINGS.theta0) / hypothesis.STEP)
    assert hypothesis.log_e(LATTICE, np.array(40.0), z, steps) >= np.log(20)
    assert hypothesis.log_e(LATTICE, np.array(40.0), z, steps + 1) < np.log(20)


def test_the_limit_of_against_allows_for_churn_and_wrong_labels() -> None:
    assert Settings(most_churn=0, most_mislabelled=0).against_limit == pytest.approx(1.5)
    assert Settings(most_churn=0.8, most_mislabelled=0, against_ratio=3).against_limit == pytest.approx(1.4)


@pytest.mark.parametrize(
    "wrong", [{"alpha": 0}, {"theta0": 0.9}, {"most_churn": 1}, {"lease_gap_windows": 0}, {"grace_hours": -1}]
)
def test_senseless_settings_are_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings(**wrong)  # type: ignore[arg-type]
