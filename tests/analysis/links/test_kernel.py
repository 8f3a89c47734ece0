"""The compiled sums are those of the reference."""

import numpy as np
import pytest

from whimbrel.analysis.links.hypothesis import Lattice
from whimbrel.analysis.links.kernel import campaign_sums
from whimbrel.analysis.links.reference import SUMS, Table, control_sums, sums_of, tables_of
from whimbrel.analysis.links.settings import Settings

LOG_THETA = Lattice.of(Settings()).log_theta


def _strata(seed: int, count: int, most: int) -> list[tuple[list[int], list[int], list[int]]]:
    """Return strata as (families, units at risk, first sendings)."""
    dice = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        families = sorted(dice.choice(6, size=dice.integers(1, 7), replace=False).tolist())
        at_risk = dice.integers(1, most, len(families))
        sent = dice.binomial(at_risk, dice.choice([0.02, 0.3, 1.0]))
        found.append((families, at_risk.tolist(), sent.tolist()))
    return found


@pytest.mark.parametrize(("seed", "most"), [(1, 4), (2, 30), (3, 800)])
def test_twins_agree(seed: int, most: int) -> None:
    strata = _strata(seed, 40, most)
    slots = np.zeros((6, len(SUMS) + LOG_THETA.size))
    controls = np.zeros((6, 6, 2))
    for families, at_risk, sent in strata:
        for family, table in zip(families, tables_of(at_risk, sent), strict=True):
            if table.is_informative:
                slots[family] += sums_of(table, LOG_THETA)
        for w, family in enumerate(families):
            if 0 < at_risk[w] < sum(at_risk) and sum(sent) > 0:
                controls[family, families] += control_sums(at_risk, sent, w)
    flat = [np.array([value for part in strata for value in part[place]], dtype=np.int64) for place in range(3)]
    starts = np.cumsum([0, *(len(part[0]) for part in strata)])
    found = campaign_sums(starts, flat[0], flat[0], flat[1], flat[2], LOG_THETA)
    np.testing.assert_allclose(found.slots, slots, rtol=1e-9, atol=1e-8)
    np.testing.assert_allclose(found.scores, controls[..., 0], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.information, controls[..., 1], rtol=1e-9, atol=1e-9)


def test_large_margins_neither_overflow_nor_vanish() -> None:
    table = Table(40_000, 9_000, 900_000, 500)
    found = campaign_sums(
        np.array([0, 2]),
        np.array([0, 1]),
        np.array([0, 1]),
        np.array([40_000, 860_000]),
        np.array([500, 8_500]),
        LOG_THETA,
    )
    np.testing.assert_allclose(found.slots[0], sums_of(table, LOG_THETA), rtol=1e-7)
    assert np.isfinite(found.slots).all()
