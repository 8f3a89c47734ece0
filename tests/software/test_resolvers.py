"""The list behind the resolvers that stand between mail servers and it, each asking in its own way."""

from pathlib import Path

import pytest
from tests.software.conftest import MakeMachine, Serve
from tests.software.machine import Machine, snippet
from tests.software.talking import talking

from whimbrel.nameserver import answer
from whimbrel.wire.snapshot import Snapshot

pytestmark = pytest.mark.debian

LISTED_IPV6 = "5.0.0.0" + ".0" * 12 + ".2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2"
UNLISTED_IPV6 = "1" + ".0" * 15 + ".0.0.0.0.9.0.0.0.8.b.d.0.1.0.0.2"


def sees_the_list(machine: Machine) -> None:
    """What every mail server behind a resolver must be told."""
    # An unlisted host first: a resolver that believes its neighbours gone with it would miss the next.
    assert machine.look_up("8.2.0.192") is None
    assert machine.look_up("7.100.51.198") is None
    assert machine.look_up("1.2.0.192") == ["127.0.0.2"]
    assert machine.look_up("4.113.0.203") == ["127.0.0.4"]
    assert machine.look_up(UNLISTED_IPV6) is None
    assert machine.look_up(LISTED_IPV6) == ["127.0.0.2"]
    # The entries of RFC 5782 by which operators and Rspamd's monitor tell a working list from a broken one.
    assert machine.look_up("2.0.0.127") == ["127.0.0.2"]
    assert machine.look_up("1.0.0.127") is None
    assert machine.look_up("2.0.0.0.0.0.f.7.f.f.f.f" + ".0" * 20) == ["127.0.0.2"]
    # The reason comes through; a half-written address is there, without a record; names of domains are not listed.
    (reason,) = machine.look_up("4.113.0.203", "TXT") or [""]
    assert "203.0.113.4 is listed as infected host (worm or bot)" in reason
    assert machine.look_up("2.0.192") == []
    assert machine.look_up("spammer.example.com") is None


def asks_label_by_label(machine: Machine, published: Path, address: str, port: int) -> None:
    """Listen to what a resolver asks on its way to a name."""
    snapshot = Snapshot(published.read_bytes())

    def respond(packet: bytes) -> bytes:
        return answer(packet, snapshot, snapshot.expires - 60, tcp=False) or b""

    with talking(machine, respond, address, port) as asked:
        assert machine.look_up("9.2.0.192") is None
    assert "2.0.192.bl.example." in asked


def test_unbound(machine: MakeMachine, serve: Serve, published: Path) -> None:
    mail_server = machine()
    asks_label_by_label(mail_server, published, "127.0.0.1", 5300)
    serve(mail_server)
    sees_the_list(mail_server)


def test_bind(machine: MakeMachine, serve: Serve, published: Path) -> None:
    mail_server = machine("bind", resolver=False)
    mail_server.write("/etc/bind/whimbrel.conf", snippet("bind.conf"))
    mail_server.write("/etc/bind/named.conf", BIND_OPTIONS + 'include "/etc/bind/whimbrel.conf";\n')
    mail_server.run("mkdir", "-p", "/var/cache/bind", "/run/named")
    mail_server.start("named", "-g", "-c", "/etc/bind/named.conf", port=53)
    asks_label_by_label(mail_server, published, "127.0.0.2", 53)
    serve(mail_server, "127.0.0.2", 53)
    sees_the_list(mail_server)


BIND_OPTIONS = """
options {
    directory "/var/cache/bind";
    listen-on { 127.0.0.1; };
    listen-on-v6 { none; };
    qname-minimization strict;
    validate-except { "bl.example"; };
};
"""


def test_knot_resolver(machine: MakeMachine, serve: Serve) -> None:
    mail_server = machine("knot-resolver", resolver=False)
    mail_server.write("/etc/knot-resolver/kresd.conf", snippet("kresd.conf"), append=True)
    mail_server.run("mkdir", "-p", "/run/knot-resolver", "/var/cache/knot-resolver")
    mail_server.start("kresd", "-n", "-c", "/etc/knot-resolver/kresd.conf", "/run/knot-resolver", port=53)
    serve(mail_server)
    sees_the_list(mail_server)


def test_dnsmasq(machine: MakeMachine, serve: Serve) -> None:
    mail_server = machine("dnsmasq", resolver=False)
    mail_server.write("/etc/dnsmasq.d/whimbrel.conf", snippet("dnsmasq.conf"))
    mail_server.start("dnsmasq", "--keep-in-foreground", "--conf-dir=/etc/dnsmasq.d", "--no-resolv", port=53)
    serve(mail_server)
    sees_the_list(mail_server)
