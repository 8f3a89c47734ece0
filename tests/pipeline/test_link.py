"""The link test over a store: its state grows, is kept, and is what a replay of everything gives."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.pipeline.mail import day, message, received
from tests.pipeline.stores import ingested

from whimbrel.errors import ConfigError, StoreError
from whimbrel.evidence import Evidence
from whimbrel.pipeline import link as module
from whimbrel.pipeline.link import Files, link, links
from whimbrel.pipeline.observe import observe
from whimbrel.worlds import as_table, batches, leases, read_world, to_lines

WORLD = Path(__file__).resolve().parents[1] / "worlds" / "small.toml"
NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def weeks() -> list[bytes]:
    """A small world: a week of observations each."""
    world = read_world(WORLD)
    return [to_lines(batch) for batch in batches(world, 1)]


def observed(data_dir: Path, lines: bytes) -> None:
    path = data_dir.with_suffix(".jsonl")
    path.write_bytes(lines)
    observe(data_dir, str(path), NOW)


@pytest.fixture(scope="module")
def store(weeks: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    data_dir = tmp_path_factory.mktemp("linked") / "store"
    observed(data_dir, b"".join(weeks))
    return data_dir


@pytest.fixture(scope="module")
def told(store: Path) -> pa.Table:
    """What is said of that store."""
    return links(store, NOW)


def test_the_planted_link_is_found_and_no_other(told: pa.Table) -> None:
    rows = told.to_pylist()
    assert {row["claim"] for row in rows} == {"L1", "L2", "L3", "L4"}
    linked = [
        (row["family"], row["campaign"]) for row in rows if row["claim"] == "L2" and row["verdict"].endswith("linked")
    ]
    assert linked == [("family-01", "campaign-001")]
    assert all(row["reasons"] for row in rows if row["verdict"] in {"insufficient data", "not assessed"})
    assert {row["verdict"] for row in rows if row["claim"] in {"L3", "L4"}} == {"not assessed"}


def test_asking_twice_adds_nothing(store: Path) -> None:
    first = links(store, NOW)
    with Evidence.open(store) as opened:
        kept = opened.derived("link_evidence")
    assert kept is not None
    assert kept.num_rows > 0
    assert links(store, NOW).equals(first)
    with Evidence.open(store) as opened:
        assert opened.derived("link_evidence") == kept


def test_evidence_that_comes_piece_by_piece_gives_what_all_of_it_gives(
    tmp_path: Path, weeks: list[bytes], told: pa.Table
) -> None:
    data_dir = tmp_path / "store"
    for first in range(0, len(weeks), 2):
        observed(data_dir, b"".join(weeks[first : first + 2]))
        links(data_dir, NOW)  # the state is overtaken by what comes next, and built anew
    assert links(data_dir, NOW).equals(told)


def test_a_state_that_grows_is_the_one_that_is_replayed(tmp_path: Path, weeks: list[bytes]) -> None:
    data_dir = tmp_path / "store"
    observed(data_dir, b"".join(weeks))
    with Evidence.open(data_dir) as opened:
        last = opened.query("SELECT max(seen_at) AS last FROM observations")["last"][0].as_py()
    for back in (35, 21, 7):
        links(data_dir, last - timedelta(days=back))
    grown = links(data_dir, NOW)
    with Evidence.open(data_dir) as opened:
        evidence = opened.derived("link_evidence")
    with Evidence.open(data_dir, write=True) as opened:
        opened.remember("link state", "{}")
    assert links(data_dir, NOW).equals(grown)
    with Evidence.open(data_dir) as opened:
        assert opened.derived("link_evidence") == evidence


def test_a_look_back_keeps_nothing(store: Path, told: pa.Table) -> None:
    with Evidence.open(store) as opened:
        middle = opened.query("SELECT min(seen_at) AS first FROM observations")["first"][0].as_py() + timedelta(days=20)
    early = links(store, middle)
    assert pc.max(early["e_value"]).as_py() < pc.max(told["e_value"]).as_py()
    assert links(store, NOW).equals(told)


def test_beside_a_writer_it_reads(store: Path, told: pa.Table) -> None:
    with Evidence.open(store, write=True):
        assert links(store, NOW).equals(told)


def test_a_pair_in_full(store: Path) -> None:
    told = link(store, NOW, "family-01", "campaign-001")
    (row,) = (row for row in told.verdicts if row["claim"] == "L2")
    assert row["verdict"].endswith("linked")
    assert told.path[-1].log_e["L2"] > told.threshold_log_e
    assert {effect.arm for effect in told.effects} >= {"sending", "co-location"}
    assert told.controls
    assert {each.part for each in told.confounders} == {"network", "volume", "sensor", "method", "window"}
    for family, campaign, said in (("nobody", "campaign-001", "family"), ("family-01", "nothing", "campaign")):
        with pytest.raises(ConfigError, match=said):
            link(store, NOW, family, campaign)


def test_campaigns_of_mail_are_those_that_messages_are_members_of(tmp_path: Path) -> None:
    paths = []
    for number in range(6):
        path = tmp_path / f"{number}.eml"
        path.write_bytes(message(received(f"24.1.{number}.3", day(number / 10)), body="http://pills-of-gold.biz/\n"))
        paths.append(str(path))
    ingested(tmp_path / "store", paths)
    with Evidence.open(tmp_path / "store") as opened, module._observations(opened) as observations:
        rows = observations.to_pyarrow().to_pylist()
    assert len({row["campaign"] for row in rows}) == 1
    assert {row["campaign_basis"] for row in rows} == {"url"}
    assert links(tmp_path / "store", NOW).num_rows == 0  # no family was ever seen


@pytest.fixture(scope="module")
def unnamed(weeks: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same world, of which no observation says the network."""
    data_dir = tmp_path_factory.mktemp("unnamed") / "store"
    observed(data_dir, re.sub(rb',"(asn":[0-9]+|prefix":"[^"]+")', b"", b"".join(weeks)))
    return data_dir


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the world's true AS table."""
    path = tmp_path_factory.mktemp("table") / "as.txt"
    path.write_text("".join(as_table(read_world(WORLD), 1)))
    return path


def test_the_table_gives_the_verdicts_that_the_column_gives(told: pa.Table, unnamed: Path, table: Path) -> None:
    said: list[str] = []
    assert links(unnamed, NOW, files=Files((table,), say=said.append)).equals(told)
    assert not links(unnamed, NOW).equals(told)
    (line,) = said
    assert re.fullmatch(rf"{table}: 120 networks; knows ([0-9,]+) of \1 hosts", line)


def test_two_tables_are_asked_in_order(told: pa.Table, unnamed: Path, table: Path, tmp_path: Path) -> None:
    lines = table.read_text().splitlines(keepends=True)
    half, said = tmp_path / "half.txt", list[str]()
    half.write_text("".join(lines[:20]))
    assert links(unnamed, NOW, files=Files((half, table), say=said.append)).equals(told)
    assert [line.partition(":")[0] for line in said] == [str(half), str(table)]


def test_a_false_table_counts_only_where_it_is_first(
    store: Path, told: pa.Table, unnamed: Path, tmp_path: Path
) -> None:
    false = tmp_path / "false.txt"
    false.write_text("0.0.0.0/0 64500\n")
    assert links(store, NOW, files=Files((false,))).equals(told)
    misled = links(store, NOW, files=Files((false,), table_first=True))
    assert misled.equals(links(unnamed, NOW, files=Files((false,))))  # as if no observation had said anything else
    assert not misled.equals(told)


def test_a_state_made_with_other_files_is_replayed(store: Path, told: pa.Table, table: Path, tmp_path: Path) -> None:
    def kept(files: Files) -> str:
        links(store, NOW, files=files)
        with Evidence.open(store) as opened:
            return opened.recall("link state") or ""

    prefixes = tmp_path / "prefixes.txt"
    prefixes.write_text("10.0.0.0/12\n")
    given = tmp_path / "leases.txt"
    given.write_text("".join(leases(read_world(WORLD), 1)))
    every = [Files(), Files((prefixes,)), Files((prefixes,), table_first=True), Files((table,)), Files(leases=given)]
    assert len({kept(files) for files in every}) == len(every)
    copy = tmp_path / "copy.txt"
    copy.write_bytes(given.read_bytes())
    before = kept(Files(leases=given))
    assert kept(Files(leases=copy)) == before  # what counts is what a file says
    assert links(store, NOW).equals(told)


def test_a_pair_in_full_by_files(store: Path, table: Path) -> None:
    whole = links(store, NOW, files=Files((table,), table_first=True)).to_pylist()
    told = link(store, NOW, "family-01", "campaign-001", files=Files((table,), table_first=True))
    (row,) = (row for row in told.verdicts if row["claim"] == "L2")
    (same,) = (
        row for row in whole if (row["family"], row["campaign"], row["claim"]) == ("family-01", "campaign-001", "L2")
    )
    assert row["e_value"] == same["e_value"]


def test_a_file_that_makes_no_sense_leaves_the_state_as_it_was(store: Path, tmp_path: Path) -> None:
    links(store, NOW)
    bad = tmp_path / "bad.txt"
    bad.write_text("10.0.0.0/24 64500\n10.0.0.1/24 64500\n")
    with Evidence.open(store) as opened:
        before = opened.recall("link state")
    with pytest.raises(ConfigError, match=r"bad\.txt: line 2"):
        links(store, NOW, files=Files((bad,)))
    with pytest.raises(ConfigError, match=r"bad\.txt: line 1"):
        link(store, NOW, "family-01", "campaign-001", files=Files(leases=bad))
    with Evidence.open(store) as opened:
        assert opened.recall("link state") == before


def test_without_a_store_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="ingest"):
        links(tmp_path / "none", NOW)
    assert not (tmp_path / "none").exists()
