"""Analysis after a batch: campaigns grow by the new messages, host-days are computed again for the days touched."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from whimbrel.analysis import hosts
from whimbrel.analysis.campaigns import CampaignIndex
from whimbrel.evidence import Evidence
from whimbrel.pipeline.settle import forget_stale_days, stale_days

STAGE = "analysis"
VERSION = 1

_MARK = "analysed batch"
_CAMPAIGN_TABLES = ("messages", "keys")
_CAMPAIGN_COLUMNS = [
    "message_id", "seen_at", "label", "url_domains", "attachment_sha256s", "signature", "mime_skeleton",
    "header_skeleton",
]  # fmt: skip


class Analysed(NamedTuple):
    """What an analysis changed."""

    campaigns_changed: int
    days: int


def analyse(store: Evidence) -> Analysed:
    """Bring the derived tables up to the last batch: `membership`, `host_days` and the campaign index's own state."""
    mark = int(store.recall(_MARK) or 0)
    last = store.counts().batches
    if last == mark:
        return Analysed(0, 0)
    with store.together():
        analysed = Analysed(_campaigns(store, mark), _host_days(store, mark))
        store.remember(_MARK, str(last))
    return analysed


def _campaigns(store: Evidence, mark: int) -> int:
    new = store.facts(after_batch=mark, columns=_CAMPAIGN_COLUMNS)
    if not new.num_rows:
        return 0
    kept = {name: store.derived(f"campaign_{name}") for name in _CAMPAIGN_TABLES}
    known = {name: table for name, table in kept.items() if table is not None}
    index = CampaignIndex.from_tables(known) if len(known) == len(_CAMPAIGN_TABLES) else CampaignIndex()
    changes = index.update(new)
    for name, table in index.to_tables().items():
        store.replace(f"campaign_{name}", {"": table}, stage=STAGE, version=VERSION)
    store.replace("membership", {"": index.membership()}, stage=STAGE, version=VERSION)
    return len(changes.campaigns)


def _host_days(store: Evidence, mark: int) -> int:
    """Compute the host-days of touched days again, one partition a month."""
    new = store.observations(after_batch=mark, columns=["seen_at"], superseded=True)
    days = sorted({*hosts.days_of(new).to_pylist(), *stale_days(store)})
    if days:
        count_days_again(store, days)
        forget_stale_days(store)
    return len(days)


def drop_days(store: Evidence, before: date) -> None:
    """Take the host-days of all days before `before` out."""
    kept = store.derived("host_days")
    if kept is not None:
        rest = kept.filter(pc.greater_equal(kept["day"], pa.scalar(before)))
        months = pc.strftime(rest["day"], format="%Y-%m")
        names = sorted(set(months.to_pylist()))
        store.drop("host_days")
        partitions = {month: rest.filter(pc.equal(months, month)) for month in names}
        store.replace("host_days", partitions, stage=STAGE, version=VERSION)


def count_days_again(store: Evidence, days: Sequence[date]) -> None:
    """Compute the host-days of some days anew from the evidence as it is."""
    touched = pa.array(days, pa.date32())
    fresh = hosts.host_days(store.observations(days=days))
    months = pc.strftime(fresh["day"], format="%Y-%m")
    partitions: dict[str, pa.Table] = {}
    for month in sorted({f"{day:%Y-%m}" for day in days}):
        kept = store.derived("host_days", [month])
        inside = fresh.filter(pc.equal(months, month))
        partitions[month] = inside if kept is None else hosts.replace_days(kept, inside, touched)
    store.replace("host_days", partitions, stage=STAGE, version=VERSION)
