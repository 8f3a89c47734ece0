"""What is known of each campaign: when, how much, from how many hosts, and what it shows."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whimbrel.analysis.campaigns.keys import BASES
from whimbrel.model.columns import INSTANT

TOP = 5  # domains and types named for each campaign; a row of a table has no room for more

CAMPAIGNS = pa.schema(
    [
        pa.field("campaign", pa.string(), nullable=False),
        pa.field("first_seen", INSTANT),
        pa.field("last_seen", INSTANT),
        pa.field("messages", pa.int64(), nullable=False),
        pa.field("spam", pa.int64(), nullable=False),
        pa.field("ham", pa.int64(), nullable=False),
        pa.field("hosts", pa.int64()),  # null where no observations were given
        pa.field("by_attachment", pa.int64(), nullable=False),
        pa.field("by_text", pa.int64(), nullable=False),
        pa.field("by_url", pa.int64(), nullable=False),
        pa.field("url_domains", pa.list_(pa.string()), nullable=False),
        pa.field("attachment_types", pa.list_(pa.string()), nullable=False),
    ]
)


def summarise(membership: pa.Table, facts: pa.Table, observations: pa.Table | None = None) -> pa.Table:
    """Return one row a campaign (schema `CAMPAIGNS`), the largest first, then by name.

    `membership` has the columns of `MEMBERSHIP`; `facts` (columns of `FACTS`) must hold all its messages; hosts are
    counted where `observations` (columns of `OBSERVATIONS`) are given.
    """
    columns = ["message_id", "label", "url_domains", "attachment_types"]
    at = pc.index_in(membership["message_id"], value_set=facts["message_id"].combine_chunks())
    rows = facts.select(columns).take(at)
    campaign = membership["campaign"].combine_chunks().dictionary_encode()
    counted = {"campaign": campaign.cast(pa.string()), "seen_at": membership["seen_at"]}
    counted |= {label: pc.equal(rows["label"], label).cast(pa.int64()) for label in ("spam", "ham")}
    counted |= {f"by_{basis}": pc.equal(membership["basis"], basis).cast(pa.int64()) for basis in BASES}
    sums = [(name, "sum") for name in ("spam", "ham", "by_attachment", "by_text", "by_url")]
    grouped = pa.table(counted).group_by("campaign")
    table = grouped.aggregate([("seen_at", "min"), ("seen_at", "max"), ("campaign", "count"), *sums])
    names = table["campaign"].combine_chunks()
    whole = {
        "campaign": names,
        "first_seen": table["seen_at_min"],
        "last_seen": table["seen_at_max"],
        "messages": table["campaign_count"],
        "hosts": _hosts(names, membership, observations),
        "url_domains": _most_common(names, campaign, rows["url_domains"]),
        "attachment_types": _most_common(names, campaign, rows["attachment_types"]),
    }
    whole |= {name: table[f"{name}_sum"] for name, _ in sums}
    result = pa.table([whole[name] for name in CAMPAIGNS.names], schema=CAMPAIGNS)
    return result.sort_by([("messages", "descending"), ("campaign", "ascending")])


def _hosts(names: pa.Array, membership: pa.Table, observations: pa.Table | None) -> pa.Array:
    if observations is None:
        return pa.nulls(len(names), pa.int64())
    known = observations.select(["message_id", "host"]).filter(pc.is_valid(observations["message_id"]))
    at = pc.index_in(known["message_id"], value_set=membership["message_id"].combine_chunks())
    sent = pa.table({"campaign": membership["campaign"].take(at), "host": known["host"]})
    sent = sent.filter(pc.is_valid(sent["campaign"]))
    hosts = sent.group_by("campaign").aggregate([("host", "count_distinct")])
    found = pc.index_in(names, value_set=hosts["campaign"].combine_chunks())
    return pc.fill_null(hosts["host_count_distinct"].combine_chunks().take(found), 0)


def _most_common(names: pa.Array, campaign: pa.DictionaryArray, values: pa.ChunkedArray) -> pa.ListArray:
    """Return for each name the `TOP` values that most messages of the campaign hold, ties by value."""
    values = values.combine_chunks()
    holder = campaign.cast(pa.string()).take(pc.list_parent_indices(values))
    held = pa.table({"campaign": pc.index_in(holder, value_set=names), "value": pc.list_flatten(values)})
    held = held.group_by(["campaign", "value"]).aggregate([([], "count_all")])
    held = held.sort_by([("campaign", "ascending"), ("count_all", "descending"), ("value", "ascending")])
    group = held["campaign"].to_numpy()
    start = np.searchsorted(group, group, side="left")
    top = held.filter(pa.array(np.arange(group.size) - start < TOP))
    offsets = np.searchsorted(top["campaign"].to_numpy(), np.arange(len(names) + 1)).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), top["value"].combine_chunks())
