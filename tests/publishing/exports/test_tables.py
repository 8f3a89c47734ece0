"""Each table, read back, is the snapshot's list."""

import csv
import io
import json
from ipaddress import ip_address, ip_network

from tests.publishing.exports.conftest import World, text_of

from whimbrel.publishing.exports.tables import COLUMNS


def test_plain_targets_cover_what_is_listed(world: World) -> None:
    head, *lines = text_of(world.content, "plain").splitlines()
    assert head.startswith("# Whimbrel: bl.example, serial ")
    networks = [ip_network(line) for line in lines]
    assert networks == sorted(networks, key=lambda each: (each.version, each.network_address, each.prefixlen))
    for address in world.questions[::5]:
        assert any(address in network for network in networks) == (world.find(address) is not None)


def test_csv_and_json_lines_say_the_same(world: World) -> None:
    text = text_of(world.content, "csv")
    assert text.count("\r\n") == text.count("\n")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    objects = [json.loads(line) for line in text_of(world.content, "jsonl").splitlines()]
    assert [{key: str(value) for key, value in each.items()} for each in objects] == rows
    assert tuple(rows[0]) == COLUMNS
    plain = text_of(world.content, "plain").splitlines()[1:]
    assert [row["target"] for row in rows] == plain
    if all(world.content.listed(rows.reason).all() for _, rows in world.content.families):
        assert len(rows) == world.content.entries


def test_each_row_is_what_a_name_server_says_of_its_first_address(world: World) -> None:
    exact = 0
    for line in text_of(world.content, "jsonl").splitlines():
        row = json.loads(line)
        address = ip_address(row["target"].partition("/")[0])
        entry = next(e for e in world.snapshot.covering((address.version, int(address))) if e.until > world.at)
        if row["reason"] == entry.reason(row["target"]):
            exact += 1
            assert (row["code"], row["answer"]) == (entry.code, f"127.0.0.{entry.code}")
        else:  # a narrower entry begins at the same address
            assert "/" in row["target"]
    assert exact > world.content.entries // 2
