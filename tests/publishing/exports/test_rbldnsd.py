"""rbldnsd answers from the exported files what our own name server answers from the snapshot."""

import shlex
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode
import pytest
from tests.listed import listing
from tests.publishing.exports.conftest import (
    KINDS,
    TEST_ADDRESSES,
    Address,
    DebianProgram,
    World,
    awaited,
    name_of,
    records,
    snippet,
    text_of,
    written,
)

from whimbrel.model.listing import Code
from whimbrel.publishing import Entries
from whimbrel.publishing.exports import content_of
from whimbrel.wire.snapshot import Snapshot

Ask = Callable[[str, dns.rdatatype.RdataType], dns.message.Message]

FILES = ("ip4set", "ip4trie", "ip6trie", "dnset")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that others can read: rbldnsd does not stay root."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


@contextmanager
def rbldnsd(program: str, folder: Path, *datasets: str) -> Iterator[Ask]:
    """Run rbldnsd on data sets in a folder; gives a way to ask it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "rbldnsd.log"
    with log.open("wb") as to:
        process = subprocess.Popen(
            [program, "-n", "-b", f"127.0.0.1/{port}", "-w", str(folder), *datasets],
            stdout=to,
            stderr=to,
        )

    def ask(name: str, kind: dns.rdatatype.RdataType, timeout: float = 5) -> dns.message.Message:
        return dns.query.udp(dns.message.make_query(name, kind), "127.0.0.1", timeout=timeout, port=port)

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            ask("bl.example.", dns.rdatatype.SOA, 0.2)
        except (OSError, dns.exception.Timeout):
            return False
        return True

    try:
        awaited(answers, log.read_text)
        yield ask
        assert "unrecognized" not in log.read_text()
        assert "error" not in log.read_text().lower()
    finally:
        process.terminate()
        process.wait(10)


def said(ask: Ask, address: Address) -> tuple[list[str], list[str]]:
    first, second = (records(ask(name_of(address, "bl.example"), kind)) for kind in KINDS)
    return first, second


@pytest.mark.debian
@pytest.mark.parametrize("ipv4", ["ip4set", "ip4trie"])
def test_rbldnsd_answers_as_we_do(debian_program: DebianProgram, world: World, folder: Path, ipv4: str) -> None:
    for name in FILES:
        written(world.content, name, folder / name)
    # The documented command, with the set in question.
    command = shlex.split(snippet("rbldnsd").replace("ip4trie:ip4trie", f"{ipv4}:{ipv4}"))
    program = debian_program("rbldnsd", "rbldnsd")
    with rbldnsd(program, folder, *(word for word in command if ":" in word)) as ask:
        for address in [*world.questions, *TEST_ADDRESSES]:
            assert said(ask, address) == world.served(address), address
        # IPv4 in IPv6's clothes is the same address, but for how rbldnsd writes it.
        for address in [each for each in world.questions if each.version == 4][::7]:
            mapped = IPv6Address(0xFFFF << 32 | int(address))
            assert said(ask, mapped)[0] == world.served(mapped)[0]
        for kind in (dns.rdatatype.SOA, dns.rdatatype.NS):
            assert records(ask("bl.example.", kind))
        assert (
            ask("2.0.192.bl.example.", dns.rdatatype.A).rcode() == dns.rcode.NXDOMAIN
        )  # as documented: ours is NODATA


@pytest.mark.debian
def test_names_answer_as_addresses_do(debian_program: DebianProgram, world: World, folder: Path) -> None:
    written(world.content, "dnset", folder / "dnset")
    with rbldnsd(debian_program("rbldnsd", "rbldnsd"), folder, "bl.example:dnset:dnset") as ask:
        for address in [*world.questions, *TEST_ADDRESSES]:
            answers, texts = said(ask, address)
            ours, reasons = world.served(address)
            assert answers == ours, address
            assert [text.partition(" is ")[2].partition(";")[0] for text in texts] == [
                text.partition(" is ")[2].partition(";")[0] for text in reasons
            ]
        assert ask("2.0.192.bl.example.", dns.rdatatype.TXT).rcode() == dns.rcode.NXDOMAIN


@pytest.mark.debian
def test_an_expired_list_is_not_answered_from(debian_program: DebianProgram, folder: Path) -> None:
    born = datetime.now(UTC) - timedelta(hours=3)
    data = (
        Entries.of([listing("192.0.2.1", Code.INFECTED, born, 86_400)])
        .moment()
        .snapshot(
            zone="bl.example",
            serial=1,
            born=born,
            expires=born + timedelta(hours=2),
        )
    )
    written(content_of(Snapshot(data), int(born.timestamp())), "ip4trie", folder / "ip4trie")
    with rbldnsd(debian_program("rbldnsd", "rbldnsd"), folder, "bl.example:ip4trie:ip4trie") as ask:
        reply = ask(name_of(IPv4Address("192.0.2.1"), "bl.example"), dns.rdatatype.A)
        assert not reply.answer
        assert reply.rcode() == dns.rcode.SERVFAIL


def test_a_text_stands_once_above_what_shares_it(world: World) -> None:
    for name in ("ip4set", "ip4trie", "ip6trie"):
        texts = [line for line in text_of(world.content, name).splitlines() if line.startswith(":")]
        assert len(texts) == len(set(texts))


def test_a_dollar_in_a_text_stays_one() -> None:
    born = datetime(2002, 7, 27, tzinfo=UTC)
    data = (
        Entries.of([listing("192.0.2.1", Code.INFECTED, born, 3600)])
        .moment()
        .snapshot(
            zone="bl.example",
            serial=1,
            born=born,
            expires=born + timedelta(days=1),
            texts=dict.fromkeys(Code, "{address} costs $5"),
        )
    )
    content = content_of(Snapshot(data), int(born.timestamp()))
    assert ":127.0.0.4:$ costs $$5\n192.0.2.1\n" in text_of(content, "ip4trie")
    assert "1.2.0.192 :127.0.0.4:192.0.2.1 costs $$5\n" in text_of(content, "dnset")


def test_a_wildcard_of_ipv4_lists_nothing_of_ipv6() -> None:
    """`*.0.0.2`, of 2.0.0.0/24, would be the end of every name of 2001::/16: its addresses stand one by one."""
    born = datetime(2002, 7, 27, tzinfo=UTC)
    listings = [("2.0.0.0/23", Code.NETWORK), ("2.0.0.7", Code.INFECTED), ("2.0.40.0/24", Code.NETWORK)]
    data = (
        Entries.of([listing(target, code, born, 3600) for target, code in listings])
        .moment()
        .snapshot(zone="bl.example", serial=1, born=born, expires=born + timedelta(days=1))
    )
    lines = text_of(content_of(Snapshot(data), int(born.timestamp())), "dnset").splitlines()
    names = [line.split()[0] for line in lines if line[0].isdigit() or line[0] == "*"]
    beneath = {f"{host}.{third}.0.2" for third in (0, 1) for host in range(256)}
    assert sorted(name for name in names if name.endswith(".0.2")) == sorted({*beneath, "*.40.0.2"})
    assert [line.split()[1].split(":")[1] for line in lines if line.startswith("7.0.0.2 ")] == ["127.0.0.4"]


def test_localhost_is_never_listed(world: World) -> None:
    assert "!127.0.0.1\n" in text_of(world.content, "ip4set")
    assert "!127.0.0.1\n" in text_of(world.content, "ip4trie")
    assert "!1.0.0.127\n" in text_of(world.content, "dnset")
