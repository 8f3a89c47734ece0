"""From units to the small tables that the statistics work on: *cells*.

A cell is one family in one stratum of one window, for one campaign: how many units were `at_risk`, and how many of them
`sent` the campaign for the first time in that window.  Only strata with a sending are kept: all others have the factor 1.
Pairs x strata are never laid out; a cell stands for its family's share of the margins.

Three questions have the same cells, and are told apart by `arm`:

- `sending` (claim L2): units with exactly one family known; strata by sensor and method of the label, network, volume;
- `time` (claim L2): units with one family that first sent the campaign within `horizon_windows` windows before or after
  their infection: `at_risk` counts these, `sent` those after; strata by sensor, method and window of infection.  Whatever
  keeps a host sending all along (frailty, network, volume) sends before as well as after, and cancels;
- `co-location` (claim L1): all units, infected or not (family ''); strata by first sensor, network, volume.
"""

from collections.abc import Callable
from typing import NamedTuple

import ibis
import ibis.expr.types as ir

from whimbrel.analysis.links import units as units_of
from whimbrel.analysis.links.columns import CELL, STRATUM
from whimbrel.analysis.links.settings import Settings
from whimbrel.analysis.links.units import Span

class Known(NamedTuple):
    """What is known of hosts at the end of the last closed window; all arms and windows read it."""

    seen: ir.Table
    units: ir.Table
    infected: ir.Table
    firsts: ir.Table
    campaigns: ir.Table


def known(rows: ir.Table, settings: Settings, last: int, keep: Callable[[ir.Table], ir.Table]) -> Known:
    """Return what the dated observations tell up to window `last`; `keep` has the backend compute a table once."""
    rows = keep(rows.filter(rows.window <= last))
    seen = keep(units_of.host_windows(rows, settings))
    firsts = keep(units_of.first_sendings(rows, seen))
    followed = keep(units_of.campaigns(rows, firsts, settings))
    return Known(
        seen=seen,
        units=keep(units_of.units(seen)),
        infected=keep(units_of.infections(rows, seen)),
        firsts=keep(firsts.semi_join(followed, "campaign")),
        campaigns=followed,
    )


def cells(facts: Known, settings: Settings, span: Span) -> list[ir.Table]:
    """Return the cells of each arm in the windows of the span."""
    observed = units_of.observed(facts.seen, settings, span)
    return [
        _cells("sending", _at_risk_by_family(facts, observed), facts),
        _ordered_cells(facts, settings, span),
        _cells("co-location", _at_risk_all(facts, observed), facts),
    ]


def families(facts: Known) -> ir.Table:
    """Return one row a family and sensor: how many units, and for how many the method is not known."""
    unknown = facts.infected.method.isnull().cast("int64").sum()
    return facts.infected.group_by("family", "sensor").agg(units=facts.infected.count(), without_method=unknown)


def _at_risk_by_family(facts: Known, observed: ir.Table) -> ir.Table:
    infected = facts.infected.filter(facts.infected.method.notnull())
    placed = infected.join(facts.units, ["host", "lease"])
    at_risk = observed.join(placed, ["host", "lease"])
    at_risk = at_risk.filter(
        at_risk.infected < at_risk.window, at_risk.second.isnull() | (at_risk.second >= at_risk.window)
    )
    return at_risk.select("host", "lease", *STRATUM, "family")


def _at_risk_all(facts: Known, observed: ir.Table) -> ir.Table:
    at_risk = observed.join(facts.units, ["host", "lease"])
    labels = facts.infected.select("host", "lease", "family", "infected")
    at_risk = at_risk.left_join(labels, ["host", "lease"])
    family = ibis.ifelse(at_risk.infected < at_risk.window, at_risk.family, "").fill_null("")
    return at_risk.select(
        "host",
        "lease",
        "window",
        "network",
        "volume",
        sensor=at_risk.first_sensor,
        method=ibis.literal(""),
        family=family,
    ).select("host", "lease", *STRATUM, "family")


def _cells(arm: str, at_risk: ir.Table, facts: Known) -> ir.Table:
    """Return the cells of first sendings: margins of the stratum, less the units that had sent the campaign before."""
    margins = at_risk.group_by(*STRATUM, "family").agg(units=at_risk.count())
    met = at_risk.join(facts.firsts, ["host", "lease"])
    met = met.filter(met["first"] <= met.window)
    now = (met["first"] == met.window) & met.timely
    counted = met.group_by(*STRATUM, "family", "campaign").agg(
        sent=now.cast("int64").sum(), gone=(~now).cast("int64").sum()
    )
    counted = _usable(counted, facts.campaigns)
    strata = counted.group_by(*STRATUM, "campaign").agg(any_sent=counted.sent.sum())
    strata = strata.filter(strata.any_sent > 0).drop("any_sent")
    cells = strata.join(margins, list(STRATUM)).left_join(counted, [*STRATUM, "family", "campaign"])
    cells = cells.select(
        "campaign",
        *STRATUM,
        "family",
        arm=ibis.literal(arm),
        at_risk=(cells.units - cells.gone.fill_null(0)).cast("int64"),
        sent=cells.sent.fill_null(0).cast("int64"),
    )
    return cells.filter(cells.at_risk > 0).select(*CELL)


def _ordered_cells(facts: Known, settings: Settings, span: Span) -> ir.Table:
    horizon = settings.horizon_windows
    both = facts.infected.filter(facts.infected.method.notnull()).join(facts.firsts, ["host", "lease"])
    lag = both["first"] - both.infected
    both = both.filter(
        lag.abs().between(1, horizon),
        both.timely | (lag < 0),
        both.lease <= both.infected - horizon,  # before as well as after, the unit was under observation
        both.second.isnull() | (both.second > both.infected),
        (both.infected + horizon).between(span.first, span.last),
    )
    counted = both.group_by("sensor", "method", "family", "campaign", window=both.infected + horizon).agg(
        at_risk=both.count(), sent=(both["first"] > both.infected).cast("int64").sum()
    )
    counted = counted.mutate(network=ibis.literal(""), volume=ibis.literal(0).cast("int64"), arm=ibis.literal("time"))
    return _usable(counted, facts.campaigns).select(*CELL)


def _usable(counted: ir.Table, campaigns: ir.Table) -> ir.Table:
    """Leave out windows before a campaign is followed or after it may not be used."""
    joined = counted.join(campaigns.drop("senders"), "campaign")
    return joined.filter(
        joined.window >= joined.followed_from,
        joined.payload_from.isnull() | (joined.payload_from > joined.window),
        (joined.method != "payload") | joined.attachment_from.isnull() | (joined.attachment_from > joined.window),
    ).drop("followed_from", "payload_from", "attachment_from")
