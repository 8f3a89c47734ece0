"""A name server that dies, hangs, or cannot be started: here a few lines of Python that behave like one."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from whimbrel.pipeline.running import child
from whimbrel.pipeline.running.child import NameServer
from whimbrel.pipeline.running.metrics import Metrics

BEGINS = "import os, sys, time; print('{\"listening\": []}', flush=True); "
REPORTS = 'print(\'{"counts": {"queries udp": 2}, "serial": 7}\', flush=True); '
WAITS = "sys.stdin.read()"


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def started(metrics: Metrics) -> Iterator[Callable[[str], NameServer]]:
    servers = []

    def start(program: str, python: str = sys.executable) -> NameServer:
        server = NameServer(lambda: [python, "-c", program], [], metrics)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.end()


def until(true: Callable[[], object]) -> None:
    due = time.monotonic() + 20
    while not true():
        assert time.monotonic() < due
        time.sleep(0.01)


def test_it_is_listened_to(started: Callable[[str], NameServer], metrics: Metrics) -> None:
    server = started(BEGINS + "print('no JSON', flush=True); " + REPORTS + WAITS)
    until(lambda: server.is_answering and server.serial == 7)
    assert metrics.sum("dns_queries_total") == 2
    pid = server.pid
    server.end()
    assert metrics.sum("dns_queries_total") == 2
    assert metrics.sum("name_server_restarts_total") == 0
    assert server.pid is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid or 0, 0)


def test_one_that_dies_is_started_again_later_and_later(
    started: Callable[[str], NameServer], metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "FIRST_WAIT_SECONDS", 0.01)
    server = started(BEGINS + REPORTS + "sys.exit(3)")
    until(lambda: metrics.sum("name_server_restarts_total") >= 3)
    assert metrics.sum("dns_queries_total") >= 6
    server.end()
    count = metrics.sum("name_server_restarts_total")
    time.sleep(0.2)
    assert metrics.sum("name_server_restarts_total") == count


def test_one_that_says_nothing_any_more_is_killed_and_started_again(
    started: Callable[[str], NameServer], metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = started(BEGINS + WAITS)
    until(lambda: server.is_answering)
    first = server.pid
    server.check()  # it spoke a moment ago
    assert server.pid == first
    monkeypatch.setattr(child, "SILENT_SECONDS", 0.0)
    server.check()
    monkeypatch.setattr(child, "SILENT_SECONDS", 15.0)
    until(lambda: server.pid not in {first, None} and server.is_answering)
    assert metrics.sum("name_server_restarts_total") == 1


def test_one_that_does_not_end_when_told_is_killed(
    started: Callable[[str], NameServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "END_SECONDS", 0.2)
    ignores = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    server = started(ignores + BEGINS + "time.sleep(60)")
    until(lambda: server.is_answering)
    pid = server.pid
    server.end()
    until(lambda: not _exists(pid))


def test_one_that_cannot_be_started_is_tried_again(metrics: Metrics, caplog: pytest.LogCaptureFixture) -> None:
    server = NameServer(lambda: ["/nowhere/python"], [], metrics)
    server.start()
    until(lambda: metrics.sum("name_server_restarts_total") >= 1)
    server.end()
    assert "cannot be started: No such file" in caplog.text


def test_it_ends_with_the_process_that_started_it(started: Callable[[str], NameServer]) -> None:
    """Its standard input ends then; Ctrl-C in a terminal does not reach it, for its session is its own."""
    server = started(BEGINS + WAITS)
    until(lambda: server.is_answering)
    assert server.pid is not None
    assert os.getsid(server.pid) == server.pid
    os.kill(server.pid, signal.SIGTERM)


def _exists(pid: int | None) -> bool:
    try:
        os.kill(pid or 0, 0)
    except ProcessLookupError:
        return False
    return True
