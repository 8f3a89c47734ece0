"""Killed at any moment, a store holds all of a change or nothing, and a rerun ends where an undisturbed run would."""

import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests import forks

from whimbrel.evidence import Evidence

SCRIPT = Path(__file__).parent / "crash_script.py"
Append = Callable[..., dict[str, int]]


def run(folder: Path, work: str, fatal: int = 0) -> int | None:
    """Return the number of steps, or None where the process was killed at step `fatal`."""
    ended = forks.run(SCRIPT, folder, work, str(fatal))
    if ended.returncode == -signal.SIGKILL:
        return None
    assert ended.returncode == 0, ended.stderr.decode()
    return int(ended.stdout.split()[1])


def contents(folder: Path) -> dict[str, Any]:
    with Evidence.open(folder) as store:
        counts = store.counts()
        return {
            "facts": store.facts().drop_columns(["recipients", "recipient_key_id"]).sort_by("message_id"),
            "observations": store.observations().sort_by("id"),
            "order": [each for batch in store.in_decision_order() for each in batch["id"].to_pylist()],
            "hosts": store.derived("hosts"),
            "chunks": counts.ingested_chunks,
            "rows": (counts.facts.rows, counts.observations.rows),
        }


def assert_tidy(folder: Path) -> None:
    """Opening for writing leaves no file that the manifest does not name, and no draft."""
    with Evidence.open(folder, write=True) as store:
        known = store._manifest.known_paths()
    on_disk = {path.relative_to(folder / "evidence").as_posix() for path in folder.rglob("*.parquet")}
    assert on_disk <= known
    assert not list(folder.rglob(".draft-*"))


def fatal_steps(steps: int, seed: int) -> list[int]:
    """One of the last steps, where a commit is past, and two random earlier ones."""
    return sorted({steps - 1, *random.Random(seed).sample(range(1, steps - 1), 2)})


def test_an_ingest_killed_at_any_step_is_all_or_nothing_and_ends_the_same(tmp_path: Path) -> None:
    steps = run(tmp_path / "undisturbed", "ingest")
    assert steps is not None
    undisturbed = contents(tmp_path / "undisturbed")
    assert undisturbed["rows"] == (80, 80)
    for fatal in fatal_steps(steps, seed=1):
        folder = tmp_path / str(fatal)
        assert run(folder, "ingest", fatal) is None
        after = contents(folder)
        assert (after["rows"], after["chunks"]) in {((0, 0), 0), ((80, 80), 4)}, fatal
        assert_tidy(folder)
        assert run(folder, "ingest") is not None
        assert contents(folder) == undisturbed, fatal


@pytest.mark.parametrize("work", ["compact", "replace"])
def test_a_swap_killed_at_any_step_is_all_or_nothing(tmp_path: Path, work: str, append: Append) -> None:
    origin = tmp_path / "origin"
    with Evidence.open(origin, write=True) as store:
        for start in range(0, 60, 20):
            append(store, range(start, start + 20))
        hosts = {name: pa.table({"n": [1]}) for name in ("a", "b")}
        store.replace("hosts", hosts, stage="hosts", version=1)
    before = contents(origin)
    shutil.copytree(origin, tmp_path / "undisturbed")
    steps = run(tmp_path / "undisturbed", work)
    assert steps is not None
    undisturbed = contents(tmp_path / "undisturbed")
    for fatal in fatal_steps(steps, seed=2):
        folder = tmp_path / str(fatal)
        shutil.copytree(origin, folder)
        assert run(folder, work, fatal) is None
        assert contents(folder) in (before, undisturbed), fatal
        assert_tidy(folder)
        assert contents(folder) in (before, undisturbed), fatal


def test_a_writer_killed_at_a_random_moment_can_be_run_again(tmp_path: Path) -> None:
    moments = random.Random(3)
    folder = tmp_path / "killed"
    for _ in range(2):
        command = [sys.executable, str(SCRIPT), str(folder), "ingest", "0"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as writer:
            time.sleep(0.3 + moments.random() * 0.4)  # start-up is about 0.4 s, the work 0.1 s
            writer.kill()
    assert run(folder, "ingest") is not None
    run(tmp_path / "undisturbed", "ingest")
    assert contents(folder) == contents(tmp_path / "undisturbed")
