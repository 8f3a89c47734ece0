"""Lines say what columns say, and everybody who reads Observation v1 can read them."""

from typing import Any

from whimbrel.model.observation import Observation
from whimbrel.sensors.observed import read_observations
from whimbrel.worlds import World, batches, to_lines

EVERYTHING = World(
    weeks=2,
    units=80,
    controls_per_unit=4,
    families=5,
    campaigns=3,
    networks=40,
    ases=5,
    sensors=2,
    base_rate=0.3,
    relay_share=0.1,
    list_share=0.3,
    mislabelled=0.1,
    sensor_overlap=0.1,
    learning_delay_hours=12.0,
    churn=0.3,
    seen_again=0.5,
)


def columns_of(observation: Observation, names: list[str]) -> dict[str, Any]:
    return {name: getattr(observation, name) for name in names}


def test_lines_and_columns_are_the_same_observations() -> None:
    for batch in batches(EVERYTHING, 1):
        rows = batch.to_pylist()
        read = list(read_observations(to_lines(batch).splitlines()))
        assert len(read) == len(rows) > 500
        for row, observation in zip(rows, read, strict=True):
            assert isinstance(observation, Observation)
            assert columns_of(observation, list(row)) == row


def test_no_rows_are_no_lines() -> None:
    assert to_lines(next(batches(EVERYTHING, 1)).slice(0, 0)) == b""


def test_part_of_a_batch_is_its_lines() -> None:
    batch = next(batches(EVERYTHING, 1))
    assert to_lines(batch.slice(5, 7)) == b"".join(to_lines(batch).splitlines(keepends=True)[5:12])
