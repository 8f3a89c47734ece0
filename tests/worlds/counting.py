"""The simplest possible look at a world: which hosts had what, as sets; no statistics beyond an odds ratio."""

from math import log, sqrt
from typing import Any

import pyarrow.compute as pc

from whimbrel.worlds.settings import WEEK_SECONDS, World


def hosts(table: Any, **wanted: str) -> set[str]:
    """The hosts with a row in which all the named columns have the given text."""
    kept = table
    for name, text in wanted.items():
        kept = kept.filter(pc.equal(kept[name].cast("string"), text))
    return set(kept["host"].cast("string").to_pylist())


def within(table: Any, world: World, first_week: int, last_week: int) -> Any:
    """The rows of weeks (from 0, the last one included)."""
    start = int(pc.cast(pc.min(table["seen_at"]), "int64").as_py()) // 1_000_000
    start -= start % 86_400
    week = pc.divide(pc.subtract(pc.divide(pc.cast(table["seen_at"], "int64"), 1_000_000), start), WEEK_SECONDS)
    return table.filter(pc.and_(pc.greater_equal(week, first_week), pc.less_equal(week, last_week)))


def log_odds_ratio(exposed: set[str], others: set[str], senders: set[str]) -> tuple[float, float]:
    """The log odds ratio of being a sender, and its standard error (Woolf; half a count added to each cell)."""
    a, c = len(exposed & senders) + 0.5, len(others & senders) + 0.5
    b, d = len(exposed) - a + 1, len(others) - c + 1
    return log(a * d / (b * c)), sqrt(1 / a + 1 / b + 1 / c + 1 / d)


def next_week_ratio(table: Any, world: World, campaign: str = "campaign-001") -> tuple[float, float]:
    """W against other families: hosts infected in the first week, that first send the campaign in the second."""
    first, second = within(table, world, 0, 0), within(table, world, 1, 1)
    infected = hosts(first, kind="infection")
    w = hosts(first, kind="infection", family="family-01")
    before = hosts(first, kind="message", campaign=campaign)
    senders = hosts(second, kind="message", campaign=campaign)
    return log_odds_ratio(w - before, infected - w - before, senders)
