"""The evidence of all pairs side by side: what the state holds, as columns over families x campaigns."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whimbrel.analysis.links import hypothesis
from whimbrel.analysis.links.growing import Evidence
from whimbrel.analysis.links.reference import SUMS, Floats
from whimbrel.analysis.links.state import State
from whimbrel.analysis.links.veto import Veto, judge_controls
from whimbrel.analysis.links.words import probability

# Above this many pairs only those with an informative table get a row; all of them count in e-BH.
MOST_PAIRS_LISTED = 100_000


class Pairs(NamedTuple):
    """The pairs that get rows, in order of family and campaign; `asked` is how many were asked about in all."""

    family: list[str]
    campaign: list[str]
    asked: int

    def __len__(self) -> int:
        """Return how many pairs get rows."""
        return len(self.family)


class ArmSums(NamedTuple):
    """One arm's sums over sensors, one row a pair."""

    head: Floats  # pairs x SUMS
    log_z: Floats  # pairs x lattice
    windows: NDArray[np.int64]
    sensors: NDArray[np.int64]

    @property
    def sent(self) -> Floats:
        """Return how many first sendings were W's."""
        return np.asarray(self.head[:, 0], dtype=np.float64)

    @property
    def informative(self) -> NDArray[np.bool_]:
        """Tell which pairs have a table that leaves anything open."""
        return np.asarray(self.head[:, SUMS.index("tables")] > 0, dtype=np.bool_)


def pairs_of(evidence: Evidence) -> Pairs:
    """Return every family with every campaign that is followed."""
    families = sorted(set(evidence.families["family"].to_pylist()))
    campaigns = evidence.campaigns["campaign"].to_pylist()
    count = len(families) * len(campaigns)
    if count <= MOST_PAIRS_LISTED:
        listed = [(family, campaign) for family in families for campaign in campaigns]
    else:
        told = evidence.state.tallies.items()
        listed = sorted({(family, campaign) for (_, campaign), one in told for _, family in one.place if family})
    return Pairs([family for family, _ in listed], [campaign for _, campaign in listed], count)


def arm_sums(state: State, arm: str, pairs: Pairs) -> ArmSums:
    """Return an arm's sums, sensors added in order of their names."""
    place = {pair: number for number, pair in enumerate(zip(pairs.family, pairs.campaign, strict=True))}
    width = len(SUMS) + state.lattice.log_theta.size
    sums = np.zeros((len(pairs), width))
    windows, sensors = np.zeros(len(pairs), np.int64), np.zeros(len(pairs), np.int64)
    for campaign in sorted(set(pairs.campaign)):
        tally = state.tallies.get((arm, campaign))
        for (_, family), row in sorted(tally.place.items()) if tally else ():
            number = place.get((family, campaign))
            if tally is not None and number is not None:
                sums[number] += tally.sums[row]
                windows[number] = max(windows[number], tally.times[row])
                sensors[number] += 1
    return ArmSums(sums[:, : len(SUMS)], sums[:, len(SUMS) :], windows, sensors)


def chances(state: State, arm: str, pairs: Pairs) -> Floats:
    """Return each pair's probability of a link; all families of a campaign are judged together, listed or not."""
    asked: dict[str, list[int]] = {}
    for number, campaign in enumerate(pairs.campaign):
        asked.setdefault(campaign, []).append(number)
    found = np.zeros(len(pairs))
    for campaign, numbers in asked.items():
        tally = state.tallies.get((arm, campaign))
        known = {family for _, family in tally.place} if tally else set()
        names = sorted(known | {pairs.family[number] for number in numbers})
        sums = arm_sums(state, arm, Pairs(names, [campaign] * len(names), len(names)))
        infected = np.array([name != "" for name in names])
        chance = probability(state.lattice, sums.sent, sums.log_z, sums.head[:, SUMS.index("expected")], infected)
        place = {name: row for row, name in enumerate(names)}
        found[numbers] = chance[[place[pairs.family[number]] for number in numbers]]
    return found


def vetoes(state: State, pairs: Pairs, sums: ArmSums, wanted: NDArray[np.bool_]) -> dict[int, Veto]:
    """Return what the negative controls say of the `wanted` pairs (a veto matters only where there is evidence)."""
    found = {}
    for number in np.flatnonzero(wanted).tolist():
        told = state.controls.get(pairs.campaign[number])
        controls = told.of(pairs.family[number]) if told else []
        own = (sums.head[number, 0] - sums.head[number, 1], sums.head[number, 2])
        found[number] = judge_controls(own, controls, state.settings.veto_level)
    return found


def log_e_of_claim(state: State, sums: dict[str, ArmSums], claim: str) -> Floats:
    """Return log e of claim L1 or L2, arms merged with the weights fixed beforehand."""
    logs = {arm: hypothesis.log_e(state.lattice, one.sent, one.log_z) for arm, one in sums.items()}
    if claim == "L1":
        return logs["co-location"]
    weight = state.settings.time_weight
    return hypothesis.log_average([logs["sending"], logs["time"]], [1 - weight, weight])


def units_by_family(families: pa.Table) -> dict[str, tuple[int, int, frozenset[str]]]:
    """Return, by family, how many units, how many of them without method, and the sensors that know the method."""
    found: dict[str, tuple[int, int, frozenset[str]]] = {}
    for row in families.to_pylist():
        units, without, sensors = found.get(row["family"], (0, 0, frozenset()))
        seeing = {row["sensor"]} if row["units"] > row["without_method"] else set()
        found[row["family"]] = (units + row["units"], without + row["without_method"], sensors | seeing)
    return found
