"""The relational part on Spark, in one process: the same expressions, and the very tables that DuckDB gives."""

import importlib
import importlib.util
import os
import random
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.analysis.links.plain import NOTHING, leases_of, networks_of
from tests.analysis.links.tiny import MONDAY, Row, observations_of

from whimbrel.analysis.links import Evidence, Settings, State, verdicts
from whimbrel.analysis.links.columns import ARMS, READ
from whimbrel.analysis.links.growing import tabulated
from whimbrel.analysis.links.outside import Outside
from whimbrel.worlds import generate, read_world

pytestmark = [
    pytest.mark.debian,
    pytest.mark.filterwarnings("ignore"),  # PySpark and Ibis on pandas 3
]
ROOT = Path(__file__).resolve().parents[3]
WORLD = ROOT / "worlds" / "linked-every-confounder.toml"
LONGER = ("units=1500", "weeks=16", "infection_weeks=10")  # so that the arm by time has cells, too
WANTED = 200_000  # observations
# One process, two threads; plans are not looked at again while they run, which takes longer than these tables do.
SPARK = {
    "spark.master": "local[2]",
    "spark.ui.enabled": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.adaptive.enabled": "false",
}


class Tables(NamedTuple):
    """What the relational part says, and the verdicts that follow."""

    cells: pa.Table
    campaigns: pa.Table
    families: pa.Table
    verdicts: pa.Table


def _absent() -> str | None:
    if shutil.which("java") is None:
        return "Spark needs Java (Debian package default-jre-headless)"
    if importlib.util.find_spec("pyspark") is None:
        return "PySpark is not installed; run tools/setup spark"
    return None


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """An Ibis connection to Spark."""
    reason = _absent()
    if reason is not None:
        if os.environ.get("WHIMBREL_REQUIRE_DEBIAN") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("spark")
    places = {"spark.sql.warehouse.dir": str(folder), "spark.local.dir": str(folder)}
    builder = importlib.import_module("pyspark.sql").SparkSession.builder
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        session = builder.config(map=SPARK | places).getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        yield ibis.pyspark.connect(session)
        session.stop()


def _tables(path: Path, connection: Any, settings: Settings, now: datetime, outside: Outside) -> Tables:
    state = State(settings)
    with tabulated(connection.read_parquet(path), settings, now, outside=outside) as found:
        windows = list(found.windows())
        for window, cells in windows:
            state.close(window, cells)
        told = verdicts(Evidence(state, found.campaigns, found.families))
        cells = pa.concat_tables([cells for _, cells in windows])
        # Engines put rows in any order; everything else is to be the same.
        in_order = cells.sort_by([(name, "ascending") for name in cells.column_names])
        return Tables(in_order, found.campaigns, found.families, told)


def _same(
    observations: pa.Table, spark: Any, folder: Path, settings: Settings, now: datetime, outside: Outside = NOTHING
) -> Tables:
    path = folder / "observations.parquet"
    pq.write_table(observations.select(["seen_at", "learned_at", *READ]), path)
    by_duckdb = _tables(path, ibis.duckdb.connect(), settings, now, outside)
    by_spark = _tables(path, spark, settings, now, outside)
    for name in Tables._fields:
        ours, theirs = getattr(by_duckdb, name), getattr(by_spark, name)
        assert theirs.num_rows == ours.num_rows > 0, name
        assert theirs.equals(ours), name
    return by_duckdb


def _of_all_kinds() -> pa.Table:
    """Return observations with everything that an observation may have or lack, at random."""
    dice, rows = random.Random(1), []
    hosts = [f"10.0.{n // 9}.{n}" for n in range(36)] + [f"2001:db8:0:{n}::" for n in range(1, 9)] + ["::", "0:0:0:1::"]
    for _ in range(1_500):
        seen_at = MONDAY + timedelta(seconds=dice.randrange(9 * 7 * 86_400))
        late = timedelta(days=dice.choice([0, 0, 0, 1, 20]))
        host = dice.choice(hosts)
        row: Row = {"seen_at": seen_at, "learned_at": seen_at + late, "host": host, "sensor": dice.choice("st")}
        row |= {"asn": 7} if host.startswith("10.0.0.") else {}
        row |= {"prefix": "10.0.1.0/25"} if host.startswith("10.0.1.") else {}
        kind = row["kind"] = dice.choice(["connection", "connection", "infection", "message", "message", "report"])
        if kind == "connection":
            row["count"] = dice.randrange(1, 99)
        elif kind == "infection":
            row |= {"family": dice.choice("WFG"), "method": dice.choice(["sinkhole", "sinkhole", "list", None])}
        elif kind == "message":
            row |= {"campaign": dice.choice(["C1", "C2", "C3", "C4"])}
            row |= {"campaign_basis": dice.choice(["url", None, "attachment"] if row["campaign"] == "C4" else ["url"])}
            carries = dice.random() < 0.02 and row["campaign"] == "C3"
            row |= {"family": "W"} if carries else {}
        rows.append(row)
    return observations_of(rows)


def test_observations_of_all_kinds(spark: Any, tmp_path: Path) -> None:
    settings = Settings(lease_gap_windows=2, least_senders=2, horizon_windows=2)
    found = _same(_of_all_kinds(), spark, tmp_path, settings, MONDAY + timedelta(weeks=11))
    assert set(found.cells["arm"].to_pylist()) == set(ARMS)
    networks = {"AS7", "10.0.1.0/25", "10.0.2.0/24", "10.0.3.0/24", "2001:db8:0::/48", "0:0:0::/48"}
    assert networks | {""} == set(found.cells["network"].to_pylist())


def test_networks_and_leases_from_outside(spark: Any, tmp_path: Path) -> None:
    observations, settings = _of_all_kinds(), Settings(lease_gap_windows=2, least_senders=2, horizon_windows=2)
    hosts = sorted(set(observations["host"].to_pylist()))
    leases = [(host, place, 20 + place, "one" if place % 5 == 0 else None) for place, host in enumerate(hosts[1:])]
    outside = Outside(networks_of(*((host, 9, None) for host in hosts[::2])), leases_of(*leases), table_first=True)
    now = MONDAY + timedelta(weeks=11)
    found = _same(observations, spark, tmp_path, settings, now, outside)
    assert "AS9" in found.cells["network"].to_pylist()
    assert not found.cells.equals(_same(observations, spark, tmp_path, settings, now).cells)


def test_a_world_with_every_confounder(spark: Any, tmp_path: Path) -> None:
    world, settings = read_world(WORLD, LONGER), Settings()
    observations = generate(world, 1)
    assert observations.num_rows >= WANTED
    begin = datetime(world.start.year, world.start.month, world.start.day, tzinfo=UTC)
    now = begin + timedelta(weeks=world.weeks, hours=settings.grace_hours)
    found = _same(observations, spark, tmp_path, settings, now)
    assert found.cells.num_rows > 10_000
    assert set(found.cells["arm"].to_pylist()) == set(ARMS)
    assert "linked" in found.verdicts["verdict"].to_pylist()
