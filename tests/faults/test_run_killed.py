"""The whole service killed at a random moment, everything of it at once: one pass later all is as if nothing had been.

What may be left over is counted as well: no file that nothing names, nothing staged.
"""

import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from tests.cli.service import Service, deliver, spam
from tests.pipeline.mail import mbox_of
from tests.pipeline.stores import assert_same, contents, with_key

from whimbrel.listings.ledger import Ledger
from whimbrel.pipeline.places import ledger_place
from whimbrel.publishing.reading import with_overlay
from whimbrel.wire.snapshot import Snapshot

KILLS = int(os.environ.get("WHIMBREL_FAULTS", "5"))  # `make crash`: 100

# Ten minutes before any test here runs, and later in each place than in the one that is read before it: so the order of
# decisions is the same, whether the places are taken in by one turn or by several.
BEGAN = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=10)


def arrived(folder: Path) -> None:
    """Fill a maildir, an mbox and a folder: hosts that come once, and hosts that come again."""
    number = 0

    def some(count: int) -> list[bytes]:
        nonlocal number
        made = []
        for _ in range(count):
            number += 1
            host = f"91.{number % 7}.{number % 50}.7"
            made.append(spam(host, number=number, at=BEGAN + timedelta(seconds=number)))
        return made

    for content in some(300):
        deliver(folder / "Maildir", f"{number - 300:04}{content[-40:-30].hex()}{time.monotonic_ns()}", content)
    (folder / "box").write_bytes(mbox_of(some(40)))
    (folder / "reports").mkdir()
    for each, content in enumerate(some(20)):
        (folder / "reports" / f"{each:02}.eml").write_bytes(content)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], float]:
    """Return the folder of the mail, what a store says that took it in undisturbed, and how long that took."""
    folder = tmp_path_factory.mktemp("mail")
    arrived(folder)
    began = time.monotonic()
    data = tmp_path_factory.mktemp("undisturbed") / "data"
    once(folder, data)
    return folder, said(data), time.monotonic() - began


def settings(folder: Path, data: Path) -> Path:
    """Write the settings of a service on the mail of a folder, with its store in `data`."""
    service = Service(data.parent)
    place = '[[watch]]\npath = "{path}"\nkind = "{kind}"\nsensor = "mx1"\nlabel = "spam"\ntrust = ["192.0.2.0/24"]\n'
    kinds = {"Maildir": "maildir", "box": "mbox", "reports": "folder"}
    watch = "".join(place.format(path=folder / path, kind=kind) for path, kind in kinds.items())
    service.settings(watch=watch, cycle="analyse_seconds = 1.0")
    with_key(data)
    return service.config


def command(config: Path, *options: str) -> list[str]:
    program = "from whimbrel.cli import main; main()"
    return [sys.executable, "-c", program, "run", "--config", str(config), *options]


def once(folder: Path, data: Path) -> None:
    once_by(settings(folder, data))


def once_by(config: Path) -> None:
    """Take in all there is in one pass, which must succeed."""
    done = subprocess.run(command(config, "--once"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def said(data: Path) -> dict[str, Any]:
    """Return all that the store says, and the list that is published: target by target."""
    told = contents(data)
    del told["until"]  # when it was last decided
    at = datetime.now(UTC)
    with Ledger.open(ledger_place(data)) as ledger:
        told["listings"] = ledger.listings(at)
    path = data / "list.snapshot"
    snapshot = with_overlay(Snapshot(path.read_bytes()), path)
    hosts = [each.target for each in told["listings"] if "/" not in each.target]
    # Their ends are rounded by how long ago the snapshot was cut, so it is the codes that compare.
    found = {host: snapshot.find((4, int(ip_address(host))), at.timestamp()) for host in hosts}
    told["published"] = {host: None if entry is None else entry.code for host, entry in found.items()}
    return told


def kill_all_of_it(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process and all below it, as a machine that loses power does: nobody can tidy up after the others."""
    os.kill(process.pid, signal.SIGSTOP)  # so that it starts nothing more
    below = [process.pid]
    for pid in below:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            below += map(int, task.read_text().split())
    for pid in below:
        os.kill(pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("seed", range(KILLS))
def test_killed_at_a_random_moment(undisturbed: tuple[Path, dict[str, Any], float], tmp_path: Path, seed: int) -> None:
    folder, expected, took_seconds = undisturbed
    data = tmp_path / "data"
    config = settings(folder, data)
    chance = random.Random(seed)
    for _ in range(chance.choice((1, 1, 2))):
        with (tmp_path / "log").open("ab") as log:
            process = subprocess.Popen(command(config), stdout=subprocess.DEVNULL, stderr=log)
        time.sleep(chance.uniform(0.3, took_seconds))
        assert process.poll() is None, (tmp_path / "log").read_text()
        kill_all_of_it(process)
    once(folder, data)
    found = said(data)
    assert_same(found, expected)
    assert len(found["listings"]) > 40
    staged = list((data / "evidence" / "staging").iterdir())
    assert not staged
