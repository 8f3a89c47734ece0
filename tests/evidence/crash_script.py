"""Run by test_crash.py in a process of its own, which dies at the n-th step that changes the disk.

Arguments: the data folder, the work to do (`ingest`, `compact`, `replace`), and the step to die at (0: none).  Prints
`done N`, N being the number of steps.  Steps are the calls through which the store changes files, and its SQL.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from whimbrel.evidence import Evidence


class Steps:
    """Counts steps and kills this process, as kill -9 does, just before and halfway through the chosen one."""

    def __init__(self, fatal: int) -> None:
        self.fatal = fatal
        self.taken = 0

    def take(self) -> bool:
        self.taken += 1
        return self.taken == self.fatal

    def watch(self, owner: Any, name: str) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        def watched(*given: Any, **named: Any) -> Any:
            if self.take():
                if name == "write":  # half of it reaches the disk
                    original(given[0], bytes(given[1])[: len(given[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*given, **named)

        setattr(owner, name, watched)


def ingest(store: Evidence, readings: Callable[[int], Any], observations: Callable[[list[int]], pa.Table]) -> None:
    for chunk in range(4):
        key = f"chunk{chunk}"
        if not store.is_ingested(key) and not store.is_staged(key):
            store.stage(key, "made", [readings(n) for n in range(chunk * 20, chunk * 20 + 20)])
    with store.batch("crash", chunks=store.staged_keys()) as batch:
        for table in store.staged():
            batch.facts(table)
        batch.observations(observations(list(range(80))))
        store.remember("mark", str(batch.number))


def main() -> None:
    folder, work, fatal = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    sys.path.insert(0, str(Path(__file__).parent))
    from conftest import Made  # type: ignore[import-not-found]  # noqa: PLC0415 - found once the path is set

    made = Made()
    steps = Steps(fatal)
    with Evidence.open(folder, write=True) as store:
        for name in ("write", "fsync", "open"):
            steps.watch(os, name)
        for name in ("rename", "unlink"):
            steps.watch(Path, name)
        store._manifest.db.set_trace_callback(lambda _: os.kill(os.getpid(), signal.SIGKILL) if steps.take() else None)
        if work == "ingest":
            ingest(store, made.reading, made.observations)
        elif work == "compact":
            store.compact(min_files=2)
        else:
            store.replace("hosts", {"a": pa.table({"n": [2]}), "b": pa.table({"n": [2]})}, stage="hosts", version=2)
    sys.stdout.write(f"done {steps.taken}\n")


if __name__ == "__main__":
    main()
