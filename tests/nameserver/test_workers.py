"""Threads take over from the event loop, answer as the reference does, and take up every change."""

import asyncio
import contextlib
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.exception
import dns.message
import dns.rcode
import pytest
from tests.nameserver.conftest import MakeData, MakeListing
from tests.nameserver.test_server import PATIENCE_SECONDS, serving, tcp, udp

from whimbrel.model.listing import Code
from whimbrel.nameserver import Counters, Endpoint, GuardSettings
from whimbrel.nameserver.guards.counts import Count
from whimbrel.nameserver.guards.guard import Guard
from whimbrel.nameserver.workers import Workers
from whimbrel.publishing import write_overlay, write_snapshot


@pytest.fixture
def path(tmp_path: Path, world_data: bytes) -> Path:
    place = tmp_path / "list.snapshot"
    write_snapshot(place, world_data)
    return place


async def taken_over(counters: Counters, threads: int) -> None:
    async with asyncio.timeout(180):  # compiling
        while counters.threads < threads:  # noqa: ASYNC110 - a count, no event
            await asyncio.sleep(0.01)


def test_all_kinds_of_questions_on_every_endpoint(path: Path, now: float) -> None:
    async def ask() -> None:
        counters = Counters()
        async with serving(path, now, counters, workers=2) as endpoints:
            assert (await udp(endpoints[0], "1.2.0.192")).answer  # the reference, meanwhile
            await taken_over(counters, 2 * len(endpoints))
            for endpoint in endpoints:
                for _ in range(10):
                    assert str((await udp(endpoint, "1.2.0.192")).answer[0][0]) == "127.0.0.4"
                assert (await udp(endpoint, "77.2.0.192")).rcode() == dns.rcode.NXDOMAIN
                assert "192.0.2.1" in str((await udp(endpoint, "1.2.0.192", "TXT")).answer[0][0])
                assert (await udp(endpoint, "0.192")).rcode() == dns.rcode.NOERROR
                assert (await tcp(endpoint, "1.2.0.192")).answer
        assert counters.udp == 1 + 13 * len(endpoints)
        assert counters.counts.times.sum() == counters.udp + counters.tcp

    asyncio.run(ask())


def test_a_new_list_is_answered_from_and_no_query_lost(
    path: Path, now: float, listing: MakeListing, snapshot_of: MakeData
) -> None:
    async def ask() -> None:
        counters = Counters()
        async with serving(path, now, counters, workers=1) as (endpoint, *_):
            await taken_over(counters, 1)
            for serial in range(8, 12):
                code = Code.INFECTED if serial % 2 else Code.OPEN_PROXY
                write_snapshot(path, snapshot_of(listing("192.0.2.9", code), serial=serial))
                async with asyncio.timeout(5):
                    while True:
                        given = (await udp(endpoint, "9.2.0.192")).answer
                        if given and str(given[0][0]) == f"127.0.0.{code.value}":
                            break
            assert counters.current is not None
            assert counters.current.swaps == 4

    asyncio.run(ask())


def test_each_change_is_answered_from_and_no_query_lost(
    path: Path, world_data: bytes, now: float, listing: MakeListing, overlay_of: MakeData
) -> None:
    async def ask() -> None:
        counters = Counters()
        async with serving(path, now, counters, workers=1) as (endpoint, *_):
            await taken_over(counters, 1)
            for number in range(1, 21):
                code = Code.INFECTED if number % 2 else Code.OPEN_PROXY
                write_overlay(path, overlay_of(world_data, listing("192.0.2.9", code), number=number))
                async with asyncio.timeout(5):
                    while True:
                        given = (await udp(endpoint, "9.2.0.192")).answer
                        if given and str(given[0][0]) == f"127.0.0.{code.value}":
                            break
            write_overlay(path, overlay_of(world_data, gone=("192.0.2.1",), number=21))
            async with asyncio.timeout(5):
                while (await udp(endpoint, "1.2.0.192")).answer:
                    pass
            assert not (await udp(endpoint, "9.2.0.192")).answer
            assert counters.current is not None
            assert (counters.current.swaps, counters.current.changes) == (0, 21)

    asyncio.run(ask())


def test_guards_hold_for_what_is_compiled_and_for_what_is_handed_on(path: Path, now: float) -> None:
    async def ask() -> None:
        counters = Counters()
        async with serving(path, now, counters, workers=1, guards=GuardSettings(deny=("127.0.0.0/8",))) as endpoints:
            await taken_over(counters, 1)
            assert (await udp(endpoints[0], "1.2.0.192")).rcode() == dns.rcode.REFUSED
        assert counters.counts.totals[Count.DENIED] == 1

    asyncio.run(ask())


def test_where_it_cannot_be_compiled_the_reference_goes_on(
    path: Path, now: float, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "whimbrel.nameserver.fast.loop", None)
    caplog.set_level("INFO")

    async def ask() -> None:
        counters = Counters()
        async with serving(path, now, counters, workers=1) as endpoints:
            while "cannot be compiled" not in caplog.text:  # noqa: ASYNC110 - a log, no event
                await asyncio.sleep(0.01)
            assert (await udp(endpoints[0], "1.2.0.192")).answer
            assert counters.threads == 0

    asyncio.run(ask())


def test_it_ends_at_once_though_it_still_compiles(path: Path, now: float, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, enough = threading.Event(), threading.Event()

    def compile_(_: Workers) -> None:
        begun.set()
        enough.wait(60)

    monkeypatch.setattr(Workers, "_compile", compile_)

    async def ask() -> None:
        async with serving(path, now, workers=2) as endpoints:
            assert await asyncio.to_thread(begun.wait, 10)
            for _ in range(20):  # none goes to a socket that nobody reads yet
                assert (await udp(endpoints[0], "1.2.0.192")).answer

    began = time.monotonic()
    asyncio.run(ask())
    assert time.monotonic() - began < 20
    enough.set()


def test_a_thread_that_dies_ends_the_server(path: Path, now: float, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask() -> None:
        counters = Counters()
        async with serving(path, now, counters, workers=1) as (endpoint, *_):
            await taken_over(counters, 1)
            guard = counters.guard
            assert guard is not None
            monkeypatch.setattr(guard, "respond", lambda *_, **__: 1 / 0)
            query = dns.message.make_query("1.2.0.192.bl.example.", "TXT")
            with pytest.raises(dns.exception.Timeout):
                await dns.asyncquery.udp(query, endpoint.address, timeout=0.5, port=endpoint.port)

    with pytest.raises(Exception, match="a thread that answers queries has ended"):
        asyncio.run(ask())


FLOOD = 4000


@pytest.fixture
def known(tmp_path: Path) -> Path:
    place = tmp_path / "known"
    place.write_text("127.3.0.0/16\n")
    return place


def asked_from(source: str, endpoint: Endpoint, count: int, type_: str = "A") -> socket.socket:
    """Send queries with numbers from 0, and return the socket to which the answers come."""
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.bind((source, 0))
    client.settimeout(PATIENCE_SECONDS)
    client.connect(endpoint)
    query = dns.message.make_query("1.2.0.192.bl.example.", type_, id=0).to_wire()
    for number in range(count):
        client.send(number.to_bytes(2, "big") + query[2:])
    return client


def answered(client: socket.socket, count: int) -> set[int]:
    """Return the numbers of so many answers, or of those that come."""
    found: set[int] = set()
    with client, contextlib.suppress(TimeoutError):
        while len(found) < count:
            found.add(int.from_bytes(client.recv(600)[:2], "big"))
    return found


@asynccontextmanager
async def knowing(known: Path, path: Path, now: float, counters: Counters, workers: int) -> AsyncIterator[Endpoint]:
    """Run a server that knows networks, on one endpoint."""
    settings: dict[str, Any] = {"guards": GuardSettings(known=known), "listen": (Endpoint("127.0.0.1", 0),)}
    async with serving(path, now, counters, workers=workers, **settings) as (endpoint,):
        await taken_over(counters, workers)
        yield endpoint


@contextmanager
def held_up(guard: Guard, endpoint: Endpoint, workers: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep all threads from work: each has a text to answer, which takes until the block ends."""
    respond, enough, held = guard.respond, threading.Event(), threading.Semaphore(0)

    def slow(*given: Any, **named: Any) -> bytes | None:
        held.release()
        enough.wait(PATIENCE_SECONDS)
        return respond(*given, **named)

    monkeypatch.setattr(guard, "respond", slow)
    for _ in range(workers):
        while not held.acquire(timeout=0.1):
            asked_from("127.4.0.1", endpoint, 1, "TXT").close()
    yield
    monkeypatch.setattr(guard, "respond", respond)
    enough.set()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="SO_ATTACH_REUSEPORT_CBPF is Linux's")
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_known_networks_get_all_answers_though_strangers_filled_their_socket(
    path: Path, now: float, known: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whimbrel.nameserver.sockets._RECEIVE_BUFFER_BYTES", 256 * 1024)
    counters = Counters()

    async def ask() -> None:
        async with knowing(known, path, now, counters, workers) as endpoint:
            assert counters.guard is not None
            with held_up(counters.guard, endpoint, workers, monkeypatch):  # the reference waits for us anyway
                flood = asked_from("127.4.0.9", endpoint, FLOOD)
                client = asked_from("127.3.255.1", endpoint, 200)
            assert await asyncio.to_thread(answered, client, 200) == set(range(200))
            flood.close()
            await asyncio.sleep(1.1)  # what was dropped is looked at each second

    asyncio.run(ask())
    totals = counters.counts.totals
    assert totals[Count.KNOWN] == 200
    assert totals[Count.OVERFLOW_KNOWN] == 0
    assert 0 < totals[Count.OVERFLOW] < FLOOD


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_of_known_networks_that_changes_is_steered_anew(
    path: Path, now: float, known: Path, workers: int
) -> None:
    counters = Counters()

    async def ask() -> None:
        async with knowing(known, path, now, counters, workers) as endpoint:
            await asyncio.to_thread(known.write_text, "127.4.0.0/16\n")
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not counters.counts.totals[Count.KNOWN]:
                    assert await asyncio.to_thread(answered, asked_from("127.4.0.9", endpoint, 1), 1) == {0}
                    await asyncio.sleep(0.1)
            before = counters.counts.totals[Count.KNOWN]
            assert await asyncio.to_thread(answered, asked_from("127.3.0.9", endpoint, 1), 1) == {0}
            assert counters.counts.totals[Count.KNOWN] == before

    asyncio.run(ask())
