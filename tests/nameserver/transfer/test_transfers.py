"""A server that gives transfers, asked over sockets as secondaries ask."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import dns.asyncquery
import dns.message
import dns.rcode
import dns.rdatatype
import dns.tsig
import pytest
from tests.listed import listing
from tests.nameserver.test_fuzz import mutated
from tests.nameserver.test_server import PATIENCE_SECONDS, serving
from tests.nameserver.transfer.asking import OTHERS, SECRET, question, read
from tests.nameserver.transfer.copies import Zone, changed, zone_of
from tests.nameserver.transfer.some_lists import BORN, EXPIRES, Targets

from whimbrel.errors import ConfigError, StoreError
from whimbrel.model.endpoint import Endpoint
from whimbrel.model.listing import Code
from whimbrel.model.transfer import transfer_settings
from whimbrel.nameserver import Counters
from whimbrel.nameserver.current import CurrentSnapshot
from whimbrel.nameserver.transfer import read_keys, transfers
from whimbrel.publishing import Entries, write_snapshot

MANY: Targets = {f"192.0.2.{number}": (Code.INFECTED, 3600) for number in range(1, 200)}
MORE: Targets = {**MANY, "198.51.100.0/24": (Code.NETWORK, 3600)}
NOW = BORN.timestamp() + 60
LOCAL = ("127.0.0.1/32",)


class Primary:
    """A server with a list that can be replaced."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "list.snapshot"
        self.keys = folder / "transfer.keys"
        self.keys.write_text(f"hmac-sha256:secondary.example:{SECRET}\n")
        self.keys.chmod(0o600)
        self.counters = Counters()

    def lists(self, targets: Targets, serial: int) -> None:
        entries = Entries.of(listing(target, code, BORN, seconds) for target, (code, seconds) in targets.items())
        made = entries.moment().snapshot(zone="bl.example", serial=serial, born=BORN, expires=EXPIRES)
        write_snapshot(self.path, made)

    @asynccontextmanager
    async def serving(
        self, *, allowed: tuple[str, ...] = LOCAL, notify: tuple[str, ...] = (), now: float = NOW
    ) -> AsyncIterator[Endpoint]:
        given = transfer_settings(str(self.keys), allowed, notify)
        async with serving(self.path, now, self.counters, listen=(Endpoint("127.0.0.1", 0),), transfers=given) as where:
            yield where[0]


@pytest.fixture
def primary(tmp_path: Path) -> Primary:
    made = Primary(tmp_path)
    made.lists(MANY, 7)
    return made


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await test()

    asyncio.run(main())


async def udp(endpoint: Endpoint, asked: dns.message.Message) -> dns.message.Message:
    return await dns.asyncquery.udp(asked, endpoint.address, timeout=PATIENCE_SECONDS, port=endpoint.port)


async def tcp(endpoint: Endpoint, asked: dns.message.Message) -> dns.message.Message:
    return await dns.asyncquery.tcp(asked, endpoint.address, timeout=PATIENCE_SECONDS, port=endpoint.port)


async def taken(endpoint: Endpoint, asked: dns.message.Message) -> list[dns.rrset.RRset]:
    """Return the records of all messages that come on a connection."""
    reader, writer = await asyncio.open_connection(endpoint.address, endpoint.port)
    wire = asked.to_wire()
    writer.write(len(wire).to_bytes(2, "big") + wire)
    writer.write_eof()
    try:
        came = await reader.read()
    finally:
        writer.close()
    messages: list[bytes] = []
    while came:
        end = 2 + int.from_bytes(came[:2], "big")
        messages.append(came[2:end])
        came = came[end:]
    return [rrset for message in read(messages, asked) for rrset in message.answer]


async def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


def serial_of(message: dns.message.Message) -> int:
    serial: int = message.answer[0][0].serial
    return serial


def test_the_whole_then_what_changed_then_nothing(primary: Primary, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def follow() -> None:
        async with primary.serving() as endpoint:
            copy: Zone = zone_of(await taken(endpoint, question("AXFR", edns=True)))
            assert len(copy) == 1 + 199 + 2 * len(Code)
            primary.lists(MORE, 8)
            await until(lambda: "snapshot 8 in force" in caplog.text)
            records: list[dns.rrset.RRset] = []
            while len(records) < 2:
                records = await taken(endpoint, question("IXFR", serial=7))
            changed(copy, records)
            assert copy == zone_of(await taken(endpoint, question("AXFR")))
            assert len(records) == 1 + 2 + 2 + 1  # SOA; SOA twice within, the network's A and TXT; SOA
            # Who has this list is told so, who has one never in force gets the whole.
            assert len(await taken(endpoint, question("IXFR", serial=8))) == 1
            assert copy == zone_of(await taken(endpoint, question("IXFR", serial=3)))
            over_udp = await udp(endpoint, question("IXFR", serial=7))
            assert (serial_of(over_udp), len(over_udp.answer)) == (8, 1)
            assert (await tcp(endpoint, question("IXFR"))).rcode() == dns.rcode.FORMERR

    run(follow)
    assert "IXFR of list 8 to 127.0.0.1: 1 names changed since 7" in caplog.text


def test_a_long_zone_comes_in_many_messages_and_others_are_answered_meanwhile(
    primary: Primary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whimbrel.nameserver.transfer.messages.MESSAGE_BYTES", 1_200)
    primary.lists({f"192.0.{net}.{host}": (Code.INFECTED, 3600) for net in range(20) for host in range(250)}, 7)

    async def ask() -> None:
        async with primary.serving() as endpoint:
            transfer = asyncio.create_task(taken(endpoint, question("AXFR")))
            asked = 0
            while not transfer.done():
                assert (await udp(endpoint, dns.message.make_query("1.2.0.192.bl.example.", "A"))).answer
                asked += 1
            assert len(zone_of(transfer.result())) == 1 + 5_000 + 2 * len(Code)
            assert asked > 10

    run(ask)


def test_an_ordinary_question_that_is_signed_gets_a_signed_answer(primary: Primary) -> None:
    async def ask() -> None:
        async with primary.serving() as endpoint:
            for transport in (udp, tcp):
                answer = await transport(endpoint, question("SOA"))
                assert answer.had_tsig
                assert serial_of(answer) == 7
                assert (
                    await transport(endpoint, question("A", name="9.9.9.9.bl.example."))
                ).rcode() == dns.rcode.NXDOMAIN
                assert not (await transport(endpoint, question("SOA", key=None))).had_tsig
            assert primary.counters.by_rcode == {0: 4, 3: 2}

    run(ask)


@pytest.mark.parametrize(
    ("asked", "allowed", "rcode", "reason"),
    [
        (
            question("AXFR", key=None),
            LOCAL,
            dns.rcode.REFUSED,
            "AXFR of bl.example refused to 127.0.0.1: it is not signed",
        ),
        (question("IXFR", key=None, serial=1), LOCAL, dns.rcode.REFUSED, "IXFR of bl.example refused"),
        (question("AXFR"), ("192.0.2.0/24", "::1"), dns.rcode.REFUSED, "the address may not ask for it"),
        (question("IXFR", serial=1), ("192.0.2.0/24",), dns.rcode.REFUSED, "the address may not ask for it"),
        (question("AXFR", name="example."), LOCAL, dns.rcode.NOTAUTH, "the zone is another"),
        (question("AXFR", name="sub.bl.example."), LOCAL, dns.rcode.NOTAUTH, "the zone is another"),
    ],
)
def test_who_gets_no_transfer_is_told_and_the_log_says_why(
    primary: Primary,
    caplog: pytest.LogCaptureFixture,
    asked: dns.message.Message,
    allowed: tuple[str, ...],
    rcode: dns.rcode.Rcode,
    reason: str,
) -> None:
    async def ask() -> None:
        async with primary.serving(allowed=allowed) as endpoint:
            for _ in range(3):
                answer = await tcp(endpoint, asked)
                assert answer.rcode() == rcode
                assert not answer.answer
                assert answer.had_tsig == (asked.keyring is not None)

    run(ask)
    assert caplog.text.count(reason) == 1  # once a minute


def test_a_wrong_secret_gets_nothing(primary: Primary, caplog: pytest.LogCaptureFixture) -> None:
    async def ask() -> None:
        async with primary.serving() as endpoint:
            for type_ in ("AXFR", "SOA"):
                with pytest.raises(dns.tsig.PeerBadSignature):
                    await tcp(endpoint, question(type_, key=OTHERS))

    run(ask)
    assert "AXFR of bl.example refused to 127.0.0.1: signed with secondary.example: the signature" in caplog.text


def test_over_udp_nobody_gets_a_whole_zone(primary: Primary) -> None:
    async def ask() -> None:
        async with primary.serving() as endpoint:
            assert (await udp(endpoint, question("AXFR"))).rcode() == dns.rcode.REFUSED

    run(ask)


def test_a_list_that_has_expired_is_given_to_nobody(primary: Primary) -> None:
    settings = transfer_settings(str(primary.keys), LOCAL, ())
    assert settings is not None
    current = CurrentSnapshot(primary.path, lambda: NOW)
    made = transfers.Transfers(settings, current, EXPIRES.timestamp)
    asked = question("AXFR")
    messages = made.respond(asked.to_wire(), "127.0.0.1", lambda: None, tcp=True)
    assert messages is not None
    assert [message.rcode() for message in read(messages, asked)] == [dns.rcode.SERVFAIL]


def test_keys_that_cannot_be_had_are_one_line(primary: Primary) -> None:
    settings = transfer_settings(str(primary.keys), LOCAL, ("other.example@192.0.2.53",))
    assert settings is not None
    with pytest.raises(ConfigError, match=r"no key other\.example in it, with which 192\.0\.2\.53:53 is to be told"):
        read_keys(settings)
    primary.keys.chmod(0o644)
    with pytest.raises(StoreError, match="can be read by others"):
        read_keys(settings)
    primary.keys.unlink()
    with pytest.raises(ConfigError, match=r"cannot be read .*check the path"):
        read_keys(settings)


def test_any_damaged_question_gets_an_answer_or_is_left_to_others(primary: Primary) -> None:
    settings = transfer_settings(str(primary.keys), LOCAL, ())
    assert settings is not None
    made = transfers.Transfers(settings, CurrentSnapshot(primary.path, lambda: NOW), lambda: NOW)
    chance = random.Random(1995)
    seeds = [question(type_, serial=7, edns=True).to_wire() for type_ in ("IXFR", "AXFR", "SOA")]
    answered = 0
    for _ in range(3_000):
        packet = mutated(chance.choice(seeds), chance)
        for message in made.respond(packet, "127.0.0.1", lambda: None, tcp=chance.random() < 0.5) or ():
            answered += 1
            assert message[:2] == packet[:2]
            assert message[2] & 0x80
            dns.message.from_wire(message, keyring=False, one_rr_per_rrset=True)
    assert answered > 500
