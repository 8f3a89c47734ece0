"""Why a verdict is what it is, in sentences; and where data are missing, how much more would be needed."""

from math import exp, inf, log, sqrt

from whimbrel.analysis.links.growing import Evidence
from whimbrel.analysis.links.hypothesis import BET_WEIGHTS
from whimbrel.analysis.links.pairs import ArmSums, Pairs, units_by_family
from whimbrel.analysis.links.reference import SUMS
from whimbrel.analysis.links.veto import Veto

NOT_ASSESSED = {
    "L3": "tooling is not compared yet: needed are dialects and header skeletons of the family's own mail engine, of "
    "the campaign, and of mimics of the same mail client",
    "L4": "control is never inferred from sending, as botnets are rented: needed are services (domains, name servers, "
    "control hosts) that family and campaign share beyond chance",
}
RIVALS = "another family sends the campaign: next to it, this one cannot be cleared"
_NOTHING_CLOSED = "no week with observations is over yet: weeks end on Sundays, 24:00 UTC, and then have a grace"
_LATE = "every first sending of the campaign was learned after its week had closed, and is no outcome"
_NOT_AFTER = (
    "no first sending of the campaign was seen after the week of the family's first infection, and only later ones are "
    "compared"
)
_NO_STRATUM = "no stratum in which the campaign was sent holds both units of the family and units to compare with"
# The ratio at which "how much more" is asked; where the null is larger, twice the null.
_RATIO_TO_FIND = 2.0
_NORMAL_80 = 0.8416  # for power 80 %
_INFORMATION = SUMS.index("information")


class Teller:
    """Tells the reasons of one claim's verdicts."""

    def __init__(self, evidence: Evidence, pairs: Pairs, claim: str) -> None:
        self.settings = evidence.state.settings
        self._pairs, self._claim = pairs, claim
        self._units = units_by_family(evidence.families)
        self._flags = {row["campaign"]: row for row in evidence.campaigns.to_pylist()}
        self._closed = evidence.state.through is not None
        self._infected_from: dict[str, int] = {}
        for row in evidence.families.to_pylist():
            earlier = self._infected_from.get(row["family"], row["infected_from"])
            self._infected_from[row["family"]] = min(earlier, row["infected_from"])

    def reasons(  # noqa: PLR0917 - one row of columns
        self, number: int, verdict: str, sums: ArmSums, veto: Veto | None, log_e: float, needed: float
    ) -> list[str]:
        """Return the reasons of one pair's verdict."""
        if not self._closed:
            return [_NOTHING_CLOSED]
        told = []
        if self._claim == "L1":
            told.append("a weak claim: seen on the same hosts, for whatever reason")
        told += self._of_labels(number) if self._claim == "L2" else []
        told += self._of_campaign(number)
        if veto is not None and verdict != "evidence against":
            told += self._of_controls(veto)
        if verdict == "insufficient data":
            if not sums.informative[number]:
                told += self._nothing_to_compare(number)
            else:
                told.append(self._how_much_more(float(sums.head[number, _INFORMATION]), log_e, needed))
        elif verdict == "evidence against":
            told.append(
                f"odds ratios of {self.settings.against_limit:.2f} and more are refuted: a true ratio of "
                f"{self.settings.against_ratio:g} would show as that with {self.settings.most_churn:.0%} churn and "
                f"{self.settings.most_mislabelled:.0%} of labels wrong"
            )
        elif self._pairs.asked > 1:
            told.append(f"among {self._pairs.asked} pairs each link needed an e-value of {exp(min(needed, 700)):.3g}")
        if sums.windows[number] == 1:
            told.append("a single window only")
        return told

    def _of_labels(self, number: int) -> list[str]:
        units, without, _ = self._units.get(self._pairs.family[number], (0, 0, frozenset()))
        if not without:
            return []
        left = "detection may differ, and these are left out"
        return [f"how the infection was seen (method) is absent for {without} of {units} units: {left}"]

    def _of_campaign(self, number: int) -> list[str]:
        flags = self._flags.get(self._pairs.campaign[number])
        if flags is None:
            return [f"the campaign was never sent by {self.settings.least_senders} units"]
        told = []
        if flags["payload_from"] is not None:
            told.append("a message of the campaign carries a family's payload: it may be a worm's own mailing")
        if flags["attachment_from"] is not None and self._claim == "L2":
            told.append("the campaign is known by an attachment: labels by payload are left out")
        return told

    def _of_controls(self, veto: Veto) -> list[str]:
        count, least = len(veto.estimates), self.settings.least_controls
        told = []
        if not veto.passed:
            told.append(
                f"vetoed by the negative controls: other families of the same strata show as much (z = {veto.z:.2f}, "
                f"needed {veto.threshold:.2f})"
            )
        if count < least:
            told.append(f"only {count} negative controls, {least} are wanted: no word above likely")
        return told

    def _nothing_to_compare(self, number: int) -> list[str]:
        family = self._pairs.family[number]
        units, without, sensors = self._units.get(family, (0, 0, frozenset()))
        if not units:
            return ["no infection of the family has been seen"]
        flags = self._flags.get(self._pairs.campaign[number])
        if flags is None or (self._claim == "L2" and units == without):
            return []  # that is told already
        if flags["last_sent"] is None:
            return [_LATE]
        if flags["last_sent"] <= self._infected_from[family]:
            return [_NOT_AFTER]
        others = frozenset[str]().union(*(seeing for name, (_, _, seeing) in self._units.items() if name != family))
        if self._claim == "L2" and not sensors & others:
            return [f"no controls: {', '.join(sorted(sensors))} saw no other family"]
        return [_NO_STRATUM]

    def _how_much_more(self, information: float, log_e: float, needed: float) -> str:
        ratio = max(_RATIO_TO_FIND, 2 * self.settings.theta0 if self.settings.theta0 >= _RATIO_TO_FIND else 0.0)
        wanted = information_wanted(ratio, self.settings.theta0, needed)
        times = wanted / information if information > 0 else inf
        e_value = exp(min(log_e, 700))
        if times <= 1:
            return (
                f"e = {e_value:.3g} of {exp(min(needed, 700)):.3g} needed, though a ratio of {ratio:g} would by now be "
                "found in 80 of 100 cases: the ratio is smaller, or not there"
            )
        return (
            f"e = {e_value:.3g} of {exp(min(needed, 700)):.3g} needed; to find a ratio of {ratio:g} in 80 of 100 cases "
            f"takes about {times:.2g} times the first sendings seen so far"
        )


def information_wanted(ratio: float, theta0: float, needed: float) -> float:
    """Return the information (variance of W's sendings) at which a true ratio reaches log e = `needed` with power 80 %.

    A bet at a fraction f = 3/4 of the truth u = log(ratio / theta0) has a log e of mean m u^2 I and variance f^2 u^2 I,
    m = f - f^2/2 (hypothesis.py); half of the stake is on it.
    """
    fraction = 0.75
    mean = fraction - fraction * fraction / 2
    barrier = needed - log(max(BET_WEIGHTS))
    root = (fraction * _NORMAL_80 + sqrt((fraction * _NORMAL_80) ** 2 + 4 * mean * barrier)) / (2 * mean)
    return (root / log(ratio / theta0)) ** 2
