"""The probability of a link, and its word."""

import numpy as np
import pytest

from whimbrel.analysis.links.hypothesis import Lattice
from whimbrel.analysis.links.reference import Table, log_z
from whimbrel.analysis.links.settings import Settings
from whimbrel.analysis.links.words import FITTED, probability, word_for

LATTICE = Lattice.of(Settings())


def _chances(table: Table, sent: list[int]) -> list[float]:
    """Return the chance at each number of sendings, of a family that is judged alone."""
    z = log_z(table, LATTICE.log_theta)[None, :]
    one = np.ones(1)
    return [float(probability(LATTICE, one * number, z, one, one > 0)[0]) for number in sent]


def test_without_data_the_probability_is_the_prior() -> None:
    empty = np.zeros((1, LATTICE.log_theta.size))
    found = probability(LATTICE, np.zeros(1), empty, np.zeros(1), np.ones(1, dtype=bool))
    assert found.tolist() == [pytest.approx(FITTED.linked)]


def test_more_sendings_make_a_link_more_probable_within_bounds() -> None:
    chances = _chances(Table(100, 110, 1100, 0), [0, 10, 15, 20, 40, 100])
    assert chances == sorted(chances)
    assert 0.01 <= chances[0] < 0.03
    assert chances[-1] == pytest.approx(0.99)


def _together(sent: list[int], *, infected: list[bool] | None = None) -> list[float]:
    """Return the chances of families of 1,000 units each, judged together."""
    total = sum(sent)
    tables = [Table(1000, total, 1000 * len(sent), own) for own in sent]
    z = np.array([log_z(table, LATTICE.log_theta) for table in tables])
    expected = np.full(len(sent), total / len(sent))
    told = np.array([True] * len(sent) if infected is None else infected)
    return [float(one) for one in probability(LATTICE, np.array(sent, dtype=np.float64), z, expected, told)]


def test_a_strong_sender_among_the_others_is_no_innocence() -> None:
    # 30 is fewer than the mean of the rest, of which one family sends five times as much; beside the others it is more.
    told = _together([30, 20, 20, 20, 100])
    alone = _chances(Table(1000, 190, 5000, 0), [30])[0]
    assert told[0] > 2 * max(alone, *told[1:4])
    assert told[4] == pytest.approx(0.99)
    assert max(told[1:4]) < 0.2


def test_families_that_send_alike_have_no_link() -> None:
    assert max(_together([30] * 6)) < 0.2


def test_hosts_without_a_family_are_what_is_usual() -> None:
    # One of two sends twice as much: which of them is unusual is told by knowing that one is not infected.
    assert _together([60, 30], infected=[True, False])[0] > _together([60, 30])[0] * 0.9
    assert _together([30, 60], infected=[True, False])[0] < 0.1


@pytest.mark.parametrize(
    ("chance", "word"),
    [(0.01, "almost no chance"), (0.2, "unlikely"), (0.5, "even"), (0.79, "likely"), (0.95, "almost certain")],
)
def test_words_are_those_of_icd_203(chance: float, word: str) -> None:
    assert word_for(chance) == word


def test_a_cap_holds() -> None:
    assert word_for(0.99, "likely") == "likely"
    assert word_for(0.1, "likely") == "very unlikely"
