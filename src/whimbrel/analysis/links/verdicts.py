"""From evidence to verdicts: one row a pair and claim, in words that say no more than the numbers.

A verdict is one of five.  `linked`: the e-value of the claim stands after the veto of the negative controls, and passes
e-BH over all pairs asked about (for one pair: e >= 1/alpha).  `strongly linked`: also Gamma* >= 2, and the second kind
of arm alone refutes an odds ratio of 1.  `evidence against`: odds ratios down to `Settings.against_limit` are refuted,
likewise by e-BH.  `insufficient data`: neither, with the reason and how much more would be needed.  `not assessed`: L3
and L4, for which tooling and infrastructure would have to be compared; L4 is never inferred from L1 or L2, as botnets
are rented.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whimbrel.analysis.links import hypothesis, reasons
from whimbrel.analysis.links.columns import VERDICTS
from whimbrel.analysis.links.growing import Evidence, grow
from whimbrel.analysis.links.many import e_bh
from whimbrel.analysis.links.pairs import (
    ArmSums,
    Pairs,
    arm_sums,
    chances,
    log_e_of_claim,
    pairs_of,
    units_by_family,
    vetoes,
)
from whimbrel.analysis.links.reference import Floats, mantel_haenszel
from whimbrel.analysis.links.settings import Settings
from whimbrel.analysis.links.veto import Veto
from whimbrel.analysis.links.words import word_for

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from whimbrel.analysis.links.outside import Outside

_MAIN_ARM = {"L1": "co-location", "L2": "sending"}
_ARMS_OF = {"L1": ("co-location",), "L2": ("sending", "time")}


def judge(
    observations: "ir.Table | pa.Table", settings: Settings, now: datetime, outside: "Outside | None" = None
) -> pa.Table:
    """Return the verdict on every pair of a family and a campaign, as rows of `VERDICTS`.

    `observations` has the columns of `model.columns.OBSERVATIONS`, as an Ibis table of any backend or an Arrow table.
    """
    return verdicts(grow(observations, settings, now, outside=outside))


def verdicts(evidence: Evidence, only: tuple[str, str] | None = None) -> pa.Table:
    """Return the verdicts that the evidence gives: on all pairs, or on one (family, campaign) asked about alone."""
    pairs = pairs_of(evidence) if only is None else Pairs([only[0]], [only[1]], 1)
    rows = [row for claim in ("L1", "L2") for row in _judged(evidence, pairs, claim)]
    known = units_by_family(evidence.families)
    rows += [_not_assessed(pairs, known, number, claim) for claim in ("L3", "L4") for number in range(len(pairs))]
    rows.sort(key=lambda row: (row["family"], row["campaign"], row["claim"]))
    return pa.Table.from_pylist(rows, schema=VERDICTS)


class _Claim:
    """One claim over all pairs: the columns from which its rows are written."""

    def __init__(self, evidence: Evidence, pairs: Pairs, claim: str) -> None:
        state, settings = evidence.state, evidence.state.settings
        self.sums = {arm: arm_sums(state, arm, pairs) for arm in _ARMS_OF[claim]}
        main = self.main = self.sums[_MAIN_ARM[claim]]
        self.log_e = log_e_of_claim(state, self.sums, claim)
        self.vetoes: dict[int, Veto] = {}
        if claim == "L2":
            self.vetoes = vetoes(state, pairs, main, self.log_e > 0)
            self.log_e[[number for number, veto in self.vetoes.items() if not veto.passed]] = -np.inf
        self.unseen = _without_method(evidence, pairs) if claim == "L2" else np.zeros(len(pairs), dtype=bool)
        self.log_e[self.unseen] = np.minimum(self.log_e[self.unseen], 0.0)
        self.linked, self.needed = _fallen(self.log_e, pairs.asked, settings.alpha)
        log_against = hypothesis.log_e_against(state.lattice, main.sent, main.log_z)
        self.hidden = _hidden_by_rivals(evidence, pairs, _MAIN_ARM[claim])
        log_against[self.unseen | self.hidden] = -np.inf
        self.against, _ = _fallen(log_against, pairs.asked, settings.alpha)
        self.gamma = hypothesis.gamma(state.lattice, main.sent, main.log_z, settings.alpha)
        self.chance = chances(state, _MAIN_ARM[claim], pairs)
        self.second_arm = np.zeros(len(pairs), dtype=bool)
        if "time" in self.sums:
            self.second_arm = _refutes_one(evidence, self.sums["time"])


def _judged(evidence: Evidence, pairs: Pairs, claim: str) -> list[dict[str, Any]]:
    if not len(pairs):
        return []
    found = _Claim(evidence, pairs, claim)
    told = reasons.Teller(evidence, pairs, claim)
    known = units_by_family(evidence.families)
    return [_row(found, told, pairs, number, claim, known) for number in range(len(pairs))]


def _row(  # noqa: PLR0917 - one row of columns
    found: _Claim, told: "reasons.Teller", pairs: Pairs, number: int, claim: str, known: dict[str, Any]
) -> dict[str, Any]:
    settings = told.settings
    veto = found.vetoes.get(number)
    strong = found.gamma[number] >= settings.strong_gamma and found.second_arm[number]
    if found.linked[number]:
        verdict = "strongly linked" if strong else "linked"
    else:
        verdict = "evidence against" if found.against[number] else "insufficient data"
    chance = float(found.chance[number])
    informative = bool(found.main.informative[number]) and not found.unseen[number]
    ratio, low, high = mantel_haenszel(found.main.head[number])
    units, without, _ = known.get(pairs.family[number], (0, 0, frozenset()))
    return {
        "family": pairs.family[number],
        "campaign": pairs.campaign[number],
        "claim": claim,
        "verdict": verdict,
        "words": word_for(chance, _strongest(settings, veto, claim, second_arm=bool(found.second_arm[number])))
        if informative
        else "not known",
        "probability": chance if informative else None,
        "odds_ratio": ratio if informative else None,
        "odds_ratio_low": low if informative else None,
        "odds_ratio_high": high if informative else None,
        "e_value": float(np.exp(min(found.log_e[number], 700.0))),
        "gamma": float(found.gamma[number]) if informative else 0.0,
        "units": units - without if claim == "L2" else units,
        "windows": int(found.main.windows[number]),
        "reasons": told.reasons(number, verdict, found.main, veto, float(found.log_e[number]), found.needed)
        + ([reasons.RIVALS] if found.hidden[number] and verdict == "insufficient data" else []),
    }


def _strongest(settings: Settings, veto: Veto | None, claim: str, *, second_arm: bool) -> str | None:
    """Return the strongest word allowed: few negative controls cap it, a veto by them, and a single kind of arm."""
    if claim == "L2" and veto is not None and (len(veto.estimates) < settings.least_controls or not veto.passed):
        return "likely"
    return None if second_arm else "very likely"


def _fallen(log_e: Floats, count: int, alpha: float) -> tuple[NDArray[np.bool_], float]:
    """Return e-BH over `count` hypotheses, of which those not listed have no evidence."""
    padded = np.concatenate([log_e, np.full(max(count - log_e.size, 0), -np.inf)])
    fallen, needed = e_bh(padded, alpha)
    return fallen[: log_e.size], needed


def _without_method(evidence: Evidence, pairs: Pairs) -> NDArray[np.bool_]:
    """Tell for which pairs most labels of the family do not say how the infection was seen."""
    known = units_by_family(evidence.families)
    hidden = {family for family, (units, without, _) in known.items() if 2 * without > units}
    return np.array([family in hidden for family in pairs.family], dtype=bool)


def _hidden_by_rivals(evidence: Evidence, pairs: Pairs, arm: str) -> NDArray[np.bool_]:
    """Tell for which pairs another family sends the campaign, by the evidence: it would hide what this one sends.

    A ratio is against all other families together, so "against" means something only where these send like anybody.
    """
    wanted = set(pairs.campaign)
    told = [(c, tally) for (one, c), tally in evidence.state.tallies.items() if one == arm and c in wanted]
    found = sorted({(family, campaign) for campaign, tally in told for _, family in tally.place if family})
    all_pairs = Pairs([family for family, _ in found], [campaign for _, campaign in found], len(found))
    sums = arm_sums(evidence.state, arm, all_pairs)
    senders: dict[str, set[str]] = {}
    strong = hypothesis.log_e(evidence.state.lattice, sums.sent, sums.log_z) >= -np.log(evidence.state.settings.alpha)
    for number in np.flatnonzero(strong).tolist():
        senders.setdefault(all_pairs.campaign[number], set()).add(all_pairs.family[number])
    return np.array(
        [
            bool(senders.get(campaign, set()) - {family})
            for family, campaign in zip(pairs.family, pairs.campaign, strict=True)
        ],
        dtype=bool,
    )


def _refutes_one(evidence: Evidence, sums: ArmSums) -> NDArray[np.bool_]:
    gamma = hypothesis.gamma(evidence.state.lattice, sums.sent, sums.log_z, evidence.state.settings.alpha)
    return np.asarray(gamma >= 1, dtype=np.bool_)


def _not_assessed(pairs: Pairs, known: dict[str, Any], number: int, claim: str) -> dict[str, Any]:
    units, _, _ = known.get(pairs.family[number], (0, 0, frozenset()))
    return {
        "family": pairs.family[number],
        "campaign": pairs.campaign[number],
        "claim": claim,
        "verdict": "not assessed",
        "words": "not known",
        "units": units,
        "windows": 0,
        "reasons": [reasons.NOT_ASSESSED[claim]],
    }
