"""`whimbrel export` as a user types it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.cli.running import refused, run

from whimbrel.model.listing import Code, Listing
from whimbrel.publishing import Entries
from whimbrel.publishing.exports import FORMATS

BORN = datetime(2002, 7, 27, tzinfo=UTC)
NOW = ("--now", "2002-07-27T01:00:00Z")


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    listings = [
        Listing(
            target=target,
            code=code,
            role="unknown",
            since=BORN,
            until=BORN + timedelta(hours=6),
            probability_legitimate=1e-5,
            times_listed=1,
            rule_version="test",
            evidence=(),
        )
        for target, code in (("192.0.2.1", Code.INFECTED), ("198.51.100.0/24", Code.NETWORK))
    ]
    path = tmp_path / "list.snapshot"
    data = (
        Entries.of(listings).moment().snapshot(zone="bl.example", serial=1, born=BORN, expires=BORN + timedelta(days=1))
    )
    path.write_bytes(data)
    return path


def test_to_standard_output_and_to_a_file(snapshot: Path, tmp_path: Path) -> None:
    shown = run("export", "plain", *NOW, data=tmp_path)
    assert shown.out.splitlines()[1:] == ["192.0.2.1", "198.51.100.0/24"]
    told = run("export", "plain", "--out", tmp_path / "file", *NOW, data=tmp_path)
    assert "2 entries" in told.out
    assert (tmp_path / "file").read_text() == shown.out
    assert run("export", "plain", "--code", "9", *NOW, data=tmp_path).out.splitlines()[1:] == ["198.51.100.0/24"]


def test_mistakes_are_one_line(snapshot: Path, tmp_path: Path) -> None:
    refused(run("export", "bind", data=tmp_path), *FORMATS)
    refused(run("export", "misp", *NOW, data=tmp_path), "--out FOLDER")
    refused(run("export", "plain", "--json", *NOW, data=tmp_path), "--out")
    refused(run("export", "plain", "--code", "7", *NOW, data=tmp_path), "no return code", "10")
    refused(run("export", "plain", data=tmp_path), "expired")
    refused(run("export", "plain", "--snapshot", tmp_path / "none", data=tmp_path), "whimbrel publish")
