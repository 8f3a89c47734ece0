"""Networks and leases told from outside: the same cells as a plain reading gives, and what they are there for."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.analysis.links.conftest import World
from tests.analysis.links.plain import ROWS, Plain, cells, delayed, leases_of, networks_of, world_rows
from tests.analysis.links.tiny import MONDAY, Row

from whimbrel.analysis.links import Settings, State, grow, judge
from whimbrel.analysis.links.outside import Outside, spans
from whimbrel.lookups.leases import read_leases
from whimbrel.lookups.networks import open_table
from whimbrel.lookups.ranges import NETWORKS
from whimbrel.model.columns import INSTANT
from whimbrel.worlds import as_table, generate, leases, read_world

WORLDS = Path(__file__).resolve().parents[3] / "worlds"

HOSTS = [f"10.0.{n // 4}.{n}" for n in range(8)]


def _cut(host: str, days: list[int], holders: list[str | None]) -> list[tuple[str, int, int, str | None]]:
    """Return leases of a host between the days: from each to the next, every third stretch nobody's."""
    return [
        (host, since, until, holder)
        for place, (since, until, holder) in enumerate(zip(days, days[1:], holders, strict=False))
        if place % 3 != 1
    ]


_CUTS = st.lists(
    st.tuples(
        st.sampled_from(HOSTS),
        st.sets(st.integers(-3, 80), min_size=2, max_size=6).map(sorted),
        st.lists(st.sampled_from([None, None, "one", "two"]), min_size=6, max_size=6),
    ),
    unique_by=lambda cut: cut[0],
    max_size=8,
).map(lambda cuts: [lease for cut in cuts for lease in _cut(*cut)])
_KNOWN = st.lists(
    st.tuples(st.sampled_from(HOSTS), st.sampled_from([None, 7, 8]), st.sampled_from([None, "10.0.0.0/22"])),
    unique_by=lambda known: known[0],
)


@given(st.lists(ROWS, min_size=10, max_size=90), _CUTS, _KNOWN, st.booleans())
@settings(max_examples=12, deadline=None)
def test_cells_are_those_of_a_plain_reading(rows: list[Row], told: Any, known: Any, first: bool) -> None:  # noqa: FBT001
    rows = [delayed(row) for row in rows]
    outside = Outside(networks_of(*known), leases_of(*told), first)
    assert cells(rows, outside=outside) == Plain(rows, outside).cells()


def test_every_arm_has_cells_in_the_small_world_with_leases() -> None:
    told = [(row["host"], 0, 30, None) for row in world_rows()[:300:9]]
    outside = Outside(leases=leases_of(*dict.fromkeys(told)))
    found = cells(world_rows(), outside=outside)
    assert {cell[0] for cell in found} == {"sending", "time", "co-location"}
    assert found == Plain(world_rows(), outside).cells() != cells(world_rows())


def test_tables_that_say_nothing_change_nothing() -> None:
    nothing = Outside(networks_of(), leases_of(), table_first=True)
    assert cells(world_rows(), outside=nothing) == cells(world_rows())


def test_every_moment_of_a_host_has_one_holder() -> None:
    told = leases_of(("a", 1, 2, None), ("a", 2, 4, "x"), ("a", 6, 7, None), ("b", 3, 9, "x"))
    laid = sorted(tuple(row.values()) for row in spans(ibis.memtable(told)).to_pyarrow().to_pylist())
    assert len({span[3] for span in laid}) == len(laid) - 1  # "x" holds two
    for one, other in pairwise(laid):
        assert one[2] == other[1] or (one[0], other[0]) == ("a", "b")
    assert [span[4] for span in laid] == [False, True, True, False, True, False, False, True, False]


def _silent(weeks: int) -> list[Row]:
    """Return hosts that are infected, are silent for so many weeks, and then send."""
    rows: list[Row] = []
    for n in range(12):
        host = {"sensor": "s1", "host": f"10.0.0.{n}"}
        infected = host | {"kind": "infection", "family": "WF"[n % 2], "method": "sinkhole"}
        rows.append(infected | {"seen_at": MONDAY + timedelta(hours=n)})
        sent = MONDAY + timedelta(weeks=1 + weeks, hours=n)
        rows.append(host | {"seen_at": sent, "kind": "message", "campaign": "C1"})
    return rows


def _sent(rows: list[Row], leases: pa.Table | None) -> int:
    return sum(cell[-1] for cell in cells(rows, outside=Outside(leases=leases)) if cell[0] == "sending")


def test_silence_ends_a_guessed_lease_and_no_told_one() -> None:
    hosts = [f"10.0.0.{n}" for n in range(12)]
    assert _sent(_silent(1), None) == 12
    assert _sent(_silent(4), None) == 0
    assert _sent(_silent(4), leases_of(*((host, 0, 50, None) for host in hosts))) == 12


def _at_risk(leases: pa.Table) -> int:
    """Return how many of twelve infected hosts are at risk in the third week, when half of them send."""
    rows = [row for row in _silent(1) if row["kind"] == "infection" or int(row["host"].rpartition(".")[2]) < 6]
    return sum(cell[-2] for cell in cells(rows, outside=Outside(leases=leases)) if cell[0] == "sending")


@pytest.mark.parametrize(("until", "at_risk"), [(13, 6), (14, 6), (15, 12), (50, 12)])
def test_the_end_of_a_lease_ends_observation_but_not_within_its_window(until: int, at_risk: int) -> None:
    ended = [(f"10.0.0.{n}", 0, until, None) for n in range(6, 12)]
    assert _at_risk(leases_of(*ended, *((f"10.0.0.{n}", 0, 50, None) for n in range(6)))) == at_risk


@pytest.mark.parametrize(("since", "at_risk"), [(14, 6), (15, 12), (50, 12)])
def test_a_told_lease_ends_the_guessed_one_before_it(since: int, at_risk: int) -> None:
    assert _at_risk(leases_of(*((f"10.0.0.{n}", since, 60, None) for n in range(6, 12)))) == at_risk


def test_a_holder_keeps_its_infection_when_its_address_changes() -> None:
    rows = [
        row | ({"host": row["host"].replace("10.0.0", "10.0.1")} if row["kind"] == "message" else {})
        for row in _silent(1)
    ]
    told = [(f"10.0.0.{n}", 0, 8, f"customer-{n}") for n in range(12)]
    moved = [(f"10.0.1.{n}", 8, 50, f"customer-{n}") for n in range(12)]
    assert _sent(rows, None) == 0
    assert _sent(rows, leases_of(*told, *moved)) == 12
    assert _sent(rows, leases_of(*((*lease[:3], None) for lease in told + moved))) == 0


def test_no_guess_reaches_across_a_told_lease() -> None:
    # Infected on the first day, and sending on the fifteenth; somebody else had the host for a day in between.
    between = leases_of(*((f"10.0.0.{n}", 3, 4, None) for n in range(12)))
    assert _sent(_silent(1), between) == 0


@pytest.mark.parametrize(("days", "compared"), [(28, False), (29, True)])
def test_before_and_after_are_compared_only_within_a_lease(days: int, compared: bool) -> None:  # noqa: FBT001
    # Infected in the third week, sending in the second and fourth; the horizon of two weeks ends with the fifth.
    week = timedelta(weeks=1)
    rows = [row | ({"seen_at": row["seen_at"] - week} if "campaign" in row else {}) for row in world_rows()]
    leases = leases_of(*((host, 0, days, None) for host in sorted({row["host"] for row in rows})))
    assert ("time" in {cell[0] for cell in cells(rows, outside=Outside(leases=leases))}) is compared


def _by_network(rows: list[Row], outside: Outside) -> set[str]:
    return {cell[5] for cell in cells(rows, outside=outside) if cell[0] == "sending"}


def test_by_default_observations_stand_and_the_table_fills_gaps() -> None:
    rows = _silent(1)
    hosts = sorted({row["host"] for row in rows})
    table = networks_of(*((host, 9, None) for host in hosts))
    assert _by_network([row | {"asn": 7} for row in rows], Outside(table)) == {"AS7"}
    assert _by_network([row | {"prefix": "10.0.0.0/20"} for row in rows], Outside(table)) == {"AS9"}
    assert _by_network(rows, Outside(table)) == {"AS9"}
    assert _by_network(rows, Outside()) == {"10.0.0.0/24"}


def test_with_the_table_first_observations_fill_gaps() -> None:
    rows = [row | {"asn": 7} for row in _silent(1)]
    hosts = sorted({row["host"] for row in rows})
    assert _by_network(rows, Outside(networks_of(*((h, 9, None) for h in hosts)), table_first=True)) == {"AS9"}
    # A table of prefixes says nothing of AS, on purpose: hosts are compared within its prefixes.
    prefixes = networks_of(*((host, None, "10.0.0.0/20") for host in hosts))
    assert _by_network(rows, Outside(prefixes, table_first=True)) == {"10.0.0.0/20"}
    assert _by_network(rows, Outside(prefixes)) == {"AS7"}
    assert _by_network(rows, Outside(networks_of(), table_first=True)) == {"AS7"}


def _without_as(observations: pa.Table) -> pa.Table:
    nothing = pa.nulls(observations.num_rows, pa.int64())
    return observations.set_column(observations.schema.get_field_index("asn"), "asn", nothing)


def test_the_table_instead_of_the_column_gives_the_same_verdicts(world: World) -> None:
    observations, now = world(odds_ratio=3, hosts=1_500), datetime(2026, 3, 1, tzinfo=UTC)
    bare = _without_as(observations)
    known = observations.group_by(["host", "asn"]).aggregate([])
    true = known.append_column("prefix", pa.nulls(known.num_rows, pa.string())).select(NETWORKS.names)
    told = judge(bare, Settings(), now, Outside(true))
    assert told.equals(judge(observations, Settings(), now))
    assert not told.equals(judge(bare, Settings(), now))


def test_a_state_of_other_tables_is_not_added_to(world: World) -> None:
    observations, now = world(hosts=300), datetime(2026, 3, 1, tzinfo=UTC)
    state = grow(observations, Settings(), datetime(2026, 1, 20, tzinfo=UTC), outside=Outside(digest="a")).state
    with pytest.raises(ValueError, match="other tables"):
        grow(observations, Settings(), now, state)
    stored = state.store()
    for other in ("", "b"):
        with pytest.raises(ValueError, match="other tables"):
            State.restore(stored, Settings(), other)


def test_growing_by_leases_is_replay_bit_for_bit(world: World) -> None:
    observations, state = world(odds_ratio=3, hosts=600), State(Settings(), "a")
    held = [
        (f"10.0.{n >> 8}.{n & 255}", n % 9, 20 + n % 13, f"customer-{n % 400}" if n % 2 else None) for n in range(500)
    ]
    outside = Outside(leases=leases_of(*held), digest="a")
    for now in (datetime(2026, 1, 20, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)):
        known = observations.filter(pc.less_equal(observations["learned_at"], pa.scalar(now, INSTANT)))
        state = State.restore(grow(known, Settings(), now, state, outside).state.store(), Settings(), "a")
    whole = grow(observations, Settings(), now, outside=outside).state.store()
    assert whole.evidence.equals(state.store().evidence, check_metadata=True)
    assert whole.controls.equals(state.store().controls)
    assert not whole.evidence.equals(grow(observations, Settings(), now).state.store().evidence)


def _ratio(observations: pa.Table, outside: Outside) -> tuple[float, float]:
    """Return the odds ratio and the e-value of the pair in question (claim L2)."""
    told = judge(observations, Settings(), datetime(2004, 9, 1, tzinfo=UTC), outside)
    rows = told.filter((pc.field("family") == "family-01") & (pc.field("claim") == "L2")).to_pylist()
    return rows[0]["odds_ratio"], rows[0]["e_value"]


def test_told_leases_give_back_what_churn_takes(tmp_path: Path) -> None:
    world, path = read_world(WORLDS / "linked-churn.toml", ("units=1000",)), tmp_path / "leases.txt"
    path.write_text("".join(leases(world, 2)))
    observations = generate(world, 2)
    guessed, told = (_ratio(observations, Outside(leases=one)) for one in (None, read_leases(path).table))
    assert guessed[0] < 2 < told[0] < 4  # planted: 3, and half of the infected machines move
    assert guessed[1] < 20 < told[1]


def test_a_table_of_prefixes_first_takes_dirty_neighbourhoods_away(tmp_path: Path) -> None:
    world, path = read_world(WORLDS / "stress-dirty-neighbourhoods.toml", ("weeks=16",)), tmp_path / "prefixes.txt"
    path.write_text("".join(line.partition(" ")[0] + "\n" for line in as_table(world, 2)))
    observations = generate(world, 2)
    prefixes = open_table(path).look_up(observations["host"].cast(pa.string()).unique())
    by_as, after = _ratio(observations, Outside()), _ratio(observations, Outside(prefixes))
    by_prefix = _ratio(observations, Outside(prefixes, table_first=True))
    assert after == by_as  # observations say the AS, and stand
    assert by_prefix == _ratio(_without_as(observations), Outside())
    assert by_prefix[0] < by_as[0] / 1.1  # planted: 1
