"""A running server as `whimbrel top` shows it, and what of its clients and subscribers it does not show."""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import pytest
from tests.cli.running import WHIMBREL, refused, run
from tests.listed import listing

from whimbrel.cli.top import summary
from whimbrel.model.listing import Code
from whimbrel.nameserver import Counters
from whimbrel.nameserver.guards.counts import Count
from whimbrel.nameserver.statistics import gathered
from whimbrel.publishing import Entries, write_snapshot

KEY = "abcdefghijklmnopqrstuvwx23"


@contextmanager
def serving(snapshot: Path, *options: str) -> Iterator[tuple[int, list[str]]]:
    """Run `whimbrel serve` on the list; gives its port, and at the end what it logged."""
    command = [str(WHIMBREL), "serve", "--snapshot", str(snapshot), "--listen", "127.0.0.1:0", "--json", *options]
    logged: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        assert line, server.communicate()[1]
        try:
            yield json.loads(line)["listening"][0]["port"], logged
        finally:
            server.send_signal(signal.SIGTERM)
            logged.append(server.communicate(timeout=30)[1])


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    path = tmp_path / "list.snapshot"
    now = datetime.now(UTC)
    entries = Entries.of([listing("192.0.2.1", Code.INFECTED, now, 3600)])
    expires = now + timedelta(days=1)
    write_snapshot(path, entries.moment().snapshot(zone="bl.example", serial=1, born=now, expires=expires))
    return path


def asked(port: int, name: str) -> list[str]:
    response = dns.query.udp(dns.message.make_query(name, "A"), "127.0.0.1", port=port, timeout=5)
    return [record.to_text() for rrset in response.answer for record in rrset]


def shown(folder: Path, **expected: Any) -> dict[str, Any]:
    """Return what `top` shows, once it shows what is expected."""
    due = time.monotonic() + 30
    while True:
        (told,) = run("top", "--once", "--every", "0.2", "--json", data=folder).rows()
        if all(told[key] == value for key, value in expected.items()):
            return dict(told)
        assert time.monotonic() < due, told


def test_what_a_server_did_is_shown(tmp_path: Path, snapshot: Path) -> None:
    subscribers = tmp_path / "subscribers"
    subscribers.write_text(f"acme {KEY} 2\n")
    subscribers.chmod(0o600)
    options = ("--exempt", "none", "--rate-limit", "5", "--slip", "0", "--subscribers", str(subscribers))
    with serving(snapshot, *options) as (port, logged):
        assert [asked(port, f"1.2.0.192.{KEY}.bl.example.") for _ in range(3)] == [
            ["127.0.0.4"],
            ["127.0.0.4"],
            ["127.255.255.255"],
        ]
        assert asked(port, "1.0.0.127.bl.example.") == []
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
            for _ in range(7):
                flood.sendto(dns.message.make_query("1.2.0.192.bl.example.", "A").to_wire(), ("127.0.0.1", port))
        told = shown(tmp_path, queries={"udp": 11, "tcp": 0})
        text = run("top", "--once", "--every", "0.1", data=tmp_path).out
    assert told["codes"] == {"127.0.0.4": 4, "127.255.255.255": 1}
    assert told["rcodes"] == {"NOERROR": 5, "NXDOMAIN": 1}
    assert told["dropped"] == {"unanswerable": 0, "limited": 5, "unsent": 0, "overflow": 0, "overflow_known": 0}
    assert told["subscribers"] == {"acme": {"used": 3, "limit": 2}}
    assert list(told["clients"]) == list(told["limited"]) == ["127.0.0.0/24"]
    assert 0 < told["p50_seconds"] <= told["p999_seconds"]
    assert not told["is_silent"]
    for words in ("11 UDP", "127.0.0.4", "limited", "acme", "3 of 2", "127.0.0.0/24"):
        assert words in text
    statistics = tmp_path / "serving.statistics"
    assert statistics.stat().st_mode & 0o777 == 0o600
    everything = "".join(logged) + text + statistics.read_text()
    assert KEY not in everything.lower()


def test_a_server_that_tells_nowhere_says_so_once(tmp_path: Path, snapshot: Path) -> None:
    with serving(snapshot, "--statistics", str(tmp_path / "none" / "file")) as (_, logged):
        time.sleep(3.5)
    assert "".join(logged).count("cannot be written") == 1


def test_settings_that_are_no_good_are_one_line(tmp_path: Path, snapshot: Path) -> None:
    serve = ("serve", "--snapshot", snapshot, "--listen", "127.0.0.1:0")
    refused(run(*serve, "--deny", "10.0.0.1/8", data=tmp_path), "'10.0.0.1/8' is no network")
    refused(run(*serve, "--cookie-secrets", tmp_path / "x", data=tmp_path), "x: cannot be read")
    refused(run(*serve, "--user", "whimbrel-no-such", data=tmp_path), "there is no user")
    refused(run("top", data=tmp_path / "none"), "no statistics there", "whimbrel serve")


def test_rates_are_of_the_while_between() -> None:
    counters = Counters()
    counters.counts.totals[Count.UDP] = 100
    before = gathered(counters, 10.0)
    counters.counts.totals[[Count.UDP, Count.TCP]] = 150, 50
    now = gathered(counters, 12.0)
    assert summary(now, before)["queries_per_second"] == 50.0
    assert summary(now, now)["queries_per_second"] == 0.0
    assert summary(now, before)["is_silent"]
