"""From observations to the evidence of all pairs: tabulate the windows that have closed since, and add them.

The backend is whatever holds the observations: an Ibis table of any backend, or an Arrow table, which Ibis gives to its
default one (DuckDB).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from whimbrel.analysis.links.columns import CAMPAIGNS, CELLS, FAMILIES, READ
from whimbrel.analysis.links.settings import Settings
from whimbrel.analysis.links.state import State

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from whimbrel.analysis.links.kept import Kept
    from whimbrel.analysis.links.outside import Outside
    from whimbrel.analysis.links.tables import Known

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

    def __init__(self, facts: "Known | None", settings: Settings, first: int, last: int, kept: "Kept") -> None:
        from whimbrel.analysis.links import tables  # noqa: PLC0415 - Ibis takes 0.2 s to import

        self._facts, self._settings, self._first, self._last = facts, settings, first, last
        self._kept = kept
        self._at_once = max(1, last - first + 1)
        if facts is None:
            self.campaigns, self.families = CAMPAIGNS.empty_table(), FAMILIES.empty_table()
        else:
            self.campaigns = kept.read(facts.campaigns).cast(CAMPAIGNS).sort_by("campaign")
            by_name = [("family", "ascending"), ("sensor", "ascending")]
            # A window seen puts a unit at risk in one to `lease_gap_windows` windows; two are typical.
            per_window = (
                2
                * kept.read(facts.seen.aggregate(rows=facts.seen.count()))["rows"][0].as_py()
                / max(last - first + 1, 1)
            )
            self._at_once = max(1, int(_AT_RISK_AT_ONCE / max(per_window, 1)))
            self.families = kept.read(tables.families(facts)).cast(FAMILIES).sort_by(by_name)

    def windows(self, campaign: str | None = None) -> Iterator[tuple[int, pa.Table]]:
        """Yield each window that has closed, in order, with its cells (of one campaign, where it is named)."""
        for first in range(self._first, self._last + 1, self._at_once):
            last = min(first + self._at_once - 1, self._last)
            with self._kept.further() as kept:
                cells = self._cells(first, last, campaign, kept)
            for window in range(first, last + 1):
                yield window, cells.filter(pc.equal(cells["window"], window))

    def _cells(self, first: int, last: int, campaign: str | None, kept: "Kept") -> pa.Table:
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
        arms = tables.cells(facts, self._settings, Span(first, last), kept.keep)
        return pa.concat_tables([kept.read(arm).cast(CELLS) for arm in arms])


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
    from whimbrel.analysis.links.kept import kept_tables  # noqa: PLC0415 - as above
    from whimbrel.analysis.links.outside import Outside  # noqa: PLC0415 - as above

    given = observations
    if isinstance(observations, pa.Table):
        given = ibis.memtable(observations.select(["seen_at", "learned_at", *READ]))
    last = units.last_closed(now, settings)
    with kept_tables(given.get_backend()) as kept:
        rows = units.dated(kept.keep(given) if given is not observations else given, settings, now)
        earliest = kept.read(rows.aggregate(earliest=rows.window.min()))["earliest"][0].as_py()
        if earliest is None or earliest > last:
            yield Tabulated(None, settings, last + 1, last, kept)
            return
        facts = tables.known(rows, settings, last, kept.keep, outside or Outside())
        yield Tabulated(facts, settings, earliest if through is None else through + 1, last, kept)
