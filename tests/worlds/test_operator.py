"""What an operator would know of a world is true of it."""

from collections import defaultdict
from pathlib import Path

import pyarrow as pa
import pytest

from whimbrel.lookups.leases import read_leases
from whimbrel.lookups.networks import open_table
from whimbrel.worlds import World, as_table, generate, leases
from whimbrel.worlds.places import make_names, make_places
from whimbrel.worlds.simulation import _Simulation

WORLD = World(weeks=5, units=60, families=3, networks=30, ases=6, churn=0.5, lease_weeks=3, relay_share=0.2)


def test_the_table_says_what_observations_say(tmp_path: Path) -> None:
    path = tmp_path / "as.txt"
    path.write_text("".join(as_table(WORLD, 3)))
    said = generate(WORLD, 3).select(["host", "asn", "prefix"])
    said = pa.table({name: said[name].cast(pa.int64() if name == "asn" else pa.string()) for name in said.column_names})
    said = said.group_by(said.column_names).aggregate([]).sort_by("host")
    assert said.num_rows > 100
    assert open_table(path).look_up(said["host"].combine_chunks()).sort_by("host").equals(said)


def test_leases_are_who_is_where_each_week(tmp_path: Path) -> None:
    path = tmp_path / "leases.txt"
    path.write_text("".join(leases(WORLD, 3)))
    rows = read_leases(path).table.to_pylist()
    start = min(row["since_s"] for row in rows)
    simulation, hosts = _Simulation(WORLD, 3), make_names(WORLD, make_places(WORLD, 3)).hosts.to_pylist()
    moved = defaultdict(set)
    for week in range(WORLD.weeks):
        simulation.week(week)
        at = start + week * 7 * 86_400
        told = {row["holder"]: row["host"] for row in rows if row["since_s"] <= at < row["until_s"]}
        for machine, slot in enumerate(simulation._slot_of_machine.tolist()):
            host = told[f"machine-{machine:07}"]
            assert host == hosts[simulation._places.address_of_slot[slot]]
            moved[machine].add(host)
    assert sum(len(each) > 1 for each in moved.values()) > 50


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_nothing_is_told_of_addresses_with_several_machines(share: float) -> None:
    world = World(weeks=1, units=60, families=3, networks=30, nat_share=share, nat_machines=50)
    assert bool(list(leases(world, 1))) is (share == 0)
