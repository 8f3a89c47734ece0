"""The server on loopback sockets, asked by dnspython."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.message
import dns.rcode
import pytest

from whimbrel.errors import ConfigError, SnapshotError
from whimbrel.model.listing import Code, Listing
from whimbrel.nameserver import Bound, Counters, Endpoint, GuardSettings, ServerSettings, adopt, bind, serve
from whimbrel.nameserver.guards.counts import Count
from whimbrel.publishing import write_snapshot

PATIENCE_SECONDS = 10


@pytest.fixture
def path(tmp_path: Path, world_data: bytes) -> Path:
    place = tmp_path / "list.snapshot"
    write_snapshot(place, world_data)
    return place


@asynccontextmanager
async def serving(
    path: Path, now: float, counters: Counters | None = None, sockets: list[Bound] | None = None, **settings: Any
) -> AsyncIterator[tuple[Endpoint, ...]]:
    """Run the server for the length of a block, which gets the endpoints; it must end cleanly."""
    stop = asyncio.Event()
    endpoints: asyncio.Future[tuple[Endpoint, ...]] = asyncio.get_running_loop().create_future()
    server = asyncio.create_task(
        serve(
            ServerSettings(snapshot=path, **settings),
            stop=stop,
            ready=endpoints.set_result,
            clock=lambda: now,
            counters=counters,
            sockets=sockets,
        )
    )
    await asyncio.wait((server, endpoints), return_when=asyncio.FIRST_COMPLETED)
    if server.done():
        server.result()
    try:
        yield await endpoints
    finally:
        stop.set()
        await asyncio.wait_for(server, PATIENCE_SECONDS)


async def udp(endpoint: Endpoint, name: str, type_: str = "A") -> dns.message.Message:
    query = dns.message.make_query(f"{name}.bl.example.", type_)
    return await dns.asyncquery.udp(query, endpoint.address, timeout=PATIENCE_SECONDS, port=endpoint.port)


async def tcp(endpoint: Endpoint, name: str) -> dns.message.Message:
    query = dns.message.make_query(f"{name}.bl.example.", "A")
    return await dns.asyncquery.tcp(query, endpoint.address, timeout=PATIENCE_SECONDS, port=endpoint.port)


def test_udp_and_tcp_on_ipv4_and_ipv6_share_one_free_port(path: Path, now: float) -> None:
    async def ask() -> None:
        counters = Counters()
        async with serving(path, now, counters) as endpoints:
            assert {endpoint.address for endpoint in endpoints} == {"127.0.0.1", "::1"}
            assert len({endpoint.port for endpoint in endpoints}) == 1
            for endpoint in endpoints:
                for response in (await udp(endpoint, "1.2.0.192"), await tcp(endpoint, "1.2.0.192")):
                    assert response.answer[0][0].to_text() == "127.0.0.4"
                assert (await udp(endpoint, "2.2.0.192")).rcode() == dns.rcode.NXDOMAIN
        assert (counters.udp, counters.tcp, counters.dropped) == (4, 2, 0)
        assert counters.by_rcode == {0: 4, 3: 2}

    asyncio.run(ask())


def test_tcp_answers_many_queries_on_one_connection_in_order(path: Path, now: float) -> None:
    async def ask() -> None:
        async with serving(path, now) as endpoints:
            reader, writer = await asyncio.open_connection(endpoints[0].address, endpoints[0].port)
            queries = [dns.message.make_query(f"{n}.100.51.198.bl.example.", "TXT") for n in range(200)]
            wires = [query.to_wire() for query in queries]
            writer.write(b"".join(len(wire).to_bytes(2, "big") + wire for wire in wires))
            for number, query in enumerate(queries):
                length = int.from_bytes(await reader.readexactly(2), "big")
                response = dns.message.from_wire(await reader.readexactly(length))
                assert query.is_response(response)
                assert f"198.51.100.{number} " in response.answer[0].to_text()
            writer.write(b"\0\x03abc")  # no DNS: the connection ends
            assert await reader.read() == b""
            writer.close()

    asyncio.run(ask())


def test_an_idle_connection_ends(path: Path, now: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whimbrel.nameserver.server.TCP_IDLE_SECONDS", 0.05)

    async def wait() -> None:
        async with serving(path, now) as endpoints:
            reader, writer = await asyncio.open_connection(endpoints[0].address, endpoints[0].port)
            writer.write(b"\0")  # half a length
            assert await asyncio.wait_for(reader.read(), PATIENCE_SECONDS) == b""
            writer.close()

    asyncio.run(wait())


def test_connections_are_limited_and_the_limit_frees_itself(
    path: Path, now: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whimbrel.nameserver.server.MAX_TCP_CONNECTIONS", 2)

    async def crowd() -> None:
        async with serving(path, now) as (endpoint, *_):
            kept = [await asyncio.open_connection(endpoint.address, endpoint.port) for _ in range(2)]
            await asyncio.sleep(0.05)
            reader, writer = await asyncio.open_connection(endpoint.address, endpoint.port)
            assert await asyncio.wait_for(reader.read(), PATIENCE_SECONDS) == b""
            for _, other in (*kept, (reader, writer)):
                other.close()
            await asyncio.sleep(0.05)
            assert (await tcp(endpoint, "1.2.0.192")).answer

    asyncio.run(crowd())


def test_shutdown_does_not_wait_for_idle_clients(path: Path, now: float) -> None:
    async def leave_open() -> None:
        async with serving(path, now) as endpoints:
            _, writer = await asyncio.open_connection(endpoints[0].address, endpoints[0].port)
        writer.close()

    asyncio.run(leave_open())


def test_udp_is_limited_by_the_client_s_network_and_tcp_is_not(path: Path, now: float) -> None:
    """Loopback has whole networks to ask from: 127.1.2.0/24 floods, 127.1.3.0/24 is another."""
    query = dns.message.make_query("1.2.0.192.bl.example.", "A").to_wire()

    def asked(endpoint: Endpoint, source: str, count: int) -> list[int]:
        """Return the counts of addresses in the answers that came at once."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.bind((source, 0))
            client.settimeout(0.3)
            client.connect(endpoint)
            found = []
            for _ in range(count):
                client.send(query)
                try:
                    found.append(int.from_bytes(client.recv(512)[6:8], "big"))
                except TimeoutError:
                    found.append(-1)
            return found

    async def flood() -> None:
        counters = Counters()
        listen = (Endpoint("127.0.0.1", 0),)
        async with serving(path, now, counters, listen=listen, guards=GuardSettings(exempt=(), rate=3)) as (endpoint,):
            assert await asyncio.to_thread(asked, endpoint, "127.1.2.3", 7) == [1, 1, 1, -1, 0, -1, 0]
            assert await asyncio.to_thread(asked, endpoint, "127.1.3.3", 1) == [1]
            for _ in range(6):
                assert (await tcp(endpoint, "1.2.0.192")).answer
        totals = counters.counts.totals
        assert (totals[Count.LIMITED], totals[Count.SLIPPED], totals[Count.TCP]) == (2, 2, 6)
        assert counters.counts.times.sum() == 12

    asyncio.run(flood())


def test_a_port_in_use_is_one_line_that_says_what_to_do(path: Path, now: float) -> None:
    async def clash() -> None:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with socket.socket(socket.AF_INET, kind) as other:
                other.bind(("127.0.0.1", 0))
                if kind == socket.SOCK_STREAM:
                    other.listen()
                port = other.getsockname()[1]
                with pytest.raises(ConfigError, match=rf"127\.0\.0\.1 port {port}: in use.*another port") as caught:
                    async with serving(path, now, listen=(Endpoint("::1", 0), Endpoint("127.0.0.1", port))):
                        pass
                assert "\n" not in str(caught.value)

    asyncio.run(clash())


def test_an_address_of_another_machine_is_one_line(path: Path, now: float) -> None:
    async def listen() -> None:
        with pytest.raises(ConfigError, match=r"cannot listen on 192\.0\.2\.1 port 0: .*address of this machine"):
            async with serving(path, now, listen=(Endpoint("192.0.2.1", 0),)):
                pass

    asyncio.run(listen())


def test_without_a_snapshot_it_does_not_start(tmp_path: Path, now: float) -> None:
    async def start() -> None:
        with pytest.raises(SnapshotError, match="whimbrel publish"):
            async with serving(tmp_path / "none", now):
                pass

    asyncio.run(start())


def test_swaps_under_load_lose_no_query_and_mix_no_two_lists(
    path: Path,
    now: float,
    listing: Callable[..., Listing],
    snapshot_of: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Odd serials list 192.0.2.1 alone, even ones 192.0.2.2: "not listed" beside the wrong serial is a mix."""
    monkeypatch.setattr("whimbrel.nameserver.current.POLL_SECONDS", 0.005)
    targets = {1: listing("192.0.2.1", Code.SPAM_SOURCE), 0: listing("192.0.2.2", Code.INFECTED)}
    seen: set[tuple[int, bool]] = set()

    async def ask_on(endpoint: Endpoint, swapped: asyncio.Event) -> int:
        asked = 0
        while not swapped.is_set():
            host = asked % 2 + 1
            response = await udp(endpoint, f"{host}.2.0.192")
            asked += 1
            if response.rcode() == dns.rcode.NXDOMAIN:
                assert response.authority[0][0].serial % 2 != host % 2
            else:
                assert response.answer[0][0].to_text() == {1: "127.0.0.2", 2: "127.0.0.4"}[host]
            seen.add((host, bool(response.answer)))
        return asked

    async def swap() -> None:
        write_snapshot(path, snapshot_of(targets[1], serial=101))
        counters, swapped = Counters(), asyncio.Event()
        async with serving(path, now, counters) as endpoints:
            clients = [asyncio.create_task(ask_on(endpoints[0], swapped)) for _ in range(4)]
            for serial in range(102, 142):
                write_snapshot(path, snapshot_of(targets[serial % 2], serial=serial))
                while (await udp(endpoints[0], "1.0.0.127")).authority[0][0].serial != serial:  # noqa: ASYNC110 - we ask from outside
                    await asyncio.sleep(0.001)
            swapped.set()
            asked = sum([await client for client in clients])
        assert asked > 40
        assert counters.udp > asked

    asyncio.run(swap())
    assert seen == {(1, True), (1, False), (2, True), (2, False)}


def test_sockets_outlive_the_server_and_queries_wait_in_them(path: Path, now: float) -> None:
    """As `whimbrel run` holds them: one server ends, a query comes, the next server answers it."""
    held = bind([Endpoint("127.0.0.1", 0)])

    def taken_over() -> list[Bound]:
        # A child's descriptors are copies of its own.
        return adopt([os.dup(each.fileno()) for bound in held for each in (bound.udp, bound.tcp)])

    async def talk() -> None:
        async with serving(path, now, sockets=taken_over()) as endpoints:
            assert endpoints == (held[0].endpoint,)
            assert (await udp(endpoints[0], "2.0.0.127")).rcode() == dns.rcode.NOERROR
        waiting = asyncio.create_task(udp(endpoints[0], "2.0.0.127"))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        async with serving(path, now, sockets=taken_over()):
            assert (await waiting).rcode() == dns.rcode.NOERROR

    asyncio.run(talk())
    for bound in held:
        bound.udp.close()
        bound.tcp.close()
