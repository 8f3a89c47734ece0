"""Stock name servers hold a copy of the list: they take it, hear of changes, and get none without the right key."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import dns.tsig
import pytest
from tests.cli.running import WHIMBREL, lines_of, run
from tests.software.conftest import NOW, SEEN, MakeMachine
from tests.software.machine import Machine, snippet

SECRET = "bWFrZSB5b3VyIG93biwgYW55Ym9keSBrbm93cyB0aGlzIQ=="  # as in the files of docs/software/
WRONG = "d3JvbmcgYW5kIHdyb25nIGFuZCB3cm9uZyBhbmQgd3Jvbmch"
KEY = dns.tsig.Key("secondary.example", SECRET)
PATIENCE_SECONDS = 20.0
LATER = "2026-03-02T00:01:00Z"

pytestmark = pytest.mark.debian


class Primary:
    """A list, served to the secondary of a machine."""

    def __init__(self, machine: Machine, data: Path) -> None:
        self._machine = machine
        self._data = data
        keys = data / "transfer.keys"
        keys.write_text(f"hmac-sha256:secondary.example:{SECRET}\n")
        keys.chmod(0o600)
        serve = (WHIMBREL, "serve", "--listen", "127.0.0.1:5300", "--snapshot", data / "list.snapshot", "--now", NOW)
        transfers = ("--transfer-keys", keys, "--transfer-to", "127.0.0.1", "--notify", "secondary.example@127.0.0.1")
        machine.start(*serve, *transfers, port=5300)

    def lists(self, host: str) -> None:
        """Publish another list, on which there is a host more."""
        observed = {**SEEN, "host": host, "kind": "message", "label": "spam"}
        (self._data / "more.jsonl").write_bytes(lines_of([observed]))
        assert run("observe", self._data / "more.jsonl", "--now", LATER, data=self._data).code == 0
        assert run("publish", "--now", LATER, data=self._data).code == 0

    def says(self, text: str) -> None:
        """Wait until the log says something."""
        self._machine.await_text(text, "/run/log/whimbrel")


@pytest.fixture
def serve_to(published: Path, tmp_path: Path) -> Callable[[Machine], Primary]:
    shutil.copytree(published.parent, tmp_path / "data")
    return lambda machine: Primary(machine, tmp_path / "data")


def await_answer(machine: Machine, name: str, records: list[str] | None) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            if machine.look_up(name) == records:
                return
        except AssertionError:  # SERVFAIL, or REFUSED: it has no zone yet
            assert time.monotonic() < end
        assert time.monotonic() < end, machine.look_up(name)
        time.sleep(0.1)


def holds_a_copy(machine: Machine, primary: Primary) -> None:
    await_answer(machine, "1.2.0.192", ["127.0.0.2"])
    assert machine.look_up("4.113.0.203") == ["127.0.0.4"]
    assert machine.look_up("7.100.51.198") is None
    (text,) = machine.look_up("1.2.0.192", "TXT") or []
    assert "192.0.2.1 is listed as spam source" in text
    # A listed /64 is a wildcard.
    assert machine.look_up("5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2") == ["127.0.0.2"]
    assert machine.look_up("5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.3.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2") is None
    primary.says("to 127.0.0.1: whole")


def hears_of_changes(machine: Machine, primary: Primary) -> None:
    primary.lists("192.0.2.77")
    await_answer(machine, "77.2.0.192", ["127.0.0.2"])
    assert machine.look_up("1.2.0.192") == ["127.0.0.2"]
    primary.says(" names changed since ")
    primary.says("knows of list")


def strangers_get_nothing(machine: Machine, primary: Primary) -> None:
    asked = dns.message.make_query("bl.example.", "AXFR")
    asked.use_tsig(KEY)
    response = machine.inside(dns.query.tcp, asked, "127.0.0.1", port=5300, source="198.51.100.7", timeout=10)
    assert response.rcode() == dns.rcode.REFUSED
    primary.says("AXFR of bl.example refused to 198.51.100.7: the address may not ask for it")


def start_knot(machine: Machine, secret: str) -> None:
    machine.write("/etc/knot/knot.conf", snippet("knot-secondary.conf").replace(SECRET, secret))
    machine.run("install", "-d", "-o", "knot", "-g", "knot", "/run/knot", "/var/lib/knot")
    machine.start("knotd", port=53)


def start_nsd(machine: Machine, secret: str) -> None:
    machine.write("/etc/nsd/nsd.conf.d/whimbrel.conf", snippet("nsd-secondary.conf").replace(SECRET, secret))
    machine.run("install", "-d", "-o", "nsd", "-g", "nsd", "/run/nsd", "/var/lib/nsd")
    machine.start("nsd", "-d", port=53)


def start_bind(machine: Machine, secret: str) -> None:
    machine.write("/etc/bind/named.conf", snippet("bind-secondary.conf").replace(SECRET, secret))
    machine.run("install", "-d", "-o", "bind", "-g", "bind", "/var/cache/bind", "/run/named")
    machine.start("named", "-g", "-u", "bind", "-c", "/etc/bind/named.conf", port=53)


def start_powerdns(machine: Machine, secret: str) -> None:
    machine.write("/etc/powerdns/pdns.conf", snippet("powerdns-secondary.conf"))
    machine.run("install", "-d", "-o", "pdns", "-g", "pdns", "/var/lib/powerdns", "/run/pdns")
    machine.run("sh", "-e", stdin=snippet("powerdns-secondary.sh").replace(SECRET, secret))
    machine.start("pdns_server", "--guardian=no", "--daemon=no", "--disable-syslog", port=53)


START = {"knot": start_knot, "nsd": start_nsd, "bind": start_bind, "powerdns": start_powerdns}


@pytest.mark.parametrize("software", START)
def test_a_secondary_holds_a_copy_and_hears_of_changes(
    software: str, machine: MakeMachine, serve_to: Callable[[Machine], Primary]
) -> None:
    secondary = machine(software, resolver=False)
    primary = serve_to(secondary)
    START[software](secondary, SECRET)
    holds_a_copy(secondary, primary)
    hears_of_changes(secondary, primary)
    strangers_get_nothing(secondary, primary)


@pytest.mark.parametrize("software", START)
def test_a_wrong_key_gets_nothing(software: str, machine: MakeMachine, serve_to: Callable[[Machine], Primary]) -> None:
    secondary = machine(software, resolver=False)
    primary = serve_to(secondary)
    START[software](secondary, WRONG)
    primary.says("refused to 127.0.0.1: signed with secondary.example: the signature does not hold")
    with pytest.raises(AssertionError, match=r"rcode (SERVFAIL|REFUSED)"):
        secondary.look_up("1.2.0.192")
