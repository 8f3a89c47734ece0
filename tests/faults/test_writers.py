"""Two writers at once, and a store that another version wrote."""

import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.cli.running import WHIMBREL
from tests.faults.conftest import Ingest, asked, one_line
from tests.pipeline.conftest import Undisturbed

Same = Callable[[Path], None]


def test_of_two_writers_one_is_told_who_is_at_work_and_can_come_later(
    tmp_path: Path, undisturbed: Undisturbed, ingest: Ingest, same: Same
) -> None:
    store = tmp_path / "store"
    command = asked(store, undisturbed)
    # The first one reads standard input too, so that it is at work for as long as nobody closes that.
    waiting = subprocess.Popen(
        [*command, "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        due = time.monotonic() + 60
        while not any((store / "evidence").glob("write.lock")) and time.monotonic() < due:
            time.sleep(0.05)
        one_line(ingest(store), "is being written by another process", f"pid {waiting.pid}")
    finally:
        waiting.communicate(timeout=300)
    assert waiting.returncode == 0
    assert ingest(store).returncode == 0
    same(store)


def test_a_store_of_another_version_is_refused_by_every_command(tmp_path: Path, undisturbed: Undisturbed) -> None:
    store = tmp_path / "store"
    shutil.copytree(undisturbed.data_dir, store)
    with sqlite3.connect(store / "evidence" / "manifest.sqlite") as manifest:
        manifest.execute("UPDATE store SET value = '1.1' WHERE key = 'version'")
    manifest.close()
    for command in (["hosts"], ["status"], ["publish", "--zone", "bl.example"], asked(store, undisturbed)[1:-4]):
        asking = [str(WHIMBREL), *command, "--data", str(store)]
        ran = subprocess.run(asking, capture_output=True, text=True, check=False, timeout=60)
        one_line(ran, "manifest.sqlite", "1.1", "ingest again")
