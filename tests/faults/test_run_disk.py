"""A disk that fills up under the whole service while mail arrives, and has room again later.

Meanwhile it says what fails and answers on; afterwards all is as if nothing had been.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.cli.running import WHIMBREL, Ran, refused
from tests.cli.service import Asking, Service, deliver, spam, until
from tests.faults.conftest import COUNT
from tests.faults.test_run_killed import once_by, said
from tests.pipeline.stores import assert_same, with_key

pytestmark = [
    pytest.mark.debian,
    pytest.mark.skipif(os.geteuid() != 0, reason="a file system of its own needs root"),
]

# What is left of the disk when a lot of mail arrives: nothing, where it cannot even be staged, up to where evidence
# and decisions fit and the list does not.
ROOMS_KB = range(0, 40 * min(2 * COUNT, 16), 40)

# As in the tests of a service that is killed.
BEGAN = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=10)
LOT = 40

FULL = ("No space left on device", "disk is full")


class Disk:
    """The file system of a service's store, which a ballast fills up; it stays until `close`, after the service too."""

    def __init__(self, service: Service) -> None:
        self._held = os.open(f"/proc/{service.process.pid}/root{service.data}", os.O_RDONLY)
        self.folder = Path(f"/proc/self/fd/{self._held}")
        self._ballast = self.folder / "ballast"

    def leave(self, room_kb: int) -> None:
        """Leave so much room and no more."""
        found = os.statvfs(self.folder)
        with self._ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, found.f_bavail * found.f_bsize - room_kb * 1024)

    def clear(self) -> None:
        self._ballast.unlink()

    def close(self) -> None:
        os.close(self._held)


@pytest.fixture
def program(debian_program: Callable[[str, str], str], tmp_path: Path) -> Sequence[str]:
    """Whimbrel with a small file system of its own for its store, in a namespace of its own."""
    data = tmp_path / "data"
    data.mkdir()
    with_key(tmp_path / "data.before")
    mounted = 'mount -t tmpfs -o size=8m none "$0" && cp -a "$0.before/." "$0" && exec "$@"'
    return [debian_program("unshare", "util-linux"), "--mount", "sh", "-c", mounted, str(data), str(WHIMBREL)]


def lot(number: int) -> dict[str, bytes]:
    """Return messages by their hosts, later than those of the lots before, and of other networks."""
    hosts = {f"91.{number}.{place}.7": LOT * number + place for place in range(LOT)}
    return {host: spam(host, number=each, at=BEGAN + timedelta(seconds=each)) for host, each in hosts.items()}


def delivered(service: Service, number: int) -> list[str]:
    """Deliver a lot, and return its hosts."""
    mail = lot(number)
    for place, content in enumerate(mail.values()):
        deliver(service.maildir, f"{number:02}.{place:02}", content)
    return list(mail)


def reasons(service: Service) -> list[str]:
    """Return why the service is not ready."""
    said: list[str] = json.loads(service.page("/readyz")[1])["reasons"]
    return said


def taken_in(folder: Path, maildir: Path) -> dict[str, Any]:
    """Return what the store in a folder says when one pass has taken in all that lies in a maildir."""
    service = Service(folder)
    shutil.rmtree(service.maildir)
    service.maildir.symlink_to(maildir)
    with_key(service.data)
    once_by(service.config)
    return said(service.data)


def test_mail_that_meets_a_full_disk_is_taken_in_when_there_is_room(program: Sequence[str], tmp_path: Path) -> None:
    service = Service(tmp_path, program=program)
    with service:
        disk = Disk(service)
        with Asking(service, "127.0.0.2"):
            for number, room_kb in enumerate(ROOMS_KB):
                disk.leave(room_kb)
                faults = service.metric("whimbrel_faults_total")
                hosts = delivered(service, number)
                until(lambda: bool(reasons(service)), f"{room_kb} KB are not enough, and it says so")
                assert service.metric("whimbrel_faults_total") > faults
                disk.clear()
                for host in hosts:
                    until(partial(service.is_listed_itself, host), f"all is listed after {room_kb} KB")
                until(lambda: not reasons(service), "it is well again")
        disk.leave(0)
        delivered(service, len(ROOMS_KB))
        until(lambda: bool(reasons(service)), "the disk is full once more, and so it ends")
    errors = [line for line in service.logged() if line["level"] == "error"]
    failed = {line["step"] for line in errors}
    assert "ingest" in failed
    assert failed & {"decide", "publish"}
    for line in errors:
        assert any(words in line["message"] for words in FULL), line
    disk.clear()
    shutil.copytree(disk.folder, tmp_path / "mended" / "data")
    disk.close()
    (tmp_path / "other").mkdir()
    found, expected = (taken_in(tmp_path / each, service.maildir) for each in ("mended", "other"))
    assert len(expected["observations"]) == LOT * (len(ROOMS_KB) + 1)
    assert_same(found, expected)


def test_on_a_disk_without_room_for_a_store_it_refuses_to_start(program: Sequence[str], tmp_path: Path) -> None:
    service = Service(tmp_path)
    tiny = [word.replace("size=8m", "size=64k") for word in program]
    done = subprocess.run([*tiny, "run", "--config", service.config], capture_output=True, text=True, check=False)
    refused(Ran(done.returncode, done.stdout, done.stderr))
    assert any(words in done.stderr for words in FULL)
