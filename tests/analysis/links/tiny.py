"""A tiny generator of its own: infected hosts that send campaigns at planted odds."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from whimbrel.model.columns import INSTANT, OBSERVATIONS

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
WEEK_US = 7 * 86_400 * 1_000_000
TEXTS = ("sensor", "host", "kind", "label_basis", "campaign", "campaign_basis", "family", "method", "prefix")
Row = dict[str, Any]


class _Rows:
    def __init__(self) -> None:
        self.parts: list[pa.Table] = []

    def add(self, host: np.ndarray, week: int, dice: np.random.Generator, **texts: str | list[str] | None) -> None:
        at = int(MONDAY.timestamp()) * 1_000_000 + week * WEEK_US + dice.integers(0, WEEK_US, host.size)
        times = pa.array(at).cast(INSTANT)
        columns = {"seen_at": times, "learned_at": times, "count": pa.array(np.ones(host.size, dtype=np.int64))}
        columns["asn"] = pa.array(host % 5)
        columns |= {name: pa.nulls(host.size, pa.string()) for name in TEXTS}
        columns["host"] = pa.array([f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in host.tolist()])
        for name, value in ({"sensor": "s1"} | texts).items():
            values = value if isinstance(value, list) else [value] * host.size
            columns[name] = pa.array(values, pa.string())
        self.parts.append(pa.table(columns))


def observations_of(rows: list[Row]) -> pa.Table:
    """Return observations of which only what matters was written down."""
    whole = [
        dict.fromkeys(OBSERVATIONS.names)
        | {"id": number.to_bytes(16, "big"), "label": "unknown", "count": 1, "learned_at": row["seen_at"]}
        | row
        for number, row in enumerate(rows)
    ]
    return pa.Table.from_pylist(whole, schema=OBSERVATIONS)


def tiny_world(
    *,
    odds_ratio: float = 1.0,
    hosts: int = 3_000,
    families: int = 6,
    weeks: int = 5,
    rate: float = 0.02,
    seed: int = 0,
    method: str | None = "sinkhole",
) -> pa.Table:
    """Return hosts of equal families, of which W (the first) sends C1 at `odds_ratio`."""
    dice, rows = np.random.default_rng(seed), _Rows()
    numbers = np.arange(hosts)
    family = dice.integers(0, families, hosts)
    names = ["W", *(f"F{k}" for k in range(1, families))]
    rows.add(numbers, 0, dice, kind="infection", family=[names[k] for k in family], method=method)
    for week in range(1, weeks):
        rows.add(numbers[dice.random(hosts) < 0.7], week, dice, kind="connection")
        for campaign in ("C1", "C2"):
            linked = (family == 0) & (campaign == "C1")
            odds = rate / (1 - rate) * np.where(linked, odds_ratio, 1.0)
            rows.add(numbers[dice.random(hosts) < odds / (1 + odds)], week, dice, kind="message", campaign=campaign)
    return pa.concat_tables(rows.parts)
