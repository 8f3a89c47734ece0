"""From units to the small tables that the statistics work on: *cells*.

A cell is one family in one stratum of one window, for one campaign: how many units were `at_risk`, and how many of them
`sent` the campaign for the first time in that window.  Only strata with a sending are kept: all others have the factor
1. Pairs x strata are never laid out; a cell stands for its family's share of the margins.

Three questions have the same cells, and are told apart by `arm`:

- `sending` (claim L2): units with exactly one family known; strata by sensor and method of the label, network, volume;
- `time` (claim L2): units with one family that first sent the campaign within `horizon_windows` windows before or after
  their infection: `at_risk` counts these, `sent` those after; strata by sensor, method and window of infection.
  Whatever keeps a host sending all along (frailty, network, volume) sends before as well as after, and cancels;
- `co-location` (claim L1): all units, infected or not (family ''); strata by first sensor, network, volume.
"""

from collections.abc import Callable
from typing import NamedTuple

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from whimbrel.analysis.links import outside as outside_of
from whimbrel.analysis.links import units as units_of
from whimbrel.analysis.links.columns import CELL
from whimbrel.analysis.links.kept import kept_tables, made_once
from whimbrel.analysis.links.outside import Outside
from whimbrel.analysis.links.settings import Settings
from whimbrel.analysis.links.units import Span

_PLACE = ("place", "window", "volume")
Keep = Callable[[ir.Table], ir.Table]


class Known(NamedTuple):
    """What is known of units at the end of the last closed window; all arms and windows read it."""

    seen: ir.Table
    infected: ir.Table
    all_places: ir.Table  # unit, place, and what the place is made of: for `co-location`
    places: ir.Table  # the same for `sending`
    firsts: ir.Table
    campaigns: ir.Table
    told: ir.Table | None  # what leases say of units, where they were given


def known(rows: ir.Table, settings: Settings, last: int, keep: Keep, outside: Outside) -> Known:
    """Return what the dated observations tell up to window `last`; `keep` has the backend compute a table once."""
    rows, holders = rows.filter(rows.window <= last), None
    if outside.leases is not None:
        laid, told_holders = _laid(outside.leases)
        holders = keep(ibis.memtable(told_holders))
        rows = outside_of.held(rows, keep(ibis.memtable(laid)))
    seen = units_of.host_windows(rows, settings)
    leased = keep(seen if holders is None else outside_of.unsplit(seen, holders))
    begun = units_of.beginnings(leased)
    if outside.networks is not None:
        begun = outside_of.named(begun, keep(ibis.memtable(outside.networks)), table_first=outside.table_first)
    units = keep(units_of.units(begun))
    seen = keep(units_of.unit_windows(leased, units))
    told = keep(units_of.events(rows))
    infected = keep(units_of.infections(told, seen))
    firsts = keep(units_of.first_sendings(told, seen))
    followed = keep(units_of.campaigns(told, firsts, settings))
    return Known(
        seen=seen,
        infected=infected,
        all_places=keep(_all_places(units)),
        places=keep(_places(infected, units)),
        firsts=keep(_followed(firsts, followed)),
        campaigns=followed,
        told=None if holders is None else keep(outside_of.told_units(units, holders)),
    )


def _laid(leases: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Lay out spans and holders once, by Ibis's default engine, whichever engine holds the observations."""
    with kept_tables(ibis.get_backend()) as kept:
        laid = kept.read(outside_of.spans(kept.keep(ibis.memtable(leases))))
        return laid, kept.read(outside_of.holders(kept.keep(ibis.memtable(laid))))


def cells(facts: Known, settings: Settings, span: Span, keep: Keep) -> list[ir.Table]:
    """Return the cells of each arm in the windows of the span."""
    observed = units_of.observed(facts.seen, settings, span)
    if facts.told is not None:
        observed = outside_of.observed(observed, facts.seen, facts.told, facts.firsts, span)
    observed = keep(observed)
    by_family = keep(_at_risk_by_family(facts, observed))
    everyone = keep(_at_risk_all(facts, observed))
    return [
        _cells("sending", by_family, facts.places, facts, keep),
        _ordered_cells(facts, settings, span),
        _cells("co-location", everyone, facts.all_places, facts, keep),
    ]


@made_once
def families(facts: Known) -> ir.Table:
    """Return one row a family and sensor: how many units, for how many the method is not known, and the first window
    of an infection.
    """
    infected = facts.infected
    return infected.group_by("family", "sensor").agg(
        units=infected.count(),
        without_method=infected.method.isnull().cast("int64").sum(),
        infected_from=infected.infected.min(),
    )


@made_once
def _all_places(units: ir.Table) -> ir.Table:
    return _placed(units.mutate(sensor=units.first_sensor, method=ibis.literal("")))


@made_once
def _places(infected: ir.Table, units: ir.Table) -> ir.Table:
    return _placed(infected.filter(infected.method.notnull()).join(units.select("unit", "network"), "unit"))


@made_once
def _followed(firsts: ir.Table, campaigns: ir.Table) -> ir.Table:
    return firsts.semi_join(campaigns, "campaign")


def _placed(units: ir.Table) -> ir.Table:
    """Return the numbered places (sensor, method, network) in which units stand: the fixed part of their stratum."""
    rank = ibis.dense_rank().over(ibis.window(order_by=[units.sensor, units.method, units.network]))
    return units.select("unit", "sensor", "method", "network", place=rank)


@made_once
def _at_risk_by_family(facts: Known, observed: ir.Table) -> ir.Table:
    labels = facts.infected.select("unit", "family", "infected", "second")
    at_risk = observed.join(facts.places.select("unit", "place"), "unit").join(labels, "unit")
    at_risk = at_risk.filter(
        at_risk.infected < at_risk.window, at_risk.second.isnull() | (at_risk.second >= at_risk.window)
    )
    return at_risk.select("unit", *_PLACE, "family")


@made_once
def _at_risk_all(facts: Known, observed: ir.Table) -> ir.Table:
    labels = facts.infected.select("unit", "family", "infected")
    at_risk = observed.join(facts.all_places.select("unit", "place"), "unit").left_join(labels, "unit")
    family = ibis.ifelse(at_risk.infected < at_risk.window, at_risk.family, "").fill_null("")
    return at_risk.select("unit", *_PLACE, family=family)


def _cells(arm: str, at_risk: ir.Table, places: ir.Table, facts: Known, keep: Keep) -> ir.Table:
    """Return the cells of first sendings: margins of the stratum, less the units that had sent the campaign before."""
    margins, counted = keep(_margins(at_risk)), keep(_counted(at_risk, places, facts.firsts, facts.campaigns))
    return _with_margins(arm, margins, counted, places)


@made_once
def _margins(at_risk: ir.Table) -> ir.Table:
    return at_risk.group_by(*_PLACE, "family").agg(units=at_risk.count())


@made_once
def _counted(at_risk: ir.Table, places: ir.Table, firsts: ir.Table, campaigns: ir.Table) -> ir.Table:
    """Return of the units at risk those that `sent` the campaign now, and those that had sent it before (`gone`)."""
    met = at_risk.join(firsts, "unit")
    met = met.filter(met["first"] <= met.window)
    now = (met["first"] == met.window) & met.timely
    counted = met.group_by(*_PLACE, "family", "campaign").agg(
        sent=now.cast("int64").sum(), gone=(~now).cast("int64").sum()
    )
    methods = places.select("place", "method").distinct()
    return _usable(counted.join(methods, "place"), campaigns).drop("method")


@made_once
def _with_margins(arm: str, margins: ir.Table, counted: ir.Table, places: ir.Table) -> ir.Table:
    strata = counted.group_by(*_PLACE, "campaign").agg(any_sent=counted.sent.sum())
    strata = strata.filter(strata.any_sent > 0).drop("any_sent")
    cells = strata.join(margins, list(_PLACE)).left_join(counted, [*_PLACE, "family", "campaign"])
    cells = cells.select(
        "campaign",
        *_PLACE,
        "family",
        at_risk=(cells.units - cells.gone.fill_null(0)).cast("int64"),
        sent=cells.sent.fill_null(0).cast("int64"),
    )
    named = places.select("place", "sensor", "method", "network").distinct()
    return cells.filter(cells.at_risk > 0).join(named, "place").mutate(arm=ibis.literal(arm)).select(*CELL)


@made_once
def _ordered_cells(facts: Known, settings: Settings, span: Span) -> ir.Table:
    horizon = settings.horizon_windows
    both = facts.infected.filter(facts.infected.method.notnull()).join(facts.firsts, "unit")
    if facts.told is not None:
        both = outside_of.observed_throughout(both, facts.told, horizon)
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
    joined = counted.join(campaigns.drop("last_sent", "senders"), "campaign")
    return joined.filter(
        joined.window >= joined.followed_from,
        joined.payload_from.isnull() | (joined.payload_from > joined.window),
        (joined.method != "payload") | joined.attachment_from.isnull() | (joined.attachment_from > joined.window),
    ).drop("followed_from", "payload_from", "attachment_from")
