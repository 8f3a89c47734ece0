"""Placebos move sendings and nothing else, whatever columns the observations say may be null."""

from collections import Counter
from pathlib import Path

import ibis
import pyarrow as pa

from whimbrel.analysis.links.placebos import campaigns_swapped
from whimbrel.worlds import generate, read_world

WORLD = Path(__file__).resolve().parents[3] / "worlds" / "demo.toml"


def test_a_swap_moves_sendings_within_networks_and_keeps_everything_else() -> None:
    table = generate(read_world(WORLD), 1)
    swapped = campaigns_swapped(ibis.memtable(table)).to_pyarrow()
    assert swapped.num_rows <= table.num_rows
    assert _rest(swapped) == _rest(table)
    before, after = _sendings(table), _sendings(swapped)
    assert before.total() >= after.total() > 0.9 * before.total()  # who is alone in his network has nobody to swap with
    assert before != after
    assert {campaign for _, campaign in after} == {campaign for _, campaign in before}


def _sendings(table: pa.Table) -> Counter[tuple[str, str]]:
    rows = table.select(["host", "campaign", "kind", "family"]).to_pylist()
    return Counter((row["host"], row["campaign"]) for row in rows if _is_sending(row))


def _rest(table: pa.Table) -> Counter[tuple[str, str, str | None]]:
    rows = table.select(["host", "kind", "family", "campaign"]).to_pylist()
    return Counter((row["host"], row["kind"], row["family"]) for row in rows if not _is_sending(row))


def _is_sending(row: dict[str, str | None]) -> bool:
    return row["campaign"] is not None and row["family"] is None and row["kind"] != "infection"
