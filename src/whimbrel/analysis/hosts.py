"""Hosts and their history: what each did on each UTC day, in all, and in which network.

A *host-day* is one row for a host and a UTC day of `seen_at`: the smallest table from which everything about a host's
past can be summed, and small enough to be kept.  When observations come in, only the days that they touch are
computed again, from all observations of these days:

    days = days_of(new)                                   # of what was appended
    kept = replace_days(kept, host_days(all rows of these days), days)

Counts are weighted by the observation's `count`.  Observations that another one supersedes must be left out by the
reader (`evidence` does so).  Nothing here depends on the order of rows: sums, smallest and largest, sorted lists, and
for the latest names the observation that is last in (seen_at, id) order.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from whimbrel.model.address import network_of
from whimbrel.model.columns import INSTANT

_NAMES = pa.list_(pa.string())
_COUNTS = ("spam_messages", "ham_messages", "unknown_messages", "connections", "infections", "reports")
_SETS = {"sensors": "sensor", "families": "family", "campaigns": "campaign"}
_LATEST = ("rdns", "helo")

HOST_DAYS = pa.schema(
    [
        pa.field("host", pa.string(), nullable=False),
        pa.field("day", pa.date32(), nullable=False),
        *(pa.field(name, pa.int64(), nullable=False) for name in _COUNTS),
        pa.field("first_seen", INSTANT, nullable=False),
        pa.field("last_seen", INSTANT, nullable=False),
        *(pa.field(name, _NAMES, nullable=False) for name in _SETS),
        *(pa.field(name, pa.string()) for name in _LATEST),
    ]
)

HOSTS = pa.schema(
    [
        pa.field("host", pa.string(), nullable=False),
        pa.field("network", pa.string(), nullable=False),
        pa.field("days", pa.int64(), nullable=False),
        *(pa.field(name, pa.int64(), nullable=False) for name in _COUNTS),
        pa.field("first_seen", INSTANT, nullable=False),
        pa.field("last_seen", INSTANT, nullable=False),
        *(pa.field(name, _NAMES, nullable=False) for name in _SETS),
        *(pa.field(name, pa.string()) for name in _LATEST),
    ]
)

NETWORKS = pa.schema(
    [
        pa.field("network", pa.string(), nullable=False),
        pa.field("hosts", pa.int64(), nullable=False),
        pa.field("spam_hosts", pa.int64(), nullable=False),
        pa.field("spam_messages", pa.int64(), nullable=False),
        pa.field("ham_messages", pa.int64(), nullable=False),
        pa.field("spam_share", pa.float64()),  # of spam and ham messages; null where there are neither
    ]
)


def host_days(observations: pa.Table, membership: pa.Table | None = None) -> pa.Table:
    """Return one row (schema `HOST_DAYS`) for each host and UTC day in `observations`, ordered by day and host.

    The campaign of an observation is the one given with it, or else, where `membership` is given, that of its message.
    """
    rows = _counted(observations, _campaigns_of(observations, membership))
    table, ordered, group = _grouped(rows, ["day", "host"])
    for name, column in _SETS.items():
        table = table.append_column(name, _listed(group, ordered[column], table.num_rows))
    return table.select(HOST_DAYS.names).cast(HOST_DAYS)


def days_of(observations: pa.Table) -> pa.Array:
    """Return the UTC days (date32) of `seen_at`, each once, ascending."""
    days = pc.unique(_day(observations["seen_at"]))
    return days.take(pc.sort_indices(days))


def replace_days(kept: pa.Table, fresh: pa.Table, days: pa.Array) -> pa.Table:
    """Return the host-days `kept`, with those of `days` replaced by the ones in `fresh`."""
    others = kept.filter(pc.invert(pc.is_in(kept["day"], value_set=days)))
    return pa.concat_tables([others, fresh]).sort_by([("day", "ascending"), ("host", "ascending")]).combine_chunks()


def hosts(days: pa.Table) -> pa.Table:
    """Return the history of each host (schema `HOSTS`) from its host-days, ordered by host."""
    # A host has one row a day, so its latest day has its latest names, and there is no tie for an id to settle.
    rows = days.append_column("at", days["last_seen"]).append_column("id", days["day"])
    table, ordered, group = _grouped(rows, ["host"])
    for name in _SETS:
        lists = ordered[name].combine_chunks()
        holder = group[pc.list_parent_indices(lists).to_numpy()]
        table = table.append_column(name, _listed(holder, pc.list_flatten(lists), table.num_rows))
    networks = pa.array([network_of(host) for host in table["host"].to_pylist()], pa.string())
    table = table.append_column("network", networks).append_column("days", table["rows"])
    return table.select(HOSTS.names).cast(HOSTS)


def networks(history: pa.Table) -> pa.Table:
    """Return the networks (/24, /48; schema `NETWORKS`) of `hosts`, the worst first.

    The worst have most hosts that sent spam, then the most spam messages, then come first by name.
    """
    rows = history.select(["network", "spam_messages", "ham_messages"])
    rows = rows.append_column("spam_hosts", pc.greater(rows["spam_messages"], 0).cast(pa.int64()))
    grouped = rows.group_by("network")
    sums = ("spam_hosts", "spam_messages", "ham_messages")
    table = grouped.aggregate([("network", "count"), *((name, "sum") for name in sums)])
    spam, ham = (table[f"{label}_messages_sum"].cast(pa.float64()) for label in ("spam", "ham"))
    judged = pc.add(spam, ham)
    share = pc.if_else(pc.greater(judged, 0), pc.divide(spam, judged), pa.scalar(None, pa.float64()))
    columns = [table["network"], table["network_count"], *(table[f"{name}_sum"] for name in sums), share]
    order = [("spam_hosts", "descending"), ("spam_messages", "descending"), ("network", "ascending")]
    return pa.table(columns, schema=NETWORKS).sort_by(order)


def _day(seen_at: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.floor_temporal(seen_at, unit="day").cast(pa.timestamp("us")).cast(pa.date32())


def _counted(observations: pa.Table, campaign: pa.ChunkedArray) -> pa.Table:
    """Spread `count` over the columns of `_COUNTS` by kind and label."""
    kind, label, count = (observations[name] for name in ("kind", "label", "count"))
    is_message = pc.equal(kind, "message")
    wanted = [pc.and_(is_message, pc.equal(label, name)) for name in ("spam", "ham", "unknown")]
    wanted += [pc.equal(kind, name) for name in ("connection", "infection", "report")]
    columns = {name: observations[name] for name in ("host", "sensor", "family", "id", *_LATEST)}
    columns |= {"day": _day(observations["seen_at"]), "campaign": campaign, "at": observations["seen_at"]}
    columns |= dict.fromkeys(("first_seen", "last_seen"), observations["seen_at"])
    columns |= {name: pc.if_else(flags, count, 0) for name, flags in zip(_COUNTS, wanted, strict=True)}
    return pa.table(columns)


def _campaigns_of(observations: pa.Table, membership: pa.Table | None) -> pa.ChunkedArray:
    given = observations["campaign"]
    if membership is None:
        return given
    at = pc.index_in(observations["message_id"], value_set=membership["message_id"].combine_chunks(), skip_nulls=True)
    return pc.coalesce(given, membership["campaign"].take(at))


def _grouped(rows: pa.Table, keys: list[str]) -> tuple[pa.Table, pa.Table, NDArray[np.int64]]:
    """Return the sums of each group in the order of its keys, the rows in (keys, at, id) order, and each row's group.

    Arrow's own `group_by` names no order of groups (measured: it is not that of appearance), so runs are summed here.
    """
    ordered = rows.sort_by([(name, "ascending") for name in (*keys, "at", "id")])
    first = np.zeros(ordered.num_rows, dtype=bool)
    first[:1] = True
    for name in keys:
        column = ordered[name].combine_chunks()
        first[1:] |= pc.not_equal(column[1:], column[:-1]).to_numpy(zero_copy_only=False)
    starts = np.flatnonzero(first)
    group = np.cumsum(first) - 1
    ends = np.append(starts[1:], ordered.num_rows)[: starts.size]
    table = ordered.select(keys).take(pa.array(starts))
    whole = {name: pa.array(_run_sums(ordered[name].to_numpy(), starts)) for name in _COUNTS}
    whole["rows"] = pa.array(ends - starts)
    times = ordered.select(["first_seen", "last_seen"]).append_column("group", pa.array(group))
    spans = times.group_by("group").aggregate([("first_seen", "min"), ("last_seen", "max")]).sort_by("group")
    whole |= {name: spans[f"{name}_{how}"] for name, how in (("first_seen", "min"), ("last_seen", "max"))}
    whole |= {name: _last_valid(ordered[name], starts, ends) for name in _LATEST}
    for name, column in whole.items():
        table = table.append_column(name, column)
    return table, ordered, group


def _run_sums(values: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.add.reduceat(values, starts) if starts.size else starts


def _last_valid(column: pa.ChunkedArray, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> pa.ChunkedArray:
    """Return the last value that is not null of each run of rows."""
    valid = pc.is_valid(column).to_numpy()
    latest = np.maximum.accumulate(np.where(valid, np.arange(valid.size), -1))
    at = latest[ends - 1]
    return column.take(pa.array(at, mask=at < starts))


def _listed(group: NDArray[np.int64], values: pa.ChunkedArray, groups: int) -> pa.ListArray:
    """Return for each group the distinct values that are not null, ascending."""
    held = pa.table({"group": pa.array(group), "value": values}).filter(pc.is_valid(values))
    held = held.group_by(["group", "value"], use_threads=False).aggregate([])
    held = held.sort_by([("group", "ascending"), ("value", "ascending")])
    offsets = np.searchsorted(held["group"].to_numpy(), np.arange(groups + 1)).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), held["value"].combine_chunks())
