"""One run of each section of `link.py`: a world and a seed in, what the link test said of it out, as plain values.

The test is called as `whimbrel links` calls it (`tabulated`, `State.close`, `verdicts`).  Weekly looks share one pass
over the observations: a window's cells tell only what was learned by its end and the grace, so closing windows one
after the other gives what a weekly call would; the section `looks` makes the weekly calls and compares.  Small runs
share a pass, too (`link_packs.py`); the section `lines` goes the long way, through text and the command line.
"""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from bench.link_efficiency import exact_p
from bench.link_lines import by_command_line
from bench.link_packs import Run, tabulate
from bench.link_shipped import draw, end_of_mail, told_of_mail
from bench.link_size import measure
from bench.second_generator import START_SECONDS, Truth
from bench.second_generator import generate as generate_second

from whimbrel.analysis.links import Evidence, Settings, grow, judge, verdicts
from whimbrel.analysis.links.pairs import Pairs, arm_sums, log_e_of_claim
from whimbrel.worlds import World, generate, read_world, truth

HERE = Path(__file__).resolve().parent
WORLDS = HERE.parent / "worlds"
PAIR: Final = ("family-01", "campaign-001")
LINKED: Final = frozenset({"linked", "strongly linked"})
_SECOND_WEEKS = 13
_ONE_PAIR = Pairs([PAIR[0]], [PAIR[1]], 1)

Result = dict[str, Any]


class Task(NamedTuple):
    """One run; its key in the file of results."""

    section: str
    world: str
    settings: str  # changes to the world, `key=value`, parted by blanks; the placebo's name first where there is one
    seed: int


def run(pack: Sequence[Task]) -> list[Result]:
    """Do runs of one section and point: in one pass, where the section has small ones."""
    section = pack[0].section
    if section not in _PACKED:
        return [_ALONE[section](task) for task in pack]
    observe, tell = _PACKED[section]
    observations = [observe(task) for task in pack]
    tables = tabulate(observations, Settings(), _end(pack[0]))
    return [tell(*one) for one in zip(pack, tables, observations, strict=True)]


def world_of(task: Task, *, skip: int = 0) -> World:
    """Return the task's world, the first `skip` words of its settings left aside."""
    return read_world(WORLDS / f"{task.world}.toml", task.settings.split()[skip:])


def end_of(world: World, settings: Settings, weeks: int | None = None) -> datetime:
    """Return the instant at which the last window (or the given number of windows) has closed."""
    begin = datetime(world.start.year, world.start.month, world.start.day, tzinfo=UTC)
    return begin + timedelta(weeks=world.weeks if weeks is None else weeks, hours=settings.grace_hours)


def _end(task: Task) -> datetime:
    if task.section == "calibration":
        start = datetime.fromtimestamp(START_SECONDS, UTC)
        return start + timedelta(weeks=_SECOND_WEEKS, hours=Settings().grace_hours)
    if task.section == "shipped":
        return end_of_mail()
    return end_of(world_of(task, skip=int(task.section == "placebo")), Settings())


def _observed(task: Task) -> pa.Table:
    return generate(world_of(task), task.seed)


def asked(evidence: Evidence) -> Result:
    """Return the verdict on L2 of the one pair, asked about alone."""
    rows: list[Result] = verdicts(evidence, PAIR).to_pylist()
    return next(row for row in rows if row["claim"] == "L2")


def normal_tail(z: float) -> float:
    """Return the chance of a standard normal above z."""
    return 0.5 * math.erfc(z / math.sqrt(2))


def _null(_task: Task, tables: Run, observations: pa.Table) -> Result:
    """Weekly looks at a pair that is not linked, and what simpler tests say of it."""
    week, first, highest, raw, cmh_ever = 0, None, 0.0, -math.inf, 1.0
    against = False
    said: Result = {}
    for evidence in tables.looks(Settings()):
        week += 1
        said = asked(evidence)
        if first is None and said["verdict"] in LINKED:
            first = week
        against |= said["verdict"] == "evidence against"
        highest = max(highest, said["e_value"])
        sums = {arm: arm_sums(evidence.state, arm, _ONE_PAIR) for arm in ("sending", "time")}
        raw = max(raw, float(log_e_of_claim(evidence.state, sums, "L2")[0]))
        cmh_ever = min(cmh_ever, _cmh(evidence, "sending"))
    ratio, p = naive_overlap(observations)
    return {
        "linked_week": first,
        "weeks": week,
        "verdict": said["verdict"],
        "against_ever": against,
        "method_unknown": any("method" in reason for reason in said["reasons"]),
        "odds_ratio": said["odds_ratio"],
        "e_end": said["e_value"],
        "e_highest": highest,
        "e_highest_before_veto": math.exp(min(raw, 700.0)),
        "cmh_p": _cmh(evidence, "sending"),
        "cmh_p_lowest": cmh_ever,
        "cmh_all_hosts_p": _cmh(evidence, "co-location"),
        "naive_ratio": ratio,
        "naive_p": p,
    }


def _cmh(evidence: Evidence, arm: str) -> float:
    """Return the one-sided p-value of Cochran, Mantel and Haenszel over the strata of an arm."""
    sent, expected, information = arm_sums(evidence.state, arm, _ONE_PAIR).head[0, :3]
    return normal_tail(float((sent - expected) / math.sqrt(information))) if information > 0 else 1.0


def naive_overlap(observations: pa.Table) -> tuple[float, float]:
    """Return odds ratio and one-sided p-value of "has the family" by "sent the campaign", over all hosts ever seen."""
    encoded = pc.dictionary_encode(observations["host"].cast(pa.string())).combine_chunks()
    hosts = len(encoded.dictionary)
    codes = encoded.indices.to_numpy()

    def having(column: str, value: str) -> npt.NDArray[np.bool_]:
        told = pc.equal(observations[column].cast(pa.string()), value).fill_null(fill_value=False)
        found = np.zeros(hosts, dtype=bool)
        found[codes[told.to_numpy()]] = True
        return found

    family, sent = having("family", PAIR[0]), having("campaign", PAIR[1])
    cells = [float(np.sum(one & other)) + 0.5 for one in (family, ~family) for other in (sent, ~sent)]
    ratio = cells[0] * cells[3] / (cells[1] * cells[2])
    return ratio, normal_tail(math.log(ratio) / math.sqrt(sum(1 / cell for cell in cells)))


def _looks(task: Task) -> Result:
    """Ask every week anew, with the state of the week before, and compare with one pass; once, too, without a state."""
    settings = Settings()
    world = world_of(task)
    observations = generate(world, task.seed)
    (tables,) = tabulate([observations], settings, end_of(world, settings))
    one_pass = [asked(evidence)["e_value"] for evidence in tables.looks(settings)]
    state, weekly = None, []
    for week in range(1, world.weeks + 1):
        evidence = grow(observations, settings, end_of(world, settings, week), state)
        state = evidence.state
        weekly.append(asked(evidence)["e_value"])
    whole = asked(grow(observations, settings, end_of(world, settings)))["e_value"]
    weekly = weekly[-len(one_pass) :]
    return {"looks": len(one_pass), "equal": one_pass == weekly and whole == one_pass[-1]}


def _against(_task: Task, tables: Run, _observations: pa.Table) -> Result:
    """Tell whether "evidence against" is said at the end, and whether it was at any week."""
    said = [asked(evidence) for evidence in tables.looks(Settings())]
    weeks = [number for number, one in enumerate(said, 1) if one["verdict"] == "evidence against"]
    return {**_told(said[-1]), "against_week": weeks[0] if weeks else None}


def _final(_task: Task, tables: Run, _observations: pa.Table) -> Result:
    return _told(asked(tables.evidence(Settings())))


def _efficiency(_task: Task, tables: Run, _observations: pa.Table) -> Result:
    """Return the e-value, and the p-value of the exact test of the same null on the same tables, looked at once."""
    settings = Settings()
    p = exact_p([cells for _, cells in tables.windows], PAIR, settings.theta0)
    return {**_told(asked(tables.evidence(settings))), "exact_p": p}


def _told(said: Result) -> Result:
    return {key: said[key] for key in ("verdict", "probability", "odds_ratio", "e_value", "gamma", "units")}


@lru_cache(maxsize=8)  # a pack of runs: each is asked for its observations, and then for its truths
def _second_world(seed: int) -> tuple[pa.Table, list[Truth]]:
    return generate_second(seed, weeks=_SECOND_WEEKS)


def _second(task: Task) -> pa.Table:
    return _second_world(task.seed)[0]


def _calibration(task: Task, tables: Run, _observations: pa.Table) -> Result:
    """Return, for each pair of the second generator: probability, truth, the one-sided CMH p-value, verdict."""
    truths = _second_world(task.seed)[1]
    evidence = tables.evidence(Settings())
    said = {(row["family"], row["campaign"]): row for row in verdicts(evidence).to_pylist() if row["claim"] == "L2"}
    pairs = Pairs([one.family for one in truths], [one.campaign for one in truths], len(truths))
    head = arm_sums(evidence.state, "sending", pairs).head
    found = []
    for one, (sent, expected, information) in zip(truths, head[:, :3].tolist(), strict=True):
        row = said.get((one.family, one.campaign))
        p = normal_tail((sent - expected) / math.sqrt(information)) if information > 0 else None
        known = row is not None and row["probability"] is not None
        found.append(
            [
                round(row["probability"], 5) if row is not None and known else None,
                int(one.linked),
                None if p is None else float(f"{p:.4g}"),
                row["verdict"] if row is not None else "not followed",
            ]
        )
    return {"pairs": found}


def _broken(task: Task) -> pa.Table:
    """Return the observations of a linked world with its link broken."""
    import ibis  # noqa: PLC0415 - as in the package: Ibis takes 0.2 s to import

    from whimbrel.analysis.links.placebos import campaigns_swapped, dates_shifted  # noqa: PLC0415

    kind = task.settings.split()[0]
    world = world_of(task, skip=1)
    made = generate(world, task.seed)
    table = ibis.memtable(made.cast(pa.schema([field.with_nullable(True) for field in made.schema])))
    if kind == "campaigns_swapped":
        broken = campaigns_swapped(table, 1 + task.seed % 5)
    else:
        broken = dates_shifted(table, 1 + task.seed % (world.weeks - 1))
    return broken.to_pyarrow()


def _of_mail(task: Task, tables: Run, _observations: pa.Table) -> Result:
    return told_of_mail(task.settings, task.seed, tables.evidence(Settings()))


def _many(task: Task) -> Result:
    """Judge all pairs of a world; count those found, by truth."""
    settings = Settings()
    world = world_of(task)
    table = judge(generate(world, task.seed), settings, end_of(world, settings))
    l2 = table.filter(pc.equal(table["claim"], "L2")).select(["family", "campaign", "verdict", "e_value"]).to_pylist()
    holds = {(one.family, one.campaign) for one in truth(world) if one.claim == "L2" and one.holds}
    found = {(row["family"], row["campaign"]) for row in l2 if row["verdict"] in LINKED}
    denied = {(row["family"], row["campaign"]) for row in l2 if row["verdict"] == "evidence against"}
    return {
        "pairs": len(l2),
        "true": len(holds),
        "found": len(found),
        "false": len(found - holds),
        "denied": len(denied),
        "denied_true": len(denied & holds),
    }


def _size(task: Task) -> Result:
    world = world_of(task)
    return measure(world, task.seed, end_of(world, Settings()))


def _lines(task: Task) -> Result:
    """Compare the verdicts on columns with those of the command line on the same rows as text."""
    world, settings = world_of(task), Settings()
    observations, now = generate(world, task.seed), end_of(world, settings)
    columns = judge(observations, settings, now).to_pylist()
    return {
        "rows": observations.num_rows,
        "verdicts": len(columns),
        "equal": by_command_line(observations, now) == columns,
    }


_PACKED: Final[dict[str, tuple[Callable[[Task], pa.Table], Callable[[Task, Run, pa.Table], Result]]]] = {
    "null": (_observed, _null),
    "against": (_observed, _against),
    "power": (_observed, _final),
    "efficiency": (_observed, _efficiency),
    "calibration": (_second, _calibration),
    "placebo": (_broken, _final),
    "shipped": (lambda task: draw(task.settings, task.seed), _of_mail),
}
_ALONE: Final[dict[str, Callable[[Task], Result]]] = {
    "looks": _looks,
    "lines": _lines,
    "many": _many,
    "size": _size,
}
