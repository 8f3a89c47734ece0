"""Units and what is known of them, window by window: the relational part of the link test, as Ibis expressions.

Windows are UTC weeks, numbered from the Monday before 1970 (`window_of`).  **An observation counts in the window in
which it was seen, if it was learned by the end of that window and a grace; else in the window in which it was
learned**, and then it says what state its host is in, but is never an outcome.  So a closed window never changes, and
replay gives the same tables.

A *unit* is a host for the length of one lease.  Leases are not observed: one ends when its host stays silent for more
than `lease_gap_windows` windows, and the next observation begins another (`outside.py` has those that are told).  In a
window, a unit is under observation if it was seen in one of the `lease_gap_windows` windows before, **whatever it does
in the window itself**: being at risk never depends on the outcome.  Everything that places a unit in a stratum of a
window is known when the window opens: its network and first sensor from the lease's first window, its volume from the
window before, its family from earlier windows.

All expressions run on any Ibis backend; texts are taken apart, and times counted, in ways that DuckDB and Spark share.
"""

from datetime import datetime
from typing import NamedTuple

import ibis
import ibis.expr.types as ir

from whimbrel.analysis.links.columns import READ
from whimbrel.analysis.links.kept import made_once
from whimbrel.analysis.links.settings import Settings

WINDOW_SECONDS = 7 * 86_400
_MONDAY_SECONDS = 3 * 86_400  # 1970-01-01 was a Thursday
VOLUME_CLASSES = 12  # none, then 1, 2-3, 4-7, ...: within a class volumes differ by less than a factor of 2


class Span(NamedTuple):
    """The windows to tabulate, both included."""

    first: int
    last: int


def window_of(at: datetime) -> int:
    """Return the number of the window in which an instant lies."""
    return int((at.timestamp() + _MONDAY_SECONDS) // WINDOW_SECONDS)


def last_closed(now: datetime, settings: Settings) -> int:
    """Return the last window that is over, grace included."""
    return int((now.timestamp() + _MONDAY_SECONDS - settings.grace_hours * 3600) // WINDOW_SECONDS) - 1


def dated(observations: ir.Table, settings: Settings, now: datetime) -> ir.Table:
    """Return the observations learned by `now`, with the `window` in which they count, and if `in_time`."""
    seen_s = observations.seen_at.epoch_seconds().cast("int64")
    learned_s = observations.learned_at.epoch_seconds().cast("int64")
    seen = window_of_seconds(seen_s)
    learned = window_of_seconds(ibis.greatest(learned_s, seen_s) - settings.grace_hours * 3600)
    return observations.filter(learned_s <= int(now.timestamp())).select(
        *READ,
        seen_s=seen_s,
        window=ibis.greatest(seen, learned),
        in_time=learned <= seen,
    )


@made_once
def events(rows: ir.Table) -> ir.Table:
    """Return the dated observations that tell of a family or campaign: a small part, which is read several times."""
    return rows.filter(rows.family.notnull() | rows.campaign.notnull())


@made_once
def host_windows(rows: ir.Table, settings: Settings) -> ir.Table:
    """Return one row a host and window in which it was seen, and whether a lease begins with it.

    `connections` counts those without campaign or family.  `next_window` is the host's next, in whatever lease.  Where
    holders stand for hosts (`outside.held`), `address` is the least that one had in the window.
    """
    plain = (rows.kind == "connection") & rows.campaign.isnull() & rows.family.isnull()
    address = {"address": rows.address.min()} if "address" in rows.columns else {}
    seen = rows.group_by("host", "window").agg(
        connections=ibis.ifelse(plain, rows["count"], 0).sum().cast("int64"),
        asn=rows.asn.min(),
        prefix=rows.prefix.min(),
        sensor=rows.sensor.min(),
        **address,
    )
    in_order = ibis.window(group_by="host", order_by="window")
    before = seen.window.lag().over(in_order)
    begins = before.isnull() | (seen.window - before > settings.lease_gap_windows)
    return seen.mutate(next_window=seen.window.lead().over(in_order), begins=begins)


def beginnings(seen: ir.Table) -> ir.Table:
    """Return the rows of `host_windows` with which leases begin."""
    return seen.filter(seen.begins)


@made_once
def units(first: ir.Table) -> ir.Table:
    """Return one row a unit, numbered, from the `beginnings`: the sensor that saw it first, and its network.

    `lease` is the window in which its lease begins, `next_lease` that in which the next lease of its host does.
    """
    number = ibis.row_number().over(ibis.window(order_by=[first.host, first.window]))
    following = first.window.lead().over(ibis.window(group_by="host", order_by="window"))
    network = network_text(first.asn, first.prefix, address_of(first))
    return first.select(
        "host", lease=first.window, next_lease=following, unit=number, first_sensor=first.sensor, network=network
    )


@made_once
def unit_windows(seen: ir.Table, numbered: ir.Table) -> ir.Table:
    """Return one row a unit and window in which it was seen: what the rest needs of `host_windows`, by number."""
    joined = seen.join(numbered.select("host", "lease", "next_lease", "unit"), "host")
    joined = joined.filter(
        joined.lease <= joined.window, joined.next_lease.isnull() | (joined.window < joined.next_lease)
    )
    return joined.select("unit", "host", "window", "lease", "next_window", volume=_volume_class(joined.connections))


def network_text(asn: ir.IntegerValue, prefix: ir.StringValue, host: ir.StringValue) -> ir.StringValue:
    """Return the network of a host: its AS, else its prefix, else its /24 or /48."""
    return ibis.coalesce("AS" + asn.cast("string"), prefix, _covering(host))


@made_once
def observed(seen: ir.Table, settings: Settings, span: Span) -> ir.Table:
    """Return one row a unit and window of the span in which it is under observation, with its volume class."""
    offsets = ibis.array([ibis.literal(step, "int64") for step in range(1, settings.lease_gap_windows + 1)])
    paired = seen.mutate(offset=offsets.unnest())
    window = paired.window + paired.offset
    until = ibis.ifelse(paired.next_window.isnull(), span.last, paired.next_window)
    paired = paired.filter(window <= until, window >= span.first, window <= span.last)
    window = paired.window + paired.offset
    volume = ibis.ifelse(paired.offset == 1, paired.volume, 0)
    return paired.select("unit", window=window, volume=volume.cast("int64"))


@made_once
def infections(rows: ir.Table, seen: ir.Table) -> ir.Table:
    """Return one row an infected unit: its first family, when, by which sensor and method, and when a second was known.

    A label is an infection, or a message that carries a family (the worm's own mailing: method `payload` where none is
    given).  Labels from lists are left out: they build the answer in.  What is learned later removes nothing earlier.
    """
    method = ibis.ifelse(rows.kind == "message", ibis.coalesce(rows.method, "payload"), rows.method)
    told = rows.mutate(method=method)
    told = told.filter(
        told.family.notnull(),
        told.kind.isin(["infection", "message"]),
        told.method.fill_null("") != "list",
        told.label_basis.fill_null("") != "list",
    )
    labels = told.join(seen.select("host", "window", "lease", "unit"), ["host", "window"])
    per_unit = ibis.window(group_by="unit")
    order = [labels.window, labels.seen_s, labels.sensor, labels.method.fill_null("~"), labels.family]
    ranked = labels.mutate(rank=ibis.row_number().over(ibis.window(group_by="unit", order_by=order)))
    family = ibis.ifelse(ranked["rank"] == 0, ranked.family, ibis.null("string")).max().over(per_unit)
    named = ranked.mutate(first_family=family)
    other = ibis.ifelse(named.family != named.first_family, named.window, ibis.null("int64")).min().over(per_unit)
    first = named.mutate(second=other)
    return first.filter(first["rank"] == 0).select(
        "unit", "lease", "family", "sensor", "method", "second", infected=first.window
    )


@made_once
def first_sendings(rows: ir.Table, seen: ir.Table) -> ir.Table:
    """Return one row a unit and campaign: the window of its first sending, and whether that was learned in time.

    Messages that carry a payload are no sendings of a campaign: exposure is never outcome.
    """
    sent = rows.filter(rows.campaign.notnull(), rows.family.isnull(), rows.kind != "infection")
    sent = sent.join(seen.select("host", "window", "unit"), ["host", "window"])
    in_time = ibis.ifelse(sent.in_time, sent.window, ibis.null("int64"))
    first = sent.group_by("unit", "campaign").agg(first=sent.window.min(), first_in_time=in_time.min())
    timely = first.first_in_time.notnull() & (first.first_in_time == first["first"])
    return first.mutate(timely=timely).drop("first_in_time")


@made_once
def campaigns(rows: ir.Table, firsts: ir.Table, settings: Settings) -> ir.Table:
    """Return one row a campaign that is followed: from which window, and from when it may not be used.

    `followed_from` is the window in which its sending units reach `least_senders` (a function of the tables' margins,
    so that it biases nothing).  `last_sent`: the last window with a first sending that was learned in time, if any.
    `payload_from`: a member carries a family's payload, and the campaign may be the worm's own mailing.
    `attachment_from`: it is known by an attachment, a feature it shares with labels by payload.
    """
    weekly = firsts.group_by("campaign", window=firsts["first"]).agg(
        senders=firsts.count(), timely=firsts.timely.cast("int64").sum()
    )
    so_far = ibis.window(group_by="campaign", order_by="window", preceding=None, following=0)
    grown = weekly.mutate(total=weekly.senders.sum().over(so_far))
    enough = ibis.ifelse(grown.total >= settings.least_senders, grown.window, ibis.null("int64"))
    followed = grown.group_by("campaign").agg(
        followed_from=enough.min(),
        last_sent=ibis.ifelse(grown.timely > 0, grown.window, ibis.null("int64")).max(),
        senders=grown.senders.sum().cast("int64"),
    )
    named = rows.filter(rows.campaign.notnull())
    flags = named.group_by("campaign").agg(
        payload_from=ibis.ifelse(named.family.notnull(), named.window, ibis.null("int64")).min(),
        attachment_from=ibis.ifelse(named.campaign_basis == "attachment", named.window, ibis.null("int64")).min(),
    )
    return (
        followed.filter(followed.followed_from.notnull())
        .left_join(flags, "campaign")
        .select("campaign", "followed_from", "last_sent", "senders", "payload_from", "attachment_from")
    )


def address_of(rows: ir.Table) -> ir.StringValue:
    """Return the addresses of rows: their hosts, unless holders stand for these."""
    return rows.address if "address" in rows.columns else rows.host


def window_of_seconds(seconds: ir.IntegerValue) -> ir.IntegerValue:
    """Return the number of the window in which each time (seconds from 1970) lies."""
    return ((seconds + _MONDAY_SECONDS) / WINDOW_SECONDS).floor().cast("int64")


def _volume_class(volume: ir.IntegerValue) -> ir.IntegerValue:
    # Comparisons, not a logarithm: engines round log2(8) differently.
    steps = [(volume >= 2**power).cast("int64") for power in range(VOLUME_CLASSES)]
    total = steps[0]
    for step in steps[1:]:
        total = total + step
    return total


def _covering(host: ir.StringValue) -> ir.StringValue:
    """Return the /24 or /48 of a host (its canonical text; zeros left out of an IPv6 text are written)."""
    groups = [host.re_extract(r"^([0-9a-f]*):([0-9a-f]*):([0-9a-f]*)", place).nullif("") for place in (1, 2, 3)]
    ipv6 = groups[0].fill_null("0") + ":" + groups[1].fill_null("0") + ":" + groups[2].fill_null("0") + "::/48"
    ipv4 = host.re_extract(r"^(\d+\.\d+\.\d+)\.", 1) + ".0/24"
    return ibis.ifelse(host.contains(":"), ipv6, ipv4)
