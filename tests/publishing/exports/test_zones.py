"""A stock Unbound with the exported policy zone hides every name that resolves to a listed address, and no other."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.zone
import pytest
from tests.answering import answering
from tests.publishing.exports.conftest import Address, DebianProgram, World, awaited, snippet, text_of, written

BASE = """
server:
  interface: 127.0.0.1@{port}
  do-daemonize: no
  use-syslog: no
  chroot: ""
  username: ""
  pidfile: ""
  directory: "{folder}"
  num-threads: 1
  do-not-query-localhost: no
  do-ip6: no
remote-control:
  control-enable: no
stub-zone:
  name: "host.example"
  stub-addr: 127.0.0.1@{stub}
"""


def host(address: Address) -> tuple[str, str]:
    """Return the name of a host that has this address, and the type to ask."""
    return f"x{int(address):x}-{address.version}.host.example.", "A" if address.version == 4 else "AAAA"


def named(packet: bytes) -> bytes:
    """Answer for the zone in which every address has a name."""
    query = dns.message.from_wire(packet)
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.AA
    name, kind = query.question[0].name, query.question[0].rdtype
    number, _, version = name.labels[0].decode().lower().removeprefix("x").partition("-")
    wanted = {"4": dns.rdatatype.A, "6": dns.rdatatype.AAAA}.get(version)
    if kind == wanted:
        address = ip_address(int(number, 16).to_bytes(4 if version == "4" else 16, "big"))
        reply.answer.append(dns.rrset.from_text(name, 60, "IN", kind, str(address)))
    return reply.to_wire()


@contextmanager
def hosts() -> Iterator[int]:
    """Serve that zone; gives its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.bind(("127.0.0.1", 0))
        with answering(ours, named):
            yield ours.getsockname()[1]


@contextmanager
def unbound(program: str, folder: Path, stub: int, policy: str) -> Iterator[int]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "unbound.conf").write_text(policy + BASE.format(port=port, folder=folder, stub=stub))
    log = folder / "unbound.log"
    with log.open("wb") as to:
        process = subprocess.Popen([program, "-d", "-c", str(folder / "unbound.conf")], stdout=to, stderr=to)

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        awaited(answers, log.read_text)
        yield port
        assert "error" not in log.read_text(), log.read_text()
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.debian
def test_unbound_hides_names_of_listed_addresses(debian_program: DebianProgram, world: World, tmp_path: Path) -> None:
    zone = written(world.content, "rpz", tmp_path / "whimbrel.rpz")
    policy = snippet("RPZ").replace("/var/lib/unbound/whimbrel.rpz", str(zone))
    assert str(zone) in policy
    program = debian_program("unbound", "unbound")
    with hosts() as stub, unbound(program, tmp_path, stub, policy) as port:

        def hidden(address: Address) -> bool:
            query = dns.message.make_query(*host(address))
            reply = dns.query.udp(query, "127.0.0.1", timeout=5, port=port)
            assert reply.rcode() in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}
            assert bool(reply.answer) == (reply.rcode() == dns.rcode.NOERROR)
            return reply.rcode() == dns.rcode.NXDOMAIN

        for address in world.questions[::2]:
            assert hidden(address) == (world.find(address) is not None), address
        # The test entries are not in it: every blocklist behind this resolver answers 127.0.0.2.
        assert not hidden(ip_address("127.0.0.2"))


def test_no_two_records_are_alike_and_all_are_read(world: World) -> None:
    zone = dns.zone.from_text(text_of(world.content, "rpz"), origin="rpz.example", relativize=False)
    triggers = [name for name, node in zone.nodes.items() if node.get_rdataset(dns.rdataclass.IN, dns.rdatatype.CNAME)]
    assert len(triggers) == sum(len(rows.key) for _, rows in world.content.families)
    assert text_of(world.content, "rpz").count(" CNAME .\n") == world.content.entries


def test_ipv6_triggers_are_written_as_bind_insists(world: World) -> None:
    """Compare with the shortest form of RFC 5952, whose longest run of zeros is `zz`."""
    names = {line.split()[0] for line in text_of(world.content, "rpz").splitlines() if ".zz." in line}
    assert names
    for name in names:
        prefix, *hextets = name.removesuffix(".rpz-ip").split(".")
        written_address = ":".join(reversed(hextets)).replace("zz", ":")
        assert str(ip_address(written_address)) == written_address
        assert int(prefix) <= 64
