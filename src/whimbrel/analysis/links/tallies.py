"""Sums by name that grow: a row for whoever has been met, in the order of meeting."""

from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from whimbrel.analysis.links.reference import Floats

if TYPE_CHECKING:
    from numpy.typing import NDArray

Name = TypeVar("Name")


class Tally(Generic[Name]):
    """Rows of sums by name, and how often each was added to."""

    def __init__(self, width: int) -> None:
        self.place: dict[Name, int] = {}
        self.sums: Floats = np.zeros((0, width))
        self.times: NDArray[np.int64] = np.zeros(0, np.int64)

    def add(self, names: list[Name], sums: Floats) -> None:
        """Add a row to the sums of each name; names are distinct."""
        rows = [self.place.setdefault(name, len(self.place)) for name in names]
        missing = len(self.place) - self.times.size
        if missing:
            self.sums = np.concatenate([self.sums, np.zeros((missing, self.sums.shape[1]))])
            self.times = np.concatenate([self.times, np.zeros(missing, np.int64)])
        self.sums[rows] += sums
        self.times[rows] += 1


class Controls:
    """Score and information of each family's ratio among units without another: square matrices, W by control."""

    def __init__(self) -> None:
        self.place: dict[str, int] = {}
        self.scores: Floats = np.zeros((0, 0))
        self.information: Floats = np.zeros((0, 0))

    def add(self, families: list[str], scores: Floats, information: Floats) -> None:
        """Add square matrices over the given families, which are distinct."""
        rows = [self.place.setdefault(family, len(self.place)) for family in families]
        missing = len(self.place) - self.scores.shape[0]
        if missing:
            self.scores = np.pad(self.scores, (0, missing))
            self.information = np.pad(self.information, (0, missing))
        self.scores[np.ix_(rows, rows)] += scores
        self.information[np.ix_(rows, rows)] += information

    def of(self, family: str) -> list[tuple[str, float, float]]:
        """Return each control of a family with score and information, in order of names."""
        row = self.place.get(family)
        if row is None:
            return []
        found = [(name, float(self.scores[row, k]), float(self.information[row, k])) for name, k in self.place.items()]
        return sorted(one for one in found if one[2] > 0)
