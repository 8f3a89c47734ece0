"""Placebos: the same observations with the link broken on purpose.  The test must stay silent on them.

- `campaigns_swapped` gives each host's sendings to another host of the same network: networks stay dirty, busy hosts
  stay busy senders, but who is infected no longer says who sends.  It breaks every link.
- `dates_shifted` moves sendings by whole windows, round and round within the time that was observed.  It breaks what is
  bound to time (a lease, an expiry date, an update), and not a ratio that hosts keep for good; so it is a check of
  units and windows more than of the null.

Both are Ibis expressions: observations in, observations out.
"""

import ibis
import ibis.expr.types as ir

from whimbrel.analysis.links.units import WINDOW_SECONDS, network_text


def campaigns_swapped(observations: ir.Table, turn: int = 1) -> ir.Table:
    """Return the observations with sendings moved to the host `turn` places on, in its network's order of addresses.

    Sendings of hosts that are alone in their network are left out: they have nobody to swap with.
    """
    placed = observations.mutate(network=_network(observations))
    hosts = placed.group_by("network", "host").agg(seen=placed.count())
    order = ibis.window(group_by="network", order_by="host")
    alone = ibis.window(group_by="network")
    numbered = hosts.mutate(place=ibis.row_number().over(order), size=hosts.count().over(alone))
    target = numbered.mutate(taken=(numbered.place + turn) % numbered.size)
    takers = numbered.select("network", place=numbered.place, taker=numbered.host)
    moved = target.filter(target.size > 1).join(
        takers, [target.network == takers.network, target.taken == takers.place], rname="{name}_of_taker"
    )
    moved = moved.select(giver=moved.host, taker=moved.taker)
    sendings = observations.filter(_is_sending(observations))
    swapped = sendings.join(moved, sendings.host == moved.giver)
    swapped = swapped.mutate(host=swapped.taker).select(*observations.columns)
    # A join makes columns nullable, and a union wants equal schemas.
    others = observations.filter(~_is_sending(observations)).cast(swapped.schema())
    return others.union(swapped)


def dates_shifted(observations: ir.Table, windows: int) -> ir.Table:
    """Return the observations with sendings seen (and learned) so many windows later, cyclically in its span."""
    seen_s = observations.seen_at.epoch_seconds().cast("int64")
    dated = observations.mutate(seen_s=seen_s)
    whole = ibis.window()
    begin = dated.seen_s.min().over(whole)
    span = dated.seen_s.max().over(whole) - begin + 1
    placed = dated.mutate(shift=(dated.seen_s - begin + windows * WINDOW_SECONDS) % span + begin - dated.seen_s)
    by = ibis.ifelse(_is_sending(placed), placed["shift"], 0).as_interval("s")
    moved = placed.mutate(seen_at=placed.seen_at + by, learned_at=placed.learned_at + by)
    return moved.select(*observations.columns)


def _is_sending(rows: ir.Table) -> ir.BooleanValue:
    return rows.campaign.notnull() & rows.family.isnull() & (rows.kind != "infection")


def _network(rows: ir.Table) -> ir.StringValue:
    return network_text(rows.asn, rows.prefix, rows.host)
