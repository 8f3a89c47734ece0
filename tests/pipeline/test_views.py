"""Tables say what the evidence says, and nothing that was not yet known."""

from collections import Counter
from pathlib import Path

import pytest
from tests.pipeline.conftest import Undisturbed
from tests.pipeline.mail import day
from tests.pipeline.stores import LATER

from whimbrel.errors import ConfigError, StoreError
from whimbrel.evidence import Evidence
from whimbrel.model.listing import Code
from whimbrel.pipeline.places import snapshot_path
from whimbrel.pipeline.views import (
    campaign_rows,
    host_rows,
    listing_rows,
    listings,
    network_rows,
    status,
    within,
)
from whimbrel.publishing import Entries, write_overlay, write_snapshot
from whimbrel.wire.snapshot import Snapshot

MIDNIGHT = day(60).replace(hour=0)


def test_within() -> None:
    assert within(None)("anything")
    assert within("192.0.2.77/24")("192.0.2.1")
    assert not within("192.0.2.0/24")("192.0.3.1")
    assert not within("192.0.2.0/24")("2001:db8::/64")
    assert within("2001:db8::/32")("2001:db8:1:2::/64")
    with pytest.raises(ConfigError, match=r"'192\.0\.2\.300/24' is no network"):
        within("192.0.2.300/24")


def test_hosts_count_what_was_observed(undisturbed: Undisturbed) -> None:
    observations = undisturbed.contents["observations"]
    rows = host_rows(undisturbed.data_dir, LATER)
    for label in ("spam", "ham"):
        expected = Counter(row["host"] for row in observations if row["label"] == label)
        assert {row["host"]: row[f"{label}_messages"] for row in rows if row[f"{label}_messages"]} == expected
    members = {row["message_id"]: row["campaign"] for row in undisturbed.contents["membership"]}
    for row in rows:
        sent = {members[each["message_id"]] for each in observations if each["host"] == row["host"] and
                each["message_id"] in members}  # fmt: skip
        assert row["campaigns"] == sorted(sent)


def test_hosts_know_nothing_of_later_days(undisturbed: Undisturbed) -> None:
    observations = undisturbed.contents["observations"]
    rows = host_rows(undisturbed.data_dir, MIDNIGHT)
    assert {row["host"] for row in rows} == {row["host"] for row in observations if row["seen_at"] < MIDNIGHT}
    assert 0 < len(rows) < len(host_rows(undisturbed.data_dir, LATER))


def test_hosts_and_listings_agree(undisturbed: Undisturbed) -> None:
    in_force = {listing.target: int(listing.code) for listing in listings(undisturbed.data_dir, MIDNIGHT)}
    rows = host_rows(undisturbed.data_dir, MIDNIGHT)
    assert sum(row["listed"] is not None for row in rows) > 10
    for row in rows:
        assert row["listed"] == in_force.get(row["host"], in_force.get(row["network"]))


def test_listings_rest_on_evidence(undisturbed: Undisturbed) -> None:
    ids = {row["id"].hex() for row in undisturbed.contents["observations"]}
    rows = listing_rows(undisturbed.data_dir, MIDNIGHT)
    assert rows
    for row in rows:
        assert row["evidence"]
        assert set(row["evidence"]) <= ids
        assert row["since"] <= MIDNIGHT < row["until"]
        assert row["meaning"]


def test_networks_sum_up_their_hosts(undisturbed: Undisturbed) -> None:
    rows = network_rows(undisturbed.data_dir, LATER)
    hosts = host_rows(undisturbed.data_dir, LATER)
    assert {row["network"]: row["hosts"] for row in rows} == Counter(row["network"] for row in hosts)
    assert sum(row["spam_messages"] for row in rows) == sum(row["spam_messages"] for row in hosts)


def test_campaigns_count_their_messages(undisturbed: Undisturbed) -> None:
    for now in (MIDNIGHT, LATER):
        expected = Counter(row["campaign"] for row in undisturbed.contents["membership"] if row["seen_at"] <= now)
        rows = campaign_rows(undisturbed.data_dir, now)
        assert expected
        assert {row["campaign"]: row["messages"] for row in rows} == expected
        assert [row["messages"] for row in rows] == sorted(expected.values(), reverse=True)
        assert {row["basis"] for row in rows} <= {"attachment", "text", "url", "skeleton"}


def test_status_counts(undisturbed: Undisturbed) -> None:
    told = status(undisturbed.data_dir, LATER)
    assert told["evidence"]["observations"]["rows"] == told["evidence"]["facts"]["rows"] == 315
    assert [(each["sensor"], each["seen"]) for each in told["sensors"]] == [("mail", 315)]
    assert told["sensors"][0]["trust"]["inferred"]
    assert told["ledger"]["events"] == len(undisturbed.contents["events"])
    assert told["ledger"]["profile"] == "own"
    assert told["ledger"]["decided_until"] == LATER
    assert (told["demo"], told["snapshot"]) == (False, None)


def test_status_tells_what_changed_since_the_snapshot(tmp_path: Path) -> None:
    entries, path = Entries(), snapshot_path(tmp_path)
    with Evidence.open(tmp_path, write=True):
        pass
    data = entries.moment().snapshot(zone="bl.example", serial=1, born=day(0), expires=day(2))
    write_snapshot(path, data)
    assert status(tmp_path, day(1))["snapshot"]["changes"] == 0
    entries.begin_overlay()
    entries.put("192.0.2.7", Code.INFECTED, day(2))
    write_overlay(path, entries.overlay(Snapshot(data).base, number=1, born=day(1)))
    assert status(tmp_path, day(1))["snapshot"]["changes"] == 1


def test_without_a_store(tmp_path: Path) -> None:
    for view in (host_rows, network_rows, campaign_rows, listing_rows, status):
        with pytest.raises(StoreError, match="ingest"):
            view(tmp_path, LATER)
