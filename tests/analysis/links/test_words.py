"""The probability of a link, and its word."""

import numpy as np
import pytest

from whimbrel.analysis.links.hypothesis import Lattice
from whimbrel.analysis.links.reference import Table, log_z
from whimbrel.analysis.links.settings import Settings
from whimbrel.analysis.links.words import FITTED, probability, word_for

LATTICE = Lattice.of(Settings())


def _chances(table: Table, sent: list[int], centre: float = 0.0) -> list[float]:
    z = np.tile(log_z(table, LATTICE.log_theta), (len(sent), 1))
    found = probability(LATTICE, np.array(sent, dtype=np.float64), z, np.full(len(sent), centre))
    return [float(chance) for chance in found]


def test_without_data_the_probability_is_the_prior() -> None:
    empty = np.zeros((1, LATTICE.log_theta.size))
    assert probability(LATTICE, np.zeros(1), empty, np.zeros(1)).tolist() == [pytest.approx(FITTED.linked)]


def test_more_sendings_make_a_link_more_probable_within_bounds() -> None:
    chances = _chances(Table(100, 110, 1100, 0), [0, 10, 15, 20, 40, 100])
    assert chances == sorted(chances)
    assert 0.01 <= chances[0] < 0.03
    assert chances[-1] == pytest.approx(0.99)


def test_among_families_that_send_less_the_same_count_says_more() -> None:
    low, usual = (_chances(Table(100, 110, 1100, 0), [16], centre)[0] for centre in (-0.3, 0.0))
    assert low > usual


@pytest.mark.parametrize(
    ("chance", "word"),
    [(0.01, "almost no chance"), (0.2, "unlikely"), (0.5, "even"), (0.79, "likely"), (0.95, "almost certain")],
)
def test_words_are_those_of_icd_203(chance: float, word: str) -> None:
    assert word_for(chance) == word


def test_a_cap_holds() -> None:
    assert word_for(0.99, "likely") == "likely"
    assert word_for(0.1, "likely") == "very unlikely"
