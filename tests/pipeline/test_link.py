"""The link test over a store: its state grows, is kept, and is what a replay of everything gives."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.compute as pc
import pytest
from tests.pipeline.mail import day, message, received
from tests.pipeline.stores import ingested

from whimbrel.errors import ConfigError, StoreError
from whimbrel.evidence import Evidence
from whimbrel.pipeline import link as module
from whimbrel.pipeline.link import link, links
from whimbrel.pipeline.observe import observe
from whimbrel.worlds import batches, read_world, to_lines

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def weeks() -> list[bytes]:
    """The demo's world, smaller: a week of observations each."""
    world = read_world(ROOT / "worlds" / "demo.toml")
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


def test_the_planted_link_is_found_and_no_other(store: Path) -> None:
    rows = links(store, NOW).to_pylist()
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


def test_evidence_that_comes_week_by_week_gives_what_all_of_it_gives(
    tmp_path: Path, weeks: list[bytes], store: Path
) -> None:
    data_dir = tmp_path / "store"
    for lines in weeks:
        observed(data_dir, lines)
        links(data_dir, NOW)  # the state is overtaken by the next week, and built anew
    assert links(data_dir, NOW).equals(links(store, NOW))


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


def test_a_look_back_keeps_nothing(store: Path) -> None:
    now = links(store, NOW)
    with Evidence.open(store) as opened:
        middle = opened.query("SELECT min(seen_at) AS first FROM observations")["first"][0].as_py() + timedelta(days=20)
    early = links(store, middle)
    assert pc.max(early["e_value"]).as_py() < pc.max(now["e_value"]).as_py()
    assert links(store, NOW).equals(now)


def test_beside_a_writer_it_reads(store: Path) -> None:
    expected = links(store, NOW)
    with Evidence.open(store, write=True):
        assert links(store, NOW).equals(expected)


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


def test_without_a_store_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="ingest"):
        links(tmp_path / "none", NOW)
    assert not (tmp_path / "none").exists()
