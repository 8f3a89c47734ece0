"""The exact test that the e-value is compared with, and the curve from which units are read."""

import numpy as np
import pyarrow as pa
import pytest
import scipy
from bench.link_efficiency import exact_p, ratio_of_units, units_for_power

from whimbrel.analysis.links.columns import CELLS

PAIR = ("w", "c")


def cells(*strata: tuple[tuple[int, int], tuple[int, int]]) -> pa.Table:
    """Return cells of strata, each (at risk, sent) of W and of its controls."""
    rows = [
        {"arm": "sending", "campaign": "c", "window": 1, "sensor": "s", "method": "m", "network": str(number)}
        | {"volume": 0, "family": family, "at_risk": at_risk, "sent": sent}
        for number, stratum in enumerate(strata)
        for family, (at_risk, sent) in zip(("w", "other"), stratum, strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=CELLS)


def test_one_stratum_is_fishers_test() -> None:
    table = cells(((10, 6), (30, 5)))
    told = scipy.stats.fisher_exact([[6, 4], [5, 25]], alternative="greater").pvalue
    assert exact_p([table], PAIR, 1.0) == pytest.approx(told)
    # At another null: the noncentral hypergeometric law.
    law = scipy.stats.nchypergeom_fisher(40, 11, 10, 1.25)
    assert exact_p([table], PAIR, 1.25) == pytest.approx(law.sf(5))


def test_strata_add_up_and_other_arms_and_campaigns_do_not_count() -> None:
    one, two = ((10, 6), (30, 5)), ((4, 1), (3, 3))
    laws = [scipy.stats.nchypergeom_fisher(40, 11, 10, 1.25), scipy.stats.nchypergeom_fisher(7, 4, 4, 1.25)]
    tail = sum(laws[0].pmf(a) * laws[1].pmf(b) for a in range(12) for b in range(1, 5) if a + b >= 7)
    assert exact_p([cells(one, two)], PAIR, 1.25) == pytest.approx(tail)
    assert exact_p([cells(one), cells(two)], ("w", "another"), 1.25) == 1.0
    assert exact_p([], PAIR, 1.25) == 1.0


def test_units_are_read_off_a_curve_of_known_law() -> None:
    dice = np.random.default_rng(1)
    units = np.repeat([100.0, 200.0, 400.0, 800.0], 500)

    def drawn(wanted: float) -> np.ndarray:
        slope = (scipy.stats.norm.ppf(0.8) + 1.645) / np.sqrt(wanted)
        return np.asarray(dice.random(units.size) < scipy.stats.norm.cdf(slope * np.sqrt(units) - 1.645))

    by_e, by_p = drawn(500.0), drawn(250.0)
    assert units_for_power(units, by_p) == pytest.approx(250, rel=0.1)
    _, _, ratio, low, high = ratio_of_units(units, by_e, by_p)
    assert low < ratio < high
    assert ratio == pytest.approx(2, rel=0.15)
    assert np.isnan(ratio_of_units(np.full(10, 100.0), np.ones(10, bool), np.ones(10, bool))[2])
