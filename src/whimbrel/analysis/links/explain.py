"""Everything a sceptic asks for about one pair: the pair is replayed alone, window by window."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa

from whimbrel.analysis.links import hypothesis
from whimbrel.analysis.links.columns import STRATUM
from whimbrel.analysis.links.growing import Evidence, tabulated
from whimbrel.analysis.links.pairs import Pairs, arm_sums, log_e_of_claim, vetoes
from whimbrel.analysis.links.reference import SUMS, Floats, mantel_haenszel
from whimbrel.analysis.links.settings import Settings
from whimbrel.analysis.links.state import State
from whimbrel.analysis.links.verdicts import verdicts

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from whimbrel.analysis.links.outside import Outside

ARMS = {"co-location": "L1", "sending": "L2", "time": "L2"}
# What a stratum is made of, and the confounder that each part takes away.
CONFOUNDERS = {
    "network": "dirty networks",
    "volume": "busy hosts send more of everything",
    "sensor": "sensors that see other parts of the world",
    "method": "infections seen in different ways",
    "window": "campaigns and infections that come and go together",
}


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """A ratio and its evidence, of one arm (and one sensor, where it is named)."""

    arm: str
    sensor: str | None
    sent: int
    expected: float
    tables: int
    odds_ratio: float
    odds_ratio_low: float
    odds_ratio_high: float
    upper_limit: float  # of the confidence sequence
    log_e: float
    gamma: float


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """The evidence as it stood when a window was closed."""

    opens_at: datetime
    sent: int
    expected: float
    log_e: dict[str, float]  # by claim, before the veto


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """A negative control: another family's log odds ratio among units without the family in question."""

    family: str
    log_odds_ratio: float
    standard_error: float


class Confounder(msgspec.Struct, frozen=True, kw_only=True):
    """What a part of the strata did: the ratio when hosts are compared without regard to it."""

    part: str
    why: str
    odds_ratio_without: float


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """One pair asked about alone, so that e >= 1/alpha suffices."""

    family: str
    campaign: str
    verdicts: list[dict[str, Any]]  # rows of `VERDICTS`
    effects: list[Effect]
    path: list[Step]
    threshold_log_e: float
    controls: list[Control]
    controls_z: float | None
    controls_threshold: float | None
    own_log_odds_ratio: float | None  # to lay beside the controls (Peto's one-step estimate, as theirs)
    confounders: list[Confounder]
    overturned_by: list[str]


def explain_pair(  # noqa: PLR0917 - those of `grow`, and the pair
    observations: "ir.Table | pa.Table",
    settings: Settings,
    now: datetime,
    family: str,
    campaign: str,
    outside: "Outside | None" = None,
) -> Explanation:
    """Return all that stands behind the verdicts on one pair."""
    state, path, kept = State(settings), [], []
    pair = Pairs([family], [campaign], 1)
    with tabulated(observations, settings, now, outside=outside) as found:
        for window, cells in found.windows(campaign):
            state.close(window, cells)
            path.append(_step(state, pair, window))
            kept.append(cells)
        evidence = Evidence(state, found.campaigns, found.families)
    sums = {arm: arm_sums(state, arm, pair) for arm in ARMS}
    main = sums["sending"]
    veto = vetoes(state, pair, main, np.array([True]))[0]
    score, information = main.head[0, 0] - main.head[0, 1], main.head[0, SUMS.index("information")]
    rows = verdicts(evidence, only=(family, campaign)).to_pylist()
    return Explanation(
        family=family,
        campaign=campaign,
        verdicts=rows,
        effects=[effect for arm in ARMS for effect in _effects(state, arm, pair)],
        path=path,
        threshold_log_e=-float(np.log(settings.alpha)),
        controls=[Control(family=k, log_odds_ratio=b, standard_error=se) for k, b, se in veto.estimates],
        controls_z=veto.z,
        controls_threshold=veto.threshold,
        own_log_odds_ratio=float(score / information) if information > 0 else None,
        confounders=_confounders(pa.concat_tables(kept), family) if kept else [],
        overturned_by=_overturned_by(settings, rows),
    )


def _step(state: State, pair: Pairs, window: int) -> Step:
    sums = {arm: arm_sums(state, arm, pair) for arm in ARMS}
    main = sums["sending"].head[0]
    log_e = {claim: float(log_e_of_claim(state, sums, claim)[0]) for claim in ("L1", "L2")}
    opens_at = datetime(1969, 12, 29, tzinfo=UTC) + timedelta(weeks=window)  # the Monday before 1970
    return Step(opens_at=opens_at, sent=int(main[0]), expected=float(main[1]), log_e=log_e)


def _effects(state: State, arm: str, pair: Pairs) -> list[Effect]:
    tally = state.tallies.get((arm, pair.campaign[0]))
    places = sorted(tally.place.items()) if tally else []
    parts = [(sensor, tally.sums[row]) for (sensor, family), row in places if tally and family == pair.family[0]]
    whole = arm_sums(state, arm, pair)
    rows = [(None, np.concatenate([whole.head[0], whole.log_z[0]])), *parts]
    return [_effect(state, arm, sensor, row) for sensor, row in rows]


def _effect(state: State, arm: str, sensor: str | None, row: Floats) -> Effect:
    head, sent, log_z = row[: len(SUMS)], row[None, 0], row[None, len(SUMS) :]
    ratio, low, high = mantel_haenszel(head)
    alpha = state.settings.alpha
    return Effect(
        arm=arm,
        sensor=sensor,
        sent=int(head[0]),
        expected=float(head[1]),
        tables=int(head[SUMS.index("tables")]),
        odds_ratio=ratio,
        odds_ratio_low=low,
        odds_ratio_high=high,
        upper_limit=float(hypothesis.upper_limit(state.lattice, sent, log_z, alpha)[0]),
        log_e=float(hypothesis.log_e(state.lattice, sent, log_z)[0]),
        gamma=float(hypothesis.gamma(state.lattice, sent, log_z, alpha)[0]),
    )


def _confounders(cells: pa.Table, family: str) -> list[Confounder]:
    """Compare the ratio with what it would be if one part of the strata were left out.

    Laid together are only strata in which the campaign was sent: what cells hold.
    """
    rows = [row for row in cells.to_pylist() if row["arm"] == "sending"]
    found = []
    for part, why in CONFOUNDERS.items():
        groups: dict[tuple[Any, ...], list[int]] = {}
        for row in rows:
            counts = groups.setdefault(tuple(row[name] for name in STRATUM if name != part), [0, 0, 0, 0])
            own = 0 if row["family"] == family else 2
            counts[own] += row["sent"]
            counts[own + 1] += row["at_risk"] - row["sent"]
        tables = np.array(list(groups.values()), dtype=np.float64).reshape(-1, 4)
        size = np.maximum(tables.sum(axis=1), 1)
        r, s = (tables[:, 0] * tables[:, 3] / size).sum(), (tables[:, 1] * tables[:, 2] / size).sum()
        if r > 0 and s > 0:
            found.append(Confounder(part=part, why=why, odds_ratio_without=float(r / s)))
    return found


def _overturned_by(settings: Settings, rows: list[dict[str, Any]]) -> list[str]:
    verdict = next(row["verdict"] for row in rows if row["claim"] == "L2")
    if verdict in {"linked", "strongly linked"}:
        gamma = next(row["gamma"] for row in rows if row["claim"] == "L2")
        return [
            f"a hidden trait that makes hosts of the family more than {gamma:.3g} times as likely to send the campaign",
            "other families of the same strata that turn out to show the same ratio (the negative controls)",
            f"further windows in which e falls below {1 / settings.alpha:g}",
        ]
    if verdict == "evidence against":
        return [
            f"churn above {settings.most_churn:.0%}, or more than {settings.most_mislabelled:.0%} of labels wrong",
            "a second family in the same strata that sends the campaign and hides this one's share",
        ]
    return ["more first sendings by hosts of the family, or of other families seen by the same sensor"]
