"""From observations to the evidence of all pairs: tabulate the windows that have closed since, and add them.

The backend is whatever holds the observations: an Ibis table of any backend, or an Arrow table, which Ibis gives to its
default one (DuckDB).
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from whimbrel.analysis.links.columns import CAMPAIGNS, CELLS, FAMILIES, READ
from whimbrel.analysis.links.settings import Settings
from whimbrel.analysis.links.state import State

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from whimbrel.analysis.links.outside import Outside
    from whimbrel.analysis.links.tables import Keep, Known

# Windows are tabulated together as long as they hold so many units at risk: few rounds for little data, and memory that
# does not grow with the length of the past (a unit at risk in a window takes about 30 octets).
_AT_RISK_AT_ONCE = 1_000_000


class Evidence(NamedTuple):
    """Sums of all pairs, and what is to be said of campaigns and families beside them."""

    state: State
    campaigns: pa.Table  # CAMPAIGNS
    families: pa.Table  # FAMILIES


def grow(
    observations: "ir.Table | pa.Table",
    settings: Settings,
    now: datetime,
    state: State | None = None,
    outside: "Outside | None" = None,
) -> Evidence:
    """Return the evidence up to the last closed window; a given `state` is added to and returned.

    Raises ValueError where that state was made with something else from outside: its sums are of other units.
    """
    digest = "" if outside is None else outside.digest
    state = State(settings, digest) if state is None else state
    if state.outside != digest:
        raise ValueError("the link state was made with other tables from outside: rebuild it by replay")
    with tabulated(observations, settings, now, state.through, outside) as found:
        for window, cells in found.windows():
            state.close(window, cells)
        return Evidence(state, found.campaigns, found.families)


class Tabulated:
    """What was known at the last closed window, held by the backend; cells are computed when asked for."""

    def __init__(self, facts: "Known | None", settings: Settings, first: int, last: int) -> None:
        from whimbrel.analysis.links import tables  # noqa: PLC0415 - Ibis takes 0.2 s to import

        self._facts, self._settings, self._first, self._last = facts, settings, first, last
        self._at_once = max(1, last - first + 1)
        if facts is None:
            self.campaigns, self.families = CAMPAIGNS.empty_table(), FAMILIES.empty_table()
        else:
            self.campaigns = facts.campaigns.to_pyarrow().cast(CAMPAIGNS).sort_by("campaign")
            by_name = [("family", "ascending"), ("sensor", "ascending")]
            # A window seen puts a unit at risk in one to `lease_gap_windows` windows; two are typical.
            per_window = 2 * facts.seen.count().to_pyarrow().as_py() / max(last - first + 1, 1)
            self._at_once = max(1, int(_AT_RISK_AT_ONCE / max(per_window, 1)))
            self.families = tables.families(facts).to_pyarrow().cast(FAMILIES).sort_by(by_name)

    def windows(self, campaign: str | None = None) -> Iterator[tuple[int, pa.Table]]:
        """Yield each window that has closed, in order, with its cells (of one campaign, where it is named)."""
        for first in range(self._first, self._last + 1, self._at_once):
            last = min(first + self._at_once - 1, self._last)
            with kept_tables() as keep:
                cells = self._cells(first, last, campaign, keep)
            for window in range(first, last + 1):
                yield window, cells.filter(pc.equal(cells["window"], window))

    def _cells(self, first: int, last: int, campaign: str | None, keep: "Keep") -> pa.Table:
        from whimbrel.analysis.links import tables  # noqa: PLC0415 - as above
        from whimbrel.analysis.links.units import Span  # noqa: PLC0415 - as above

        if self._facts is None:
            return CELLS.empty_table()
        facts = self._facts
        if campaign is not None:
            facts = facts._replace(
                firsts=facts.firsts.filter(facts.firsts.campaign == campaign),
                campaigns=facts.campaigns.filter(facts.campaigns.campaign == campaign),
            )
        arms = tables.cells(facts, self._settings, Span(first, last), keep)
        return pa.concat_tables([arm.to_pyarrow().cast(CELLS) for arm in arms])


@contextmanager
def kept_tables() -> Iterator["Keep"]:
    """Give a function that has the backend compute a table once, and keep it until the end."""
    with ExitStack() as kept:
        yield lambda part: kept.enter_context(part.cache())


@contextmanager
def tabulated(
    observations: "ir.Table | pa.Table",
    settings: Settings,
    now: datetime,
    through: int | None = None,
    outside: "Outside | None" = None,
) -> Iterator[Tabulated]:
    """Give what is known at the last window closed by `now`, for tabulating the windows after `through`."""
    import ibis  # noqa: PLC0415 - as above

    from whimbrel.analysis.links import tables, units  # noqa: PLC0415 - as above
    from whimbrel.analysis.links.outside import Outside  # noqa: PLC0415 - as above

    table = observations
    if isinstance(observations, pa.Table):
        table = ibis.memtable(observations.select(["seen_at", "learned_at", *READ]))
    last = units.last_closed(now, settings)
    rows = units.dated(table, settings, now)
    earliest = rows.window.min().to_pyarrow().as_py()
    with kept_tables() as keep:
        if earliest is None or earliest > last:
            yield Tabulated(None, settings, last + 1, last)
            return
        facts = tables.known(rows, settings, last, keep, outside or Outside())
        yield Tabulated(facts, settings, earliest if through is None else through + 1, last)
