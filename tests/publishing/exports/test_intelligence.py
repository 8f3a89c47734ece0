"""The libraries of STIX and MISP read the exports, and find what the snapshot says."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.publishing.exports.conftest import World, text_of

from whimbrel.model.listing import Code
from whimbrel.pipeline.export import export
from whimbrel.publishing.exports.content import one_by_one, target
from whimbrel.publishing.exports.rows import carved
from whimbrel.wire.snapshot.encoder import HOST_BITS


def entries(world: World) -> dict[str, int]:
    content = world.content
    return {
        target(family, key, prefix): content.reasons[reason].code
        for family, rows in content.families
        for key, prefix, reason, _ in one_by_one(carved(content, rows, HOST_BITS[family]))
    }


def test_stix_is_read_strictly(world: World) -> None:
    import stix2  # noqa: PLC0415 - collecting the tests need not wait for it

    text = text_of(world.content, "stix")
    bundle = stix2.parse(text, allow_custom=False)
    identity, *indicators = bundle.objects
    assert identity.type == "identity"
    assert len({each.id for each in indicators}) == len(indicators) == len(entries(world))
    found = {}
    for each in indicators:
        assert each.created_by_ref == identity.id
        assert each.valid_from < each.valid_until
        assert each.valid_until.timestamp() <= world.snapshot.expires
        found[each.pattern.split("'")[1]] = int(each.labels[0].removeprefix("code-"))
    assert found == entries(world)


def test_a_stix_pattern_says_host_or_network(world: World) -> None:
    for each in json.loads(text_of(world.content, "stix"))["objects"][1:]:
        value = each["pattern"].split("'")[1]
        family = "ipv6" if ":" in value else "ipv4"
        compared = "ISSUBSET" if "/" in value else "="
        assert each["pattern"] == f"[{family}-addr:value {compared} '{value}']"


@pytest.fixture(scope="module")
def feed(world: World, tmp_path_factory: Any) -> Path:
    folder: Path = tmp_path_factory.mktemp("misp") / "feed"
    export(world.content, "misp", folder)
    return folder


def test_misp_reads_the_feed(world: World, feed: Path) -> None:
    import pymisp  # noqa: PLC0415 - likewise

    manifest = json.loads((feed / "manifest.json").read_text())
    found = {}
    hashes = set()
    for identifier, shown in manifest.items():
        event = pymisp.MISPEvent()
        event.load_file(feed / f"{identifier}.json")
        assert event.uuid == identifier
        assert event.info == shown["info"]
        assert shown == json.loads(json.dumps(event.manifest[identifier])) | {"Tag": shown["Tag"]}
        code = next(code for code in Code if f"127.0.0.{code.value})" in event.info)
        for attribute in event.attributes:
            assert attribute.type == "ip-src"
            assert attribute.to_ids
            found[attribute.value] = code.value
        hashes |= {(each, identifier) for each in event.attributes_hashes("md5")}
    assert found == entries(world)
    assert hashes == {tuple(line.split(",")) for line in (feed / "hashes.csv").read_text().splitlines()}


def test_an_event_keeps_its_identifier(world: World, feed: Path, tmp_path: Path) -> None:
    export(world.content._replace(at=world.at + 60, serial=world.snapshot.serial + 1), "misp", tmp_path)
    first, second = (json.loads((folder / "manifest.json").read_text()) for folder in (feed, tmp_path))
    assert list(first) == list(second)
    for identifier in first:
        assert int(second[identifier]["timestamp"]) == int(first[identifier]["timestamp"]) + 60
