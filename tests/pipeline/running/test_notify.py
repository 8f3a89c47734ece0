import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from whimbrel.pipeline.running.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, str]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.settimeout(5)
        name = str(tmp_path / "notify") if request.param == "path" else f"@{tmp_path}"
        bound.bind(name if request.param == "path" else f"\0{tmp_path}")
        yield bound, name


def test_what_it_is_told(manager: tuple[socket.socket, str]) -> None:
    bound, name = manager
    notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000000"})
    notifier.ready()
    notifier.status("reading")
    notifier.beat()
    notifier.beat()  # not twice in 15 seconds
    notifier.stopping()
    assert [bound.recv(100) for _ in range(4)] == [b"READY=1", b"STATUS=reading", b"WATCHDOG=1", b"STOPPING=1"]
    notifier.reloading()
    assert bound.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")


def test_without_a_watchdog_none_is_kept_quiet(manager: tuple[socket.socket, str]) -> None:
    bound, name = manager
    notifier = Notifier({"NOTIFY_SOCKET": name})
    notifier.beat()
    notifier.ready()
    assert bound.recv(100) == b"READY=1"


@pytest.mark.parametrize("name", ["", "/nowhere/at/all", "@whimbrel-tests-nobody"])
def test_where_nobody_listens_nothing_happens(name: str) -> None:
    Notifier({"NOTIFY_SOCKET": name}).ready()
