"""What the link test is told from outside the observations: networks of hosts, and leases.

**Networks** (a row a host: its AS, its prefix) fill in what no observation of a unit's first window says.  With
`table_first` it is the other way round: where the table has a host, what it says counts and nothing else.

**Leases** take the place of guesses.  A told lease of a host is a unit; leases with one holder are one unit, as the
machine (the customer) keeps its infection when its address changes.  Silence ends no told lease: its unit is under
observation from the window after it was first seen to the window in which its (last) lease ends, that one included, for
the lease was in force when the window opened: leases can end *because* of what a host did in the window.  Whoever had a
host before, between and after its told leases is guessed at as ever, but never across a told lease.

All expressions run on any Ibis backend; only units that leases tell of are treated differently.
"""

from typing import NamedTuple

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from whimbrel.analysis.links.kept import made_once
from whimbrel.analysis.links.units import Span, address_of, window_of_seconds

# Before and after all observations (the years 1970 to 2200).
_FIRST_S, _LAST_S = -(1 << 40), 1 << 40
# A union wants equal schemas, to whether a column can be null.
_BETWEEN = {"host": "string", "since_s": "int64", "until_s": "int64"}


class Outside(NamedTuple):
    """Tables from outside, each or none of them.

    `networks`: `host`, `asn`, `prefix` (one row a host; null: not known).  `leases`: `host`, `since_s`, `until_s`
    (seconds from 1970, the latter excluded; those of a host are disjoint), `holder` (null: the lease stands for
    itself).  `digest` stands for all that is told: states of different digests are of different units.
    """

    networks: pa.Table | None = None
    leases: pa.Table | None = None
    table_first: bool = False
    digest: str = ""


@made_once
def named(begun: ir.Table, networks: ir.Table, *, table_first: bool) -> ir.Table:
    """Return the first windows of units (`units.beginnings`) with what the table knows of their networks."""
    known = networks.select(known_host="host", known_asn="asn", known_prefix="prefix")
    joined = begun.left_join(known, address_of(begun) == known.known_host)
    if table_first:
        is_known = joined.known_host.notnull()
        asn = ibis.ifelse(is_known, joined.known_asn, joined.asn)
        prefix = ibis.ifelse(is_known, joined.known_prefix, joined.prefix)
    else:
        asn = joined.asn.coalesce(joined.known_asn)
        prefix = joined.prefix.coalesce(joined.known_prefix)
    return joined.mutate(asn=asn, prefix=prefix).select(*begun.columns)


@made_once
def spans(leases: ir.Table) -> ir.Table:
    """Return who held each host of the leases at any time: told leases, and what lies before, between and after them.

    `holder` is a text that is no host's: whoever is not told is named by host and beginning.
    """
    alone = leases.host + " leased at " + leases.since_s.cast("string")
    told = leases.select(
        "host", "since_s", "until_s", holder=("holder " + leases.holder).coalesce(alone), told=ibis.literal(value=True)
    )
    ended = leases.until_s.lag().over(ibis.window(group_by="host", order_by="since_s"))
    before = leases.select("host", since_s=ended.fill_null(_FIRST_S), until_s="since_s").cast(_BETWEEN)
    after = leases.group_by("host").agg(since_s=leases.until_s.max()).mutate(until_s=_LAST_S).cast(_BETWEEN)
    between = before.filter(before.since_s < before.until_s).union(after)
    holder = between.host + " from " + between.since_s.cast("string")
    guessed = between.mutate(holder=holder, told=ibis.literal(value=False))
    return told.cast(guessed.schema()).union(guessed)


@made_once
def holders(spans: ir.Table) -> ir.Table:
    """Return one row a holder: whether its leases are told, and the window in which the last of them ends."""
    return spans.group_by("holder", "told").agg(ends=window_of_seconds(spans.until_s - 1).max())


@made_once
def held(rows: ir.Table, spans: ir.Table) -> ir.Table:
    """Return dated observations with the holder in the place of the host, which then is their `address`."""
    span = spans.select("holder", "since_s", "until_s", held_host="host")
    joined = rows.left_join(
        span, [rows.host == span.held_host, rows.seen_s >= span.since_s, rows.seen_s < span.until_s]
    )
    others = [name for name in rows.columns if name != "host"]
    return joined.select(*others, address=joined.host, host=joined.holder.coalesce(joined.host))


@made_once
def unsplit(seen: ir.Table, holders: ir.Table) -> ir.Table:
    """Return `units.host_windows` in which no told lease begins anew after a silence."""
    told = holders.filter(holders.told).select(told_holder="holder")
    joined = seen.left_join(told, seen.host == told.told_holder)
    first = joined.window.min().over(ibis.window(group_by="host"))
    begins = ibis.ifelse(joined.told_holder.notnull(), joined.window == first, joined.begins)
    return joined.mutate(begins=begins).select(*seen.columns)


@made_once
def told_units(units: ir.Table, holders: ir.Table) -> ir.Table:
    """Return the units of hosts that leases tell of: `unit`, `lease`, whether it is `told`, and where it `ends`."""
    joined = units.join(holders, units.host == holders.holder)
    return joined.select("unit", "lease", "told", "ends")


@made_once
def observed(guessed: ir.Table, seen: ir.Table, told: ir.Table, firsts: ir.Table, span: Span) -> ir.Table:
    """Return `units.observed` with what leases tell: told units to their end, others not beyond the next told lease.

    Told units have rows only in windows in which anything was sent for the first time: no other comes to a cell, and
    leases can go on for years after the last observation.
    """
    bounds = told.select("told", "ends", told_unit="unit")
    bounded = guessed.left_join(bounds, guessed.unit == bounds.told_unit)
    bounded = bounded.filter(bounded.told_unit.isnull() | (~bounded.told & (bounded.window <= bounded.ends))).select(
        *guessed.columns
    )
    windows = firsts.select(window="first").distinct()
    windows = windows.filter(windows.window.between(span.first, span.last))
    whole = told.filter(told.told)
    whole = whole.join(windows, [windows.window > whole.lease, windows.window <= whole.ends])
    before = seen.select("volume", seen_unit="unit", next_window=seen.window + 1)
    placed = whole.left_join(before, [whole.unit == before.seen_unit, whole.window == before.next_window])
    placed = placed.select("unit", "window", volume=placed.volume.fill_null(0).cast("int64"))
    return bounded.union(placed.cast(bounded.schema()))


@made_once
def observed_throughout(both: ir.Table, told: ir.Table, horizon: int) -> ir.Table:
    """Leave out infected units whose lease ends within `horizon` windows of their infection."""
    bounds = told.select("ends", told_unit="unit")
    joined = both.left_join(bounds, both.unit == bounds.told_unit)
    return joined.filter(joined.ends.isnull() | (joined.ends >= joined.infected + horizon)).select(*both.columns)
