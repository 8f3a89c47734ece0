"""Seconds and peak memory of all verdicts, from a Parquet file: a process of its own, whose memory is its alone.

python bench/link_size.py FILE NOW          (a Parquet file of observations, an ISO instant; JSON on stdout)
"""

import json
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from whimbrel.analysis.links import Settings, judge
from whimbrel.worlds import World, batches

DATABASE_MEMORY = "1500MB"  # DuckDB spills to disk above it
_KIB = 1 << 10


def measure(world: World, seed: int, now: datetime) -> dict[str, Any]:
    """Write the world to a file, week by week, and have another process judge it."""
    with tempfile.TemporaryDirectory(prefix="bench-link-") as name:
        path = Path(name) / "observations.parquet"
        start, rows, writer = time.perf_counter(), 0, None
        for part in batches(world, seed):
            if writer is None:
                writer = pq.ParquetWriter(path, part.schema)
            writer.write(part)
            rows += part.num_rows
        if writer is not None:
            writer.close()
        generated = time.perf_counter() - start
        command = [sys.executable, __file__, str(path), now.isoformat()]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=name)
    told: dict[str, Any] = json.loads(done.stdout)
    return {"observations": rows, "generating_seconds": round(generated, 1), **told}


def main() -> None:
    """Judge a file and print what it took, imports included."""
    start = time.perf_counter()
    import ibis  # noqa: PLC0415 - its time counts

    path, now = Path(sys.argv[1]), datetime.fromisoformat(sys.argv[2])
    database = ibis.duckdb.connect(memory_limit=DATABASE_MEMORY)
    table = judge(database.read_parquet(path), Settings(), now)
    seconds = time.perf_counter() - start
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    found = [row for row in table.select(["claim", "verdict"]).to_pylist() if row["claim"] == "L2"]
    linked = sum(row["verdict"] in {"linked", "strongly linked"} for row in found)
    print(json.dumps({"seconds": round(seconds, 1), "mib": peak // _KIB, "pairs": len(found), "linked": linked}))


if __name__ == "__main__":
    main()
