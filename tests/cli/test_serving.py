"""From a store to answers over DNS, through the real commands: asked as mail servers and resolvers ask."""

import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest
from tests.cli.conftest import Store
from tests.cli.running import WHIMBREL, lines_of, run

ZONE = "bl.example"
NOW = "2002-09-01"


@contextmanager
def serving(snapshot: Path, *, now: str = NOW) -> Iterator[int]:
    """Run `whimbrel serve` and give its port; at the end it must stop as told, with code 0."""
    command: list[str | Path] = [
        WHIMBREL,
        "serve",
        "--snapshot",
        snapshot,
        "--listen",
        "127.0.0.1:0",
        "--listen",
        "[::1]:0",
    ]
    with subprocess.Popen(
        [*command, "--now", now, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        port = json.loads(server.stdout.readline())["listening"][0]["port"]
        try:
            yield port
        finally:
            server.send_signal(signal.SIGTERM)
            _, said = server.communicate(timeout=30)
        assert server.returncode == 0
        assert "UDP" in said


def published(store: Store, path: Path, *, now: str = NOW) -> None:
    assert run("publish", "--zone", ZONE, "--out", path, "--now", now, data=store.data).code == 0


def name_of(address: str) -> str:
    return ".".join(reversed(address.split("."))) + f".{ZONE}."


def asked(
    port: int, name: str, type_: str = "A", *, tcp: bool = False, address: str = "127.0.0.1"
) -> dns.message.Message:
    query = dns.message.make_query(name, type_)
    return (dns.query.tcp if tcp else dns.query.udp)(query, address, port=port, timeout=5)


def listed_hosts(store: Store) -> list[str]:
    rows = run("listings", "--json", "--limit", "0", "--now", NOW, data=store.data).rows()
    return [row["target"] for row in rows if "/" not in row["target"]]


def test_listed_unlisted_and_test_addresses(tmp_path: Path, store: Store) -> None:
    snapshot = tmp_path / "list.snapshot"
    published(store, snapshot)
    with serving(snapshot) as port:
        for host in listed_hosts(store)[:20]:
            for tcp, address in ((False, "127.0.0.1"), (True, "127.0.0.1"), (False, "::1")):
                answer = asked(port, name_of(host), tcp=tcp, address=address)
                assert answer.flags & dns.flags.AA
                assert str(answer.answer[0][0]).startswith("127.0.0.")
                assert 1 <= answer.answer[0].ttl <= 300
            reason = str(asked(port, name_of(host), "TXT").answer[0][0])
            assert host in reason
            assert "whimbrel why" in reason
        assert asked(port, name_of("198.18.0.1")).rcode() == dns.rcode.NXDOMAIN
        assert asked(port, name_of("127.0.0.1")).rcode() == dns.rcode.NXDOMAIN
        for code in (2, 3, 4, 5, 6, 9, 10):
            assert str(asked(port, name_of(f"127.0.0.{code}")).answer[0][0]) == f"127.0.0.{code}"
        mapped = "2.0.0.0.0.0.f.7.f.f.f.f." + "0." * 20
        assert str(asked(port, mapped + ZONE + ".").answer[0][0]) == "127.0.0.2"
        assert asked(port, "example.com.").rcode() == dns.rcode.REFUSED


def test_a_new_list_is_taken_up_without_losing_a_query(tmp_path: Path, store: Store) -> None:
    """Before, a host is listed; the new list is of a day when nothing is: every query has one answer or the other."""
    snapshot = tmp_path / "list.snapshot"
    published(store, snapshot)
    name = name_of(listed_hosts(store)[0])
    answers: list[int] = []
    stop = threading.Event()

    def ask_on(port: int) -> None:
        while not stop.is_set() and len(answers) < 20_000:
            answers.append(asked(port, name).rcode())

    with serving(snapshot) as port:
        asking = threading.Thread(target=ask_on, args=(port,))
        asking.start()
        time.sleep(0.5)
        published(store, snapshot, now="2004-01-01")
        due = time.monotonic() + 5
        while dns.rcode.NXDOMAIN not in answers[-1:] and time.monotonic() < due:
            time.sleep(0.02)
        stop.set()
        asking.join(timeout=10)
    assert not asking.is_alive()  # a lost query would have raised, and ended the thread before the change
    changed = answers.index(dns.rcode.NXDOMAIN)
    assert changed > 0
    assert set(answers[:changed]) == {dns.rcode.NOERROR}
    assert set(answers[changed:]) == {dns.rcode.NXDOMAIN}


def test_an_observation_reaches_the_answer(tmp_path: Path) -> None:
    """Three sensors agree, as the shared profile asks: observed, decided, published, answered."""
    host = "24.1.2.3"
    rows = [
        {
            "seen_at": f"2026-01-31T12:0{n}:00Z",
            "sensor": sensor,
            "host": address,
            "kind": "message",
            "label": "spam",
            "helo": "friend",
            "rdns": f"dsl-{address.replace('.', '-')}.isp.example.net",
        }
        for n, address in enumerate([f"24.{third}.9.9" for third in range(8)] + [host])
        for sensor in ("a", "b", "c")
    ]
    data = tmp_path / "store"
    now = "2026-01-31T13:00:00Z"
    ran = run("observe", "-", "--now", now, "--json", data=data, stdin=lines_of(rows))
    assert ran.code == 0, ran.err
    assert ran.rows()[0]["profile"] == "shared"
    ran = run("publish", "--zone", ZONE, "--now", now, data=data)
    assert ran.code == 0
    (told,) = run("why", host, "--now", now, "--json", data=data).rows()
    with serving(data / "list.snapshot", now=now) as port:
        found = asked(port, name_of(host))
    assert told["is_listed"] == (found.rcode() == dns.rcode.NOERROR)
    assert told["is_listed"], told["sentence"]


@pytest.mark.debian
def test_dig_and_a_minimising_unbound(tmp_path: Path, store: Store, debian_program: Callable[[str, str], str]) -> None:
    """A stock resolver that sends minimised names (RFC 9156) finds what is listed, and what is not."""
    dig, unbound = debian_program("dig", "bind9-dnsutils"), debian_program("unbound", "unbound")
    snapshot = tmp_path / "list.snapshot"
    published(store, snapshot)
    with serving(snapshot) as port:
        own = subprocess.run(
            [dig, "+short", "@127.0.0.1", "-p", str(port), f"2.0.0.127.{ZONE}"], capture_output=True, check=True
        )
        assert own.stdout.decode().strip() == "127.0.0.2"
        resolver_port = port + 1 if port < 65_000 else port - 1
        config = tmp_path / "unbound.conf"
        config.write_text(
            f"""server:
  interface: 127.0.0.1
  port: {resolver_port}
  do-daemonize: no
  chroot: ""
  username: ""
  directory: "{tmp_path}"
  pidfile: ""
  use-syslog: no
  do-not-query-localhost: no
  qname-minimisation: yes
  qname-minimisation-strict: yes
  module-config: "iterator"
  local-zone: "example." nodefault
stub-zone:
  name: "{ZONE}"
  stub-addr: 127.0.0.1@{port}
remote-control:
  control-enable: no
"""
        )
        with subprocess.Popen([unbound, "-d", "-c", str(config)], stderr=subprocess.DEVNULL) as resolver:
            try:
                ask = [dig, "+tries=10", "+time=1", "@127.0.0.1", "-p", str(resolver_port)]
                for host in listed_hosts(store)[:5]:
                    found = subprocess.run([*ask, "+short", name_of(host)], capture_output=True, check=True)
                    assert found.stdout.decode().startswith("127.0.0.")
                missing = subprocess.run([*ask, name_of("198.18.0.1")], capture_output=True, check=True)
                assert "NXDOMAIN" in missing.stdout.decode()
            finally:
                resolver.terminate()
