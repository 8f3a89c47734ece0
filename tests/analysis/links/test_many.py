"""e-BH by hand, and its false discovery rate on dependent nulls."""

import numpy as np
import pytest

from whimbrel.analysis.links.many import e_bh


def test_the_kth_largest_needs_a_kth_of_the_burden() -> None:
    e = np.array([100.0, 41.0, 0.5, 39.0])
    fallen, needed = e_bh(np.log(e), 0.05)
    assert fallen.tolist() == [True, True, False, True]
    assert np.exp(needed) == pytest.approx(4 / (0.05 * 3))


def test_one_pair_needs_one_over_alpha() -> None:
    assert e_bh(np.array([np.log(20.0) + 1e-9]), 0.05)[0].all()
    assert not e_bh(np.array([np.log(19.9)]), 0.05)[0].any()


def test_nothing_falls_and_the_first_would_have_needed_all() -> None:
    fallen, needed = e_bh(np.log([300.0] + [1.0] * 19), 0.05)
    assert not fallen.any()
    assert np.exp(needed) == pytest.approx(400)
    assert e_bh(np.zeros(0), 0.05)[0].size == 0


def test_vetoed_pairs_never_fall() -> None:
    assert e_bh(np.array([-np.inf, np.log(1e6)]), 0.05)[0].tolist() == [False, True]
