"""Every listing explains itself, from what was known then."""

from collections import Counter
from pathlib import Path

import pytest
from tests.pipeline.conftest import Undisturbed
from tests.pipeline.mail import day
from tests.pipeline.stores import LATER

from whimbrel.errors import ConfigError, StoreError
from whimbrel.pipeline.views import listings
from whimbrel.pipeline.why import why

NOW = day(60)


def test_every_listing_is_explained_by_evidence_in_the_store(undisturbed: Undisturbed) -> None:
    ids = {row["id"].hex() for row in undisturbed.contents["observations"]}
    in_force = listings(undisturbed.data_dir, NOW)
    assert len(in_force) > 20
    for listing in in_force[:12]:
        told = why(undisturbed.data_dir, listing.target, NOW)
        assert told.is_listed
        assert (told.listed_target, told.since, told.until) == (listing.target, listing.since, listing.until)
        assert told.code == f"127.0.0.{int(listing.code)}"
        assert told.rule_version == listing.rule_version
        assert told.examples
        assert {example.id for example in told.examples} <= ids
        assert all(example.seen_at <= NOW for example in told.examples)
        assert any(change.change == "listed" and change.target == listing.target for change in told.history)


def test_nothing_learned_later_is_told(undisturbed: Undisturbed) -> None:
    host, _ = Counter(row["host"] for row in undisturbed.contents["observations"]).most_common(1)[0]
    of_host = [row for row in undisturbed.contents["observations"] if row["host"] == host]
    moment = sorted(row["learned_at"] for row in of_host)[len(of_host) // 2]
    told = why(undisturbed.data_dir, host, moment)
    known = [row for row in of_host if row["learned_at"] <= moment]
    assert 0 < len(known) < len(of_host)
    assert {count.name: count.count for count in told.by_label} == Counter(row["label"] for row in known)
    assert all(change.at <= moment for change in told.history)


def test_a_judgement_is_that_of_the_listing(undisturbed: Undisturbed) -> None:
    """The working state is loaded for one host and its neighbours only, and gives what all of it gave."""
    event = next(each for each in reversed(undisturbed.contents["events"]) if each.change == "listed" and
                 "/" not in each.target)  # fmt: skip
    told = why(undisturbed.data_dir, event.target, LATER)
    assert told.probability_legitimate is not None
    assert told.score is not None
    assert told.score <= event.score  # what was known decays, and no later event says otherwise


def test_strangers_and_nonsense(undisturbed: Undisturbed, tmp_path: Path) -> None:
    told = why(undisturbed.data_dir, "198.51.100.77", NOW)
    assert not told.is_listed
    assert (told.examples, told.history, told.hosts) == ((), (), 0)
    with pytest.raises(ConfigError, match="'no such thing' is no address"):
        why(undisturbed.data_dir, "no such thing", NOW)
    with pytest.raises(StoreError, match="ingest"):
        why(tmp_path, "192.0.2.1", NOW)


def test_domains_and_hashes_are_found_in_facts(undisturbed: Undisturbed) -> None:
    domains = Counter(each for row in undisturbed.contents["facts"] for each in row["url_domains"])
    domain, messages = domains.most_common(1)[0]
    told = why(undisturbed.data_dir, f"www.{domain}", LATER)
    assert told.target_kind == "domain"
    assert sum(count.count for count in told.by_label) == messages
    digest = next(each for row in undisturbed.contents["facts"] for each in row["attachment_sha256s"])
    assert why(undisturbed.data_dir, digest.upper(), LATER).by_label


def test_a_network_tells_of_all_its_hosts(undisturbed: Undisturbed) -> None:
    rows = [row for row in undisturbed.contents["observations"] if row["host"].startswith("64.")]
    told = why(undisturbed.data_dir, "64.0.0.0/8", LATER)
    assert told.hosts == len({row["host"] for row in rows}) > 1
    assert sum(count.count for count in told.by_label) == len(rows)
