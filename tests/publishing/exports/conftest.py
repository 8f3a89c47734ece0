"""A list in which networks lie within networks, what our own name server says of it, and questions near every edge."""

import os
import random
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from pathlib import Path
from typing import NamedTuple

import dns.message
import dns.rdatatype
import pytest

from whimbrel.model.listing import Code
from whimbrel.nameserver import answer
from whimbrel.nameserver.names import address_of
from whimbrel.publishing import Entries
from whimbrel.publishing.exports import FORMATS, Content, content_of
from whimbrel.wire.snapshot import Entry, Snapshot

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_SECONDS = 10

Address = IPv4Address | IPv6Address


class World(NamedTuple):
    """A snapshot, a moment in it, and what to ask."""

    snapshot: Snapshot
    at: int
    questions: Sequence[Address]

    @property
    def content(self) -> Content:
        return content_of(self.snapshot, self.at)

    def find(self, address: Address) -> Entry | None:
        return self.snapshot.find((address.version, int(address)), self.at)

    def code(self, address: Address) -> int | None:
        entry = self.find(address)
        return None if entry is None else entry.code

    def served(self, address: Address) -> tuple[list[str], list[str]]:
        """Return the A and the TXT records with which our own name server answers."""
        name = name_of(address, self.snapshot.zone.name)
        said = [
            answer(dns.message.make_query(name, kind).to_wire(), self.snapshot, self.at, tcp=True) for kind in KINDS
        ]
        first, second = (records(dns.message.from_wire(each or b"")) for each in said)
        return first, second


KINDS = (dns.rdatatype.A, dns.rdatatype.TXT)


def name_of(address: Address, zone: str) -> str:
    """Return the name under which a blocklist is asked for an address."""
    labels = address.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
    assert address_of(tuple(label.encode() for label in labels.split("."))) is not None
    return f"{labels}.{zone}."


def records(message: dns.message.Message) -> list[str]:
    return sorted(record.to_text() for rrset in message.answer for record in rrset)


def made_world(seed: int, now: datetime, targets: int = 400, excluded: float = 0) -> World:
    """Return a list cut half an hour before `now`, with entries that have ended since, nested as chance has it.

    This part of its targets is excluded, and not listed.
    """
    chance = random.Random(seed)
    born = now - timedelta(minutes=30)
    entries, questions = Entries(), list[Address]()
    for number in range(targets):
        if chance.random() < 0.7:
            prefix = chance.choice([32] * 6 + list(range(22, 32)))
            key = 0xC0000000 | chance.randrange(1 << 18)
            network: IPv4Network | IPv6Network = ip_network((key >> (32 - prefix) << (32 - prefix), prefix))
        else:
            prefix = chance.choice([64] * 6 + list(range(50, 64)))
            key = 0x20010DB8 << 32 | chance.randrange(4) << 24 | chance.randrange(1 << 16)
            network = ip_network((key >> (64 - prefix) << (64 - prefix) << 64, prefix))
        target = str(network.network_address) if network.prefixlen == 32 and network.version == 4 else str(network)
        # What has not ended yet must not while slow tests still ask real programs that go by the real clock.
        seconds = chance.choice([600, 1_300, 9_000, 90_000, 900_000, 8_000_000]) + number
        until = born + timedelta(seconds=seconds)
        if excluded and chance.random() < excluded:
            entries.exclude(target, until)
        else:
            entries.put(target, chance.choice(list(Code)), until)
        first, last = network.network_address, network.broadcast_address
        questions += [first, last, first - 1, last + 1]
    questions += [IPv4Address("127.0.0.1"), IPv4Address("8.8.8.8"), IPv6Address("2001:db8:ff::1")]
    data = entries.moment().snapshot(
        zone="bl.example",
        serial=int(born.timestamp()),
        born=born,
        expires=born + timedelta(days=2),
        servers=("ns1.example", "ns2.example"),
    )
    return World(Snapshot(data), int(now.timestamp()), sorted(set(questions), key=lambda each: (each.version, each)))


@pytest.fixture(scope="session", params=[(5782, 0), (1982, 0.25)], ids=["listed", "excluded"])
def world(request: pytest.FixtureRequest) -> World:
    """Half of what is asked is listed, some of it only by the wider of two networks; from one a part is excluded."""
    seed, excluded = request.param
    made = made_world(seed, datetime.now(UTC), excluded=excluded)
    listed = [each for each in made.questions if made.find(each) is not None]
    assert len(listed) > 300
    assert len(made.questions) - len(listed) > 150
    covered = [list(made.snapshot.covering((each.version, int(each)))) for each in listed]
    assert sum(len(entries) > 1 for entries in covered) > 80
    assert any(entries[0].until <= made.at for entries in covered)  # it has ended, and the wider one answers
    hidden = [made.snapshot.covering((each.version, int(each))) for each in made.questions if not made.find(each)]
    assert any(any(entry.code and entry.until > made.at for entry in entries) for entries in hidden) == bool(excluded)
    return made


TEST_ADDRESSES = [IPv4Address(0x7F000000 | code) for code in Code]


def text_of(content: Content, name: str) -> str:
    lines = FORMATS[name].lines
    assert lines is not None
    return "".join(f"{line}\n" for line in lines(content))


def written(content: Content, name: str, path: Path) -> Path:
    path.write_text(text_of(content, name), newline="")
    return path


def snippet(heading: str) -> str:
    """Return the first block beneath a heading of the document on exports: what is documented is what is loaded."""
    document = (ROOT / "docs" / "exports.md").read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(heading)}$.*?^```\w*\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)
    assert found is not None, f"no block beneath {heading!r}"
    return found[1]


DebianProgram = Callable[[str, str], str]


def missing(reason: str) -> None:
    """Skip, or fail where nothing may be skipped."""
    if os.environ.get("WHIMBREL_REQUIRE_DEBIAN") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def in_namespace() -> Callable[[str], str]:
    """Run a shell script in a network namespace of its own; gives its output, and fails where it does."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-n", "true"], capture_output=True, check=False).returncode != 0:
        missing("no network namespace can be made here (it takes root)")

    def run(script: str) -> str:
        done = subprocess.run(
            ["unshare", "-n", "sh", "-eu"], input=script, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def awaited(ready: Callable[[], bool], told: Callable[[], str]) -> None:
    """Wait until something is so, or fail with what was told."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not ready():
        assert time.monotonic() < end, told()
        time.sleep(0.05)
