"""`links` and `link` as a user runs them, and the picture."""

import csv
import io
import xml.etree.ElementTree as ET
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from tests.analysis.links.bad_input import NOW, VILLAGES, Village, all_villages, pair_of
from tests.analysis.links.tiny import MONDAY
from tests.cli.running import Ran, called, lines_of, refused, run

from whimbrel.analysis.links import Settings, judge

WORLD = Path(__file__).resolve().parents[1] / "worlds" / "small.toml"
KEYS = [
    "family", "campaign", "claim", "verdict", "words", "probability", "odds_ratio", "odds_ratio_low",
    "odds_ratio_high", "e_value", "gamma", "units", "windows", "reasons",
]  # fmt: skip


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("world")
    lines = data / "world.jsonl"
    assert run("simulate", WORLD, "--out", lines, data=data).code == 0
    assert run("observe", lines, data=data).code == 0
    return data


def test_json_csv_and_filters_agree(world: Path) -> None:
    rows = called("links", "--claim", "all", "--limit", "0", "--json", data=world).rows()
    assert all(list(row) == KEYS for row in rows)
    assert {row["claim"] for row in rows} == {"L1", "L2", "L3", "L4"}
    printed = called("links", "--claim", "all", "--limit", "0", "--csv", data=world).out
    assert [row["e_value"] for row in csv.DictReader(io.StringIO(printed))] == [
        "" if row["e_value"] is None else str(row["e_value"]) for row in rows
    ]
    (linked,) = called("links", "--verdict", "linked", "--json", data=world).rows()
    assert (linked["family"], linked["campaign"], linked["claim"]) == ("family-01", "campaign-001", "L2")
    of_one = called("links", "--family", "family-02", "--campaign", "campaign-001", "--json", data=world).rows()
    assert [(row["family"], row["campaign"], row["claim"]) for row in of_one] == [("family-02", "campaign-001", "L2")]


def test_the_matrix_and_the_list_are_tables(world: Path) -> None:
    matrix = run("links", "--matrix", data=world).out
    assert "linked" in matrix
    assert matrix.count("family-0") == 8
    assert max(len(line.rstrip()) for line in called("links", data=world).out.splitlines()) <= 120


def test_one_pair_and_its_picture(world: Path, tmp_path: Path) -> None:
    picture = tmp_path / "pair.svg"
    ran = run("link", "family-01", "campaign-001", "--picture", picture, data=world)
    assert ran.code == 0, ran.err
    for said in ("L2 (hosts infected by the family send the campaign): linked", "negative controls", "overturn", "e ="):
        assert said in ran.out
    drawn = ET.fromstring(picture.read_text())
    texts = " ".join(element.text or "" for element in drawn.iter("{http://www.w3.org/2000/svg}text"))
    for said in ("Odds ratio by arm and sensor", "Negative controls", "Evidence over time", "family-01"):
        assert said in texts
    again = tmp_path / "again.svg"
    called("link", "family-01", "campaign-001", "--picture", again, data=world)
    assert again.read_bytes() == picture.read_bytes()
    quiet = tmp_path / "quiet.svg"
    assert called("link", "family-08", "campaign-002", "--picture", quiet, data=world).code == 0
    ET.fromstring(quiet.read_text())


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what an operator would know of the world."""
    folder = tmp_path_factory.mktemp("told")
    files = ("--as-table", folder / "as.txt", "--leases", folder / "leases.txt", "--out", folder / "world.jsonl")
    assert run("simulate", WORLD, *files, data=folder).code == 0
    return folder


def test_tables_and_leases_are_read_and_what_they_hold_is_said(world: Path, told: Path) -> None:
    options = ("--as-table", told / "as.txt", "--as-table-first", "--leases", told / "leases.txt")
    ran = called("links", "--verdict", "linked", "--json", *options, data=world)
    (linked,) = ran.rows()
    assert (linked["family"], linked["campaign"]) == ("family-01", "campaign-001")
    assert [line.partition(": ")[0] for line in ran.err.splitlines()] == [
        str(told / "as.txt"),
        str(told / "leases.txt"),
    ]
    pair = called("link", "family-01", "campaign-001", "--json", *options, data=world)
    assert pair.rows()[0]["verdicts"][1]["e_value"] == linked["e_value"]
    assert pair.err == ran.err


def test_files_that_make_no_sense_are_refused(world: Path, told: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_text("10.0.0.1 2003-08-18T00:00:00Z -\n10.0.0.1 2003-08-19T00:00:00Z -\n")
    refused(called("links", "--leases", bad, data=world), f"{bad}: line 2", "line 1", "end one")
    refused(called("links", "--as-table", bad, data=world), f"{bad}: line 1", "is no address")
    refused(called("links", "--as-table", tmp_path / "none", data=world), "cannot be read", "check the path")
    refused(called("links", "--as-table-first", data=world), "--as-table-first", "--as-table FILE")
    refused(called("link", "family-01", "campaign-001", "--leases", told / "as.txt", data=world), "line 1", "holder")
    cut = tmp_path / "cut.mmdb"
    cut.write_bytes(b"\x00" * 64 + b"\xab\xcd\xefMaxMind.com")
    refused(called("links", "--as-table", cut, data=world), "damaged MMDB", "fetch the file again")


def test_one_pair_as_json(world: Path) -> None:
    (told,) = called("link", "family-01", "campaign-001", "--json", data=world).rows()
    assert [row["claim"] for row in told["verdicts"]] == ["L1", "L2", "L3", "L4"]
    assert told["controls_z"] > told["controls_threshold"]


def test_what_was_never_seen_is_said(world: Path, tmp_path: Path) -> None:
    refused(called("link", "nobody", "campaign-001", data=world), "nobody", "whimbrel links")
    refused(called("link", "family-01", "campaign-001", "--picture", tmp_path / "a.gif", data=world), ".svg or .png")
    refused(called("links", data=tmp_path / "none"), "ingest")


@pytest.fixture(scope="session")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of observations with every mistake; the file was given twice."""
    data = tmp_path_factory.mktemp("troubled")
    lines = _lines(all_villages())
    first = run("observe", "-", "--json", data=data, stdin=lines).rows()[0]
    again = run("observe", "-", "--json", data=data, stdin=lines).rows()[0]
    assert (again["new"], again["known"]) == (0, first["new"] + first["known"])
    return data


def _lines(observations: Any) -> bytes:
    rows = observations.to_pylist()
    for row in rows:
        row |= {name: row[name].isoformat() for name in ("seen_at", "learned_at")}
    return lines_of([{name: value for name, value in row.items() if value is not None} for row in rows])


def _links(data: Path, *words: str) -> Ran:
    return called("links", "--claim", "all", "--limit", "0", "--json", "--now", NOW.isoformat(), *words, data=data)


def test_mistakes_are_told_as_reasons(troubled: Path) -> None:
    rows = _links(troubled).rows()
    key = itemgetter("family", "campaign", "claim")
    assert sorted(rows, key=key) == judge(all_villages(), Settings(), NOW).to_pylist()
    told = {key(row): row for row in rows}
    for village in VILLAGES:
        row = told.get((*pair_of(village), "L2"))
        assert (row is not None) == village.listed
        if row is not None:
            assert row["verdict"] == ("insufficient data" if village.reason else "linked"), village.name
            assert village.reason is None or any(village.reason in reason for reason in row["reasons"])


@pytest.mark.parametrize("village", [one for one in VILLAGES if one.name in {"few-senders", "own-sensor"}])
def test_one_pair_with_a_mistake(troubled: Path, village: Village, tmp_path: Path) -> None:
    picture = tmp_path / "pair.svg"
    ran = called("link", *pair_of(village), "--now", NOW.isoformat(), "--picture", picture, data=troubled)
    assert ran.code == 0, ran.err
    assert "L2 (hosts infected by the family send the campaign): insufficient data\n" in ran.out
    assert str(village.reason) in ran.out
    ET.fromstring(picture.read_text())


def test_a_clock_that_goes_back_between_two_calls(troubled: Path) -> None:
    late = _links(troubled).out
    early = called("links", "--json", "--now", MONDAY.isoformat(), data=troubled)
    assert (early.code, early.out) == (0, "")
    assert "no pair to judge" in early.err
    assert _links(troubled).out == late
