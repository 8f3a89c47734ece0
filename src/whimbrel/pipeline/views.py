"""What a store says, as rows for tables: hosts, campaigns, listings, and the state of the store itself."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from whimbrel.analysis import hosts as history
from whimbrel.analysis.campaigns import summarise
from whimbrel.errors import ConfigError, SnapshotError
from whimbrel.evidence import Evidence
from whimbrel.listings.ledger import MARK, Ledger
from whimbrel.model.address import network_of
from whimbrel.model.columns import MEMBERSHIP
from whimbrel.model.listing import MEANING, Listing
from whimbrel.pipeline.ingest import is_demo
from whimbrel.pipeline.places import ledger_place, snapshot_path
from whimbrel.pipeline.settle import sensors_of, trust_of
from whimbrel.publishing.reading import with_overlay
from whimbrel.wire.snapshot import Snapshot

Row = dict[str, Any]
Keep = Callable[[str], bool]


def within(network: str | None) -> Keep:
    """Return the test whether a target lies in a network; None: everything does.  Raises ConfigError for nonsense."""
    if network is None:
        return lambda _: True
    try:
        wanted = ip_network(network, strict=False)
    except ValueError:
        raise ConfigError(f"{network!r} is no network; write one as 192.0.2.0/24 or 2001:db8::/32") from None
    return lambda target: target != MARK and ip_address(target.partition("/")[0]) in wanted


def host_rows(data_dir: Path, now: datetime) -> list[Row]:
    """Return a row a host seen by `now`: its history (`analysis.hosts.HOSTS`) and the code it is listed with."""
    with Evidence.open(data_dir) as store:
        rows: list[Row] = _hosts(store, now).to_pylist()
        sent = _campaigns_sent(store)
    codes = {listing.target: int(listing.code) for listing in listings(data_dir, now)}
    for row in rows:
        row["listed"] = codes.get(row["host"], codes.get(row["network"]))
        row["campaigns"] = sorted({*row["campaigns"], *sent.get(row["host"], ())})
    return rows


def network_rows(data_dir: Path, now: datetime) -> list[Row]:
    """Return a row a network (/24, /48), the worst first (`analysis.hosts.NETWORKS`)."""
    with Evidence.open(data_dir) as store:
        rows: list[Row] = history.networks(_hosts(store, now)).to_pylist()
    return rows


def campaign_rows(data_dir: Path, now: datetime) -> list[Row]:
    """Return a row a campaign (`analysis.campaigns.CAMPAIGNS`), the largest first, of messages seen by `now`.

    Campaigns that observations were given with have no domains.
    """
    with Evidence.open(data_dir) as store:
        membership = store.derived("membership")
        if membership is not None:
            membership = membership.filter(pc.less_equal(membership["seen_at"], pa.scalar(now)))
        facts = store.facts(columns=["message_id", "label", "url_domains", "attachment_types"])
        seen = store.observations(columns=["message_id", "host"])
        found = summarise(MEMBERSHIP.empty_table() if membership is None else membership, facts, seen)
        given = store.query(_GIVEN, {"now": now})
    rows: list[Row] = [row | {"basis": _basis(row)} for row in found.to_pylist()]
    rows += [row | {"basis": "given", "url_domains": [], "attachment_types": []} for row in given.to_pylist()]
    return sorted(rows, key=lambda row: (-row["messages"], row["campaign"]))


_GIVEN = """
SELECT campaign, min(seen_at) AS first_seen, max(seen_at) AS last_seen, count(DISTINCT host) AS hosts,
       CAST(sum(count) AS BIGINT) AS messages,
       CAST(coalesce(sum(count) FILTER (label = 'spam'), 0) AS BIGINT) AS spam,
       CAST(coalesce(sum(count) FILTER (label = 'ham'), 0) AS BIGINT) AS ham
FROM observations WHERE campaign IS NOT NULL AND seen_at <= $now GROUP BY campaign
"""


def listings(data_dir: Path, now: datetime) -> list[Listing]:
    """Return the listings in force at `now`, by target; none where nothing was ever decided."""
    ledger = Ledger.find(ledger_place(data_dir))
    if ledger is None:
        return []
    with ledger:
        return ledger.listings(now)


def listings_at(data_dir: Path, at: datetime) -> list[Listing]:
    """Return the listings in force at a moment as they were known, and published, then (`Ledger.listings_at`)."""
    ledger = Ledger.find(ledger_place(data_dir))
    if ledger is None:
        return []
    with ledger:
        return ledger.listings_at(at)


def listing_rows(data_dir: Path, now: datetime, at: datetime | None = None) -> list[Row]:
    """Return a row a listing in force at `now`, or as known at a past moment `at`, by target."""
    Evidence.open(data_dir).close()  # where there is no store, this says so
    found = listings(data_dir, now) if at is None else listings_at(data_dir, at)
    rows = [msgspec.structs.asdict(listing) for listing in found]
    for row in rows:
        row["meaning"] = MEANING[row["code"]]
        row["code"] = int(row["code"])
        row["evidence"] = [each.hex() for each in row["evidence"]]
        is_erased = row["target"].startswith(MARK)
        row["target"] = MARK if is_erased else row["target"]
        row["network"] = MARK if is_erased else network_of(row["target"])
    return rows


def status(data_dir: Path, now: datetime) -> Row:
    """Return what the store holds, how far it is decided, whom it trusts, and what is published."""
    with Evidence.open(data_dir) as store:
        counts = msgspec.to_builtins(store.counts())
        trusts = {sensor: trust_of(store, sensor) for sensor in sensors_of(store)}
        seen = store.query("SELECT sensor, CAST(sum(count) AS BIGINT) AS seen FROM observations GROUP BY sensor")
        demo = is_demo(store)
    return {
        "data": str(data_dir),
        "demo": demo,
        "evidence": counts,
        "sensors": [
            row | {"trust": msgspec.to_builtins(trusts.get(row["sensor"]))}
            for row in sorted(seen.to_pylist(), key=lambda row: str(row["sensor"]))
        ],
        "ledger": _ledger_status(data_dir, now),
        "snapshot": _snapshot_status(data_dir, now),
    }


def _ledger_status(data_dir: Path, now: datetime) -> Row | None:
    ledger = Ledger.find(ledger_place(data_dir))
    if ledger is None:
        return None
    with ledger:
        last = ledger.last_run()
        events, targets = ledger.counts()
        listed = ledger.count_listed(now)
    if last is None:
        return None
    return {
        "profile": last.profile,
        "rule_version": last.rule_version,
        "decided_until": last.until,
        "events": events,
        "targets": targets,
        "listed": listed,
    }


def _snapshot_status(data_dir: Path, now: datetime) -> Row | None:
    path = snapshot_path(data_dir)
    try:
        snapshot = with_overlay(Snapshot(path.read_bytes()), path)
        signatures = list(snapshot.signatures())
    except FileNotFoundError:
        return None
    except SnapshotError as error:
        return {"path": str(path), "problem": str(error)}
    return {
        "path": str(path),
        "zone": snapshot.zone.name,
        "serial": snapshot.serial,
        "entries": len(snapshot),
        "changes": len(snapshot.overlay or ()),
        "signatures": signatures,
        "age_seconds": int(now.timestamp()) - snapshot.born,
        "expires_in_seconds": snapshot.expires - int(now.timestamp()),
    }


def _hosts(store: Evidence, now: datetime) -> pa.Table:
    days = store.derived("host_days")
    if days is None:
        days = history.HOST_DAYS.empty_table()
    last = (now - timedelta(microseconds=1)).date()  # at midnight the day that begins is still to come
    return history.hosts(days.filter(pc.less_equal(days["day"], pa.scalar(last))))


def _campaigns_sent(store: Evidence) -> dict[str, Sequence[str]]:
    """Return the campaigns that each host's messages are members of."""
    if not store.derived_versions("membership"):
        return {}
    sent = store.query(
        "SELECT host, list(DISTINCT m.campaign) AS campaigns "
        "FROM observations JOIN membership m USING (message_id) GROUP BY host"
    )
    return dict(zip(sent["host"].to_pylist(), sent["campaigns"].to_pylist(), strict=True))


def _basis(row: Row) -> str:
    """Return what joined most of a campaign's messages."""
    return max(("attachment", "text", "url"), key=lambda name: row[f"by_{name}"])
