"""What commands print: tables that fit, and one JSON object a line."""

from pathlib import Path

import pytest
from tests.cli.conftest import NOW, Store
from tests.cli.running import called, in_terminal, run

from whimbrel.cli.output import counted

TABLES = (["hosts"], ["hosts", "--by-network"], ["campaigns"], ["listings"])


def test_json_is_one_object_a_line(store: Store) -> None:
    hosts = run("hosts", "--json", "--limit", "0", "--now", NOW, data=store.data).rows()
    assert len(hosts) > 100
    assert all(host["spam_messages"] + host["ham_messages"] + host["unknown_messages"] > 0 for host in hosts)
    campaigns = run("campaigns", "--json", "--limit", "3", "--now", NOW, data=store.data).rows()
    assert [row["messages"] for row in campaigns] == sorted((row["messages"] for row in campaigns), reverse=True)
    listings = run("listings", "--json", "--limit", "0", "--now", "2002-09-01", data=store.data).rows()
    assert listings
    assert {row["code"] for row in listings} <= {2, 3, 4, 5, 6, 9, 10}
    assert all(row["since"] <= "2002-09-01" < row["until"] for row in listings)
    (status,) = run("status", "--json", "--now", NOW, data=store.data).rows()
    assert status["evidence"]["facts"]["rows"] == 315
    assert status["ledger"]["profile"] == "own"


def test_filters_sort_and_limit(store: Store) -> None:
    def hosts(*options: str) -> list[dict[str, object]]:
        return called("hosts", "--json", "--limit", "0", *options, "--now", "2002-09-01", data=store.data).rows()

    every = hosts()
    listed = hosts("--listed")
    assert listed == [host for host in every if host["listed"]]
    assert 0 < len(listed) < len(every)
    network = str(every[0]["network"])
    assert {host["network"] for host in hosts("--network", network)} == {network}
    days = [host["last_seen"] for host in hosts("--sort", "last_seen", "--ascending")]
    assert days == sorted(days, key=str)
    assert hosts("--limit", "2") == every[:2]
    domain = next(
        row["url_domains"][0]
        for row in called("campaigns", "--json", "--now", NOW, data=store.data).rows()
        if row["url_domains"]
    )
    found = called("campaigns", "--domain", domain, "--json", "--limit", "0", "--now", NOW, data=store.data).rows()
    assert found
    assert all(domain in row["url_domains"] for row in found)
    assert called("listings", "--code", "4", "--json", "--now", NOW, data=store.data).rows() == []


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("columns", [40, 80, 120])
def test_tables_fit_the_terminal(store: Store, table: list[str], columns: int) -> None:
    lines = in_terminal(*table, "--now", "2002-09-01", data=store.data, columns=columns)
    assert len(lines) > 3
    assert max(len(line.rstrip()) for line in lines) <= columns


def test_why_tells_all_that_listing_asks_for(store: Store) -> None:
    now = "2002-09-01"
    listing = next(
        row
        for row in called("listings", "--json", "--limit", "0", "--now", now, data=store.data).rows()
        if "/" not in row["target"]
    )
    (told,) = called("why", listing["target"], "--json", "--now", now, data=store.data).rows()
    assert told["is_listed"]
    assert told["code"] == f"127.0.0.{listing['code']}"
    assert (told["since"], told["until"]) == (listing["since"], listing["until"])
    assert told["probability_legitimate"] <= told["q"]
    assert {example["id"] for example in told["examples"]} & set(listing["evidence"])
    assert all("masked" in example["recipients"] for example in told["examples"])
    text = called("why", listing["target"], "--now", now, data=store.data).out
    for word in (told["code"], "probability", "example", "history", "removal", told["rule_version"]):
        assert word in text


def test_why_of_domains_hashes_networks_and_strangers(store: Store) -> None:
    campaign = next(
        row for row in called("campaigns", "--json", "--now", NOW, data=store.data).rows() if row["url_domains"]
    )
    (told,) = called("why", "www." + campaign["url_domains"][0], "--json", "--now", NOW, data=store.data).rows()
    assert told["target_kind"] == "domain"
    assert sum(each["count"] for each in told["by_label"]) > 0
    (told,) = called("why", "198.18.0.1", "--json", "--now", NOW, data=store.data).rows()
    assert not told["is_listed"]
    assert "nothing is known" in told["sentence"]
    host = called("hosts", "--json", "--limit", "1", "--now", NOW, data=store.data).rows()[0]
    (told,) = called("why", host["network"], "--json", "--now", NOW, data=store.data).rows()
    assert told["target_kind"] == "network"
    assert told["hosts"] >= 1
    (told,) = called("why", "0" * 64, "--json", "--now", NOW, data=store.data).rows()
    assert (told["target_kind"], told["hosts"]) == ("hash", 0)


def test_help_has_examples_and_starts_fast(tmp_path: Path) -> None:
    for command in ("ingest", "observe", "why", "hosts", "campaigns", "listings", "status", "publish", "serve"):
        ran = run(command, "--help", data=tmp_path)
        assert ran.code == 0
        assert f"whimbrel {command}" in ran.out.split("Examples:")[1]
    ran = run("--help", data=tmp_path)
    assert "why" in ran.out
    assert run("--version", data=tmp_path).out.startswith("whimbrel")


@pytest.mark.parametrize(
    ("count", "words", "expected"),
    [(1, ("listing",), "1 listing"), (0, ("listing",), "0 listings"), (2000, ("entry", "entries"), "2,000 entries"),
     (1, ("entry", "entries"), "1 entry")],
)  # fmt: skip
def test_one_is_one(count: int, words: tuple[str, ...], expected: str) -> None:
    assert counted(count, *words) == expected
