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

from whimbrel.analysis.links.columns import CAMPAIGNS, CELLS, FAMILIES
from whimbrel.analysis.links.settings import Settings
from whimbrel.analysis.links.state import State

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from whimbrel.analysis.links.tables import Known

# The windows tabulated at once: a quarter of a year, so that memory does not grow with the length of the past.
_WINDOWS_AT_ONCE = 13


class Evidence(NamedTuple):
    """Sums of all pairs, and what is to be said of campaigns and families beside them."""

    state: State
    campaigns: pa.Table  # campaign, followed_from, senders, payload_from, attachment_from
    families: pa.Table  # family, sensor, units, without_method


def grow(
    observations: "ir.Table | pa.Table", settings: Settings, now: datetime, state: State | None = None
) -> Evidence:
    """Return the evidence up to the last closed window; a given `state` is added to and returned."""
    state = State(settings) if state is None else state
    with tabulated(observations, settings, now, state.through) as found:
        for window, cells in found.windows():
            state.close(window, cells)
        return Evidence(state, found.campaigns, found.families)


class Tabulated:
    """What was known at the last closed window, held by the backend; cells are computed when asked for."""

    def __init__(self, facts: "Known | None", settings: Settings, first: int, last: int) -> None:
        from whimbrel.analysis.links import tables  # noqa: PLC0415 - Ibis takes 0.2 s to import

        self._facts, self._settings, self._first, self._last = facts, settings, first, last
        if facts is None:
            self.campaigns, self.families = CAMPAIGNS.empty_table(), FAMILIES.empty_table()
        else:
            self.campaigns = facts.campaigns.to_pyarrow().cast(CAMPAIGNS).sort_by("campaign")
            by_name = [("family", "ascending"), ("sensor", "ascending")]
            self.families = tables.families(facts).to_pyarrow().cast(FAMILIES).sort_by(by_name)

    def windows(self, campaign: str | None = None) -> Iterator[tuple[int, pa.Table]]:
        """Yield each window that has closed, in order, with its cells (of one campaign, where it is named)."""
        for first in range(self._first, self._last + 1, _WINDOWS_AT_ONCE):
            last = min(first + _WINDOWS_AT_ONCE - 1, self._last)
            cells = self._cells(first, last, campaign)
            for window in range(first, last + 1):
                yield window, cells.filter(pc.equal(cells["window"], window))

    def _cells(self, first: int, last: int, campaign: str | None) -> pa.Table:
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
        arms = tables.cells(facts, self._settings, Span(first, last))
        return pa.concat_tables([arm.to_pyarrow().cast(CELLS) for arm in arms])


@contextmanager
def tabulated(
    observations: "ir.Table | pa.Table", settings: Settings, now: datetime, through: int | None = None
) -> Iterator[Tabulated]:
    """Give what is known at the last window closed by `now`, for tabulating the windows after `through`."""
    import ibis  # noqa: PLC0415 - as above

    from whimbrel.analysis.links import tables, units  # noqa: PLC0415 - as above

    table = ibis.memtable(observations) if isinstance(observations, pa.Table) else observations
    last = units.last_closed(now, settings)
    rows = units.dated(table, settings, now)
    earliest = rows.window.min().to_pyarrow().as_py()
    with ExitStack() as kept:
        if earliest is None or earliest > last:
            yield Tabulated(None, settings, last + 1, last)
            return
        facts = tables.known(rows, settings, last, lambda part: kept.enter_context(part.cache()))
        yield Tabulated(facts, settings, earliest if through is None else through + 1, last)
