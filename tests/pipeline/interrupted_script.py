"""Run by test_ingest.py in a process of its own, which dies at the n-th step that changes the disk.

Arguments: the step to die at (0: none), the data folder, the index of labels, the paths.  Prints JSON: at which step
each stage began, and how many steps there were.  Steps are the calls through which evidence changes files, and the SQL
of manifest and ledger.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy

from whimbrel.evidence import Evidence
from whimbrel.evidence.manifest import Manifest
from whimbrel.pipeline import ingest as ingest_module

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.pipeline.stores import ingested

FATAL, DATA_DIR, LABELS, *PATHS = sys.argv[1:]
taken = 0
began: dict[str, int] = {}


def step(*_: object) -> None:
    global taken  # noqa: PLW0603 - one counter for one process
    taken += 1
    if taken == int(FATAL):
        os.kill(os.getpid(), signal.SIGKILL)


def before(owner: Any, name: str, do: Callable[..., object]) -> None:
    original: Callable[..., Any] = getattr(owner, name)

    def watched(*given: Any, **named: Any) -> Any:
        do(*given)
        return original(*given, **named)

    setattr(owner, name, watched)


def main() -> None:
    for owner, name in ((os, "open"), (os, "fsync"), (Path, "rename"), (Path, "unlink")):
        before(owner, name, step)
    before(Manifest, "transaction", lambda manifest: manifest.db.set_trace_callback(step))
    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", step)
    sqlalchemy.event.listen(sqlalchemy.Engine, "commit", step)
    for stage in ("settle", "analyse", "decide"):
        before(ingest_module, stage, lambda *_, stage=stage: began.setdefault(stage, taken))
    before(Evidence, "compact", lambda *_: began.setdefault("compact", taken))
    ingested(Path(DATA_DIR), PATHS, labels=LABELS)
    sys.stdout.write(json.dumps({**began, "end": taken}))


if __name__ == "__main__":
    main()
