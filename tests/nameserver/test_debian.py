"""The list seen through what mail servers really use: `dig`, and a stock Unbound with query-name minimisation on."""

import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import pytest
from tests.answering import answering

from whimbrel.nameserver import GuardSettings, answer
from whimbrel.nameserver.guards.client import client_at
from whimbrel.nameserver.guards.counts import Count, counts_of_nothing
from whimbrel.nameserver.guards.guard import Guard
from whimbrel.wire.snapshot import Snapshot

PATIENCE_SECONDS = 10

pytestmark = pytest.mark.debian

UNBOUND_CONFIG = """
server:
  interface: 127.0.0.1@{port}
  do-daemonize: no
  use-syslog: no
  chroot: ""
  username: ""
  pidfile: ""
  directory: "{folder}"
  num-threads: 1
  module-config: "iterator"
  do-not-query-localhost: no
  qname-minimisation: yes
  qname-minimisation-strict: yes
  harden-below-nxdomain: yes
  do-ip6: no
remote-control:
  control-enable: no
stub-zone:
  name: "bl.example"
  stub-addr: 127.0.0.1@{stub}
"""


@contextmanager
def listening(world: Snapshot, now: float) -> Iterator[tuple[int, list[str]]]:
    """Answer on a loopback UDP port in a thread; gives the port and the names asked for so far."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.bind(("127.0.0.1", 0))
        with answering(ours, lambda packet: answer(packet, world, now, tcp=False)) as asked:
            yield ours.getsockname()[1], asked


@contextmanager
def unbound(program: str, stub: int, folder: Path) -> Iterator[int]:
    """Run a resolver that finds `bl.example` at port `stub`; gives its own port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = folder / "unbound.conf"
    config.write_text(UNBOUND_CONFIG.format(port=port, stub=stub, folder=folder))
    with (folder / "unbound.log").open("wb") as log:
        process = subprocess.Popen([program, "-d", "-c", str(config)], stdout=log, stderr=log)
    try:
        end = time.monotonic() + PATIENCE_SECONDS
        while not _accepts(port):
            assert process.poll() is None, (folder / "unbound.log").read_text()
            assert time.monotonic() < end, (folder / "unbound.log").read_text()
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_dig_reads_what_we_say(debian_program: Callable[[str, str], str], world: Snapshot, now: float) -> None:
    dig = debian_program("dig", "bind9-dnsutils")
    with listening(world, now) as (port, _):

        def ask(*arguments: str) -> str:
            command = [dig, "@127.0.0.1", "-p", str(port), "+norecurse", "+tries=1", *arguments]
            environment = {**os.environ, "HOME": "/nonexistent"}  # no ~/.digrc
            return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout

        assert ask("+short", "1.2.0.192.bl.example") == "127.0.0.4\n"
        assert "until 2002-07-27 13:00 UTC" in ask("+short", "1.2.0.192.bl.example", "TXT")
        assert "status: NXDOMAIN" in ask("2.2.0.192.bl.example")
        nodata = ask("2.0.192.bl.example")
        assert "status: NOERROR" in nodata
        assert "ANSWER: 0, AUTHORITY: 1" in nodata
        assert "status: REFUSED" in ask("www.example")
        for text in (nodata, ask("1.2.0.192.bl.example"), ask("bl.example", "SOA")):
            assert "flags: qr aa;" in text
            assert "malformed" not in text.lower()
            assert "WARNING" not in text


def test_dig_takes_our_cookies(debian_program: Callable[[str, str], str], world: Snapshot, now: float) -> None:
    """It calls a cookie good that says back its own eight bytes, and bad else; and asks again after BADCOOKIE."""
    dig = debian_program("dig", "bind9-dnsutils")
    guard = Guard(GuardSettings(exempt=(), rate=5, slip=1), counts_of_nothing())
    client = client_at("127.0.0.1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.bind(("127.0.0.1", 0))
        port = str(ours.getsockname()[1])
        with answering(ours, lambda packet: guard.respond(packet, client, world, now, 0, tcp=False)):

            def ask(*arguments: str) -> str:
                command = [dig, "@127.0.0.1", "-p", port, "+norecurse", "+tries=1", *arguments, "1.2.0.192.bl.example"]
                environment = {**os.environ, "HOME": "/nonexistent"}
                return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout

            found = ask("+cookie=0123456789abcdef")
            shown = re.search(r"; COOKIE: (0123456789abcdef01000000[0-9a-f]{24}) \(good\)", found)
            assert shown is not None, found
            assert "127.0.0.4" in found
            assert guard.counts.totals[Count.PROVED] == 0
            assert "127.0.0.4" in ask(f"+cookie={shown[1]}")
            assert guard.counts.totals[Count.PROVED] == 1
            for _ in range(5):
                ask("+nocookie", "+ignore")
            assert "flags: qr tc" in ask("+nocookie", "+ignore").replace(" aa", "")
            assert "status: BADCOOKIE" in ask("+cookie=0123456789abcdef", "+nobadcookie")
            assert "127.0.0.4" in ask("+cookie=0123456789abcdef", "+badcookie")


def test_a_mail_server_behind_a_minimising_resolver_sees_every_listing(
    debian_program: Callable[[str, str], str], world: Snapshot, now: float, tmp_path: Path
) -> None:
    program = debian_program("unbound", "unbound")
    with listening(world, now) as (stub, asked), unbound(program, stub, tmp_path) as port:

        def look_up(name: str, type_: str = "A") -> list[str] | None:
            query = dns.message.make_query(f"{name}.bl.example.", type_)
            response = dns.query.udp(query, "127.0.0.1", timeout=PATIENCE_SECONDS, port=port)
            if response.rcode() == dns.rcode.NXDOMAIN:
                return None
            assert response.rcode() == dns.rcode.NOERROR
            return [record.to_text() for rrset in response.answer for record in rrset]

        # An unlisted neighbour is asked for first: the resolver learns that 192.0.2.2 is not there ...
        assert look_up("2.2.0.192") is None
        # ... having asked label by label, as RFC 9156 wants it ...
        assert "2.0.192.bl.example." in asked
        # ... and does not conclude from it that nothing else in 192.0.2.0/24 is.
        assert look_up("1.2.0.192") == ["127.0.0.4"]
        assert look_up("200.2.0.192") == ["127.0.0.6"]
        assert look_up("77.100.51.198") == ["127.0.0.9"]
        # An IPv6 name has 32 labels to climb.
        host = "5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2"
        assert look_up(host) == ["127.0.0.3"]
        assert look_up(host.replace("2.0.0.0.1.0.0.0", "3.0.0.0.1.0.0.0")) is None
        # IPv4 in IPv6's clothes is the same listing, and so are the test entries in both.
        mapped = "f.f.f.f" + ".0" * 20
        assert look_up("1.0.2.0.0.0.0.c." + mapped) == ["127.0.0.4"]
        assert look_up("2.0.0.127") == look_up("2.0.0.0.0.0.f.7." + mapped) == ["127.0.0.2"]
        assert look_up("1.0.0.127") is None
        assert look_up("1.0.0.0.0.0.f.7." + mapped) is None
        # The reason comes through whole, and a half-written name is neither listed nor missing.
        (text,) = look_up("1.2.0.192", "TXT") or [""]
        assert "192.0.2.1 is listed as infected host" in text
        assert look_up("2.0.192") == []
