"""Sockets around `answer`: UDP and TCP on any number of addresses, in one event loop.

UDP is one datagram in, one out.  TCP (RFC 7766) is messages behind their lengths, as many as the client likes on one
connection, answered in order.  Every answer is made from one snapshot, read once, so a swap falls between two answers.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from whimbrel.errors import WhimbrelError
from whimbrel.model.endpoint import Endpoint
from whimbrel.model.transfer import TransferSettings
from whimbrel.nameserver.counters import Counters
from whimbrel.nameserver.current import CurrentSnapshot
from whimbrel.nameserver.group import Group
from whimbrel.nameserver.guards.client import client_at
from whimbrel.nameserver.guards.counts import Count, time_place
from whimbrel.nameserver.guards.guard import Guard
from whimbrel.nameserver.guards.settings import GuardSettings
from whimbrel.nameserver.sockets import MAX_TCP_CONNECTIONS, Bound, bind
from whimbrel.nameserver.workers import Workers
from whimbrel.wire.snapshot import PublicKey

if TYPE_CHECKING:
    from whimbrel.nameserver.transfer import Transfers

# RFC 7766, section 6.2.3: "of the order of a few seconds"; BIND waits 30, NSD 120, Knot 10.
TCP_IDLE_SECONDS = 10.0
# Answers that the network does not take at once wait here, then are dropped: the event loop itself sets no bound.
_UNSENT_BYTES = 1024 * 1024
# How often files of secrets and subscribers are looked at: one stat each.
_TEND_SECONDS = 1.0

_log = logging.getLogger(__name__)


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the snapshot lies, where to listen, which keys, if any, are trusted (one must have signed), and the guards.

    All endpoints that say port 0 get the same free one, for UDP and TCP.  `workers` is the number of threads that
    answer UDP on each endpoint with the compiled answer; 0: the reference answers everything.  Without `transfers`
    nobody gets any.
    """

    snapshot: Path
    listen: tuple[Endpoint, ...] = (Endpoint("127.0.0.1", 0), Endpoint("::1", 0))
    trusted: tuple[PublicKey, ...] = ()
    guards: GuardSettings = GuardSettings()
    workers: int = 0
    transfers: TransferSettings | None = None

    @property
    def beside(self) -> int:
        """How many UDP sockets an endpoint has beside its first one, once all threads answer."""
        return max(self.workers, 1) * (2 if self.guards.knows else 1) - 1


class _Responder:
    """Answers packets from the snapshot in force, under guard; `transfers` has the first say, where there are any."""

    def __init__(
        self,
        current: CurrentSnapshot,
        clock: Callable[[], float],
        guard: Guard,
        transfers: "Transfers | None" = None,
    ) -> None:
        self._current = current
        self._clock = clock
        self._guard = guard
        self._transfers = transfers
        self.workers: Workers | None = None
        self.groups: Sequence[Group] = ()
        self._steered = guard.known

    def respond(self, packet: bytes, client: str, *, tcp: bool) -> Iterable[bytes]:
        """Return what is sent in answer to a packet: one message, of a transfer many, or none."""

        def plain() -> bytes | None:
            return self._plain(packet, client, tcp=tcp)

        parts = None if self._transfers is None else self._transfers.respond(packet, client, plain, tcp=tcp)
        if parts is not None:
            return parts
        response = plain()
        return () if response is None else (response,)

    def _plain(self, packet: bytes, client: str, *, tcp: bool) -> bytes | None:
        began = time.monotonic_ns()
        snapshot, now = self._current.snapshot, self._clock()
        response = self._guard.respond(packet, client_at(client), snapshot, now, began // 1_000_000, tcp=tcp)
        if response is not None:
            took = time.monotonic_ns() - began
            self._guard.counts.times[time_place(took)] += 1
            self._guard.counts.totals[Count.NANOSECONDS] += took
        return response

    def count(self, what: Count) -> None:
        self._guard.counts.totals[what] += 1

    async def tend(self) -> None:
        """Look after the guard until cancelled."""
        while True:
            await asyncio.sleep(_TEND_SECONDS)
            for group in self.groups:
                group.count_overflows(self._guard.counts)
            self._guard.tend(self._clock())
            if self.workers is not None:
                self.workers.refresh()  # what was read again, and a clock that was set
            for group in self.groups:
                if self._steered is not self._guard.known:
                    group.steer(self._guard.known)
            self._steered = self._guard.known


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, responder: _Responder, *, is_known: bool) -> None:
        self._responder = responder
        self._is_known = is_known
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, not a check: the event loop's own class is no DatagramTransport before Python 3.13.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        # A source port of 0 cannot be answered; sending there is an error on some systems.
        transport = self._transport
        if transport is None or not addr[1]:
            return
        if self._is_known:
            self._responder.count(Count.KNOWN)
        # Every loop's transport has this method; the abstract class lists it for streams alone.
        if transport.get_write_buffer_size() > _UNSENT_BYTES:  # type: ignore[attr-defined]
            self._responder.count(Count.UNSENT)
            return
        for response in self._responder.respond(data, addr[0], tcp=False):
            transport.sendto(response, addr)


class _Tcp:
    def __init__(self, responder: _Responder) -> None:
        self._responder = responder
        self._connections: set[asyncio.Task[None]] = set()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._connections) < MAX_TCP_CONNECTIONS:
            self._connections.add(task)
            with contextlib.suppress(OSError, EOFError, TimeoutError, asyncio.CancelledError):
                await self._converse(reader, writer)
            self._connections.discard(task)
        writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        if peer is None:
            return  # gone before we looked
        client = str(peer[0])
        while True:
            async with asyncio.timeout(TCP_IDLE_SECONDS):
                length = int.from_bytes(await reader.readexactly(2), "big")
                packet = await reader.readexactly(length)
            is_answered = False
            for response in self._responder.respond(packet, client, tcp=True):
                is_answered = True
                writer.write(len(response).to_bytes(2, "big") + response)
                async with asyncio.timeout(TCP_IDLE_SECONDS):
                    await writer.drain()
                await asyncio.sleep(0)  # a client that sends, or is sent, without end lets the others have their turn
            if not is_answered:
                return  # what must not be answered over TCP is no DNS client

    async def end(self) -> None:
        for task in self._connections:
            task.cancel()
        if self._connections:
            await asyncio.wait(set(self._connections))


async def serve(
    settings: ServerSettings,
    *,
    stop: asyncio.Event,
    ready: Callable[[tuple[Endpoint, ...]], None] = lambda _: None,
    clock: Callable[[], float] = time.time,
    counters: Counters | None = None,
    sockets: Sequence[Bound] | None = None,
) -> None:
    """Answer until `stop` is set; `ready` is told the endpoints once all of them answer.

    `clock` gives seconds since 1970; `sockets` are used instead of binding `settings.listen`.  Raises SnapshotError
    where there is no good snapshot to begin with, ConfigError where an endpoint, a file of the guards or the keys of
    transfers cannot be had.
    """
    counters = counters or Counters()
    current = CurrentSnapshot(settings.snapshot, clock, settings.trusted)
    counters.current = current
    counters.guard = guard = Guard(settings.guards, counters.counts)
    transfers = _transfers(settings, current, clock)
    responder = _Responder(current, clock, guard, transfers)
    sockets = bind(settings.listen) if sockets is None else sockets
    async with AsyncExitStack() as stack:
        stack.callback(guard.save)
        known = guard.known if settings.guards.knows else None
        responder.groups = groups = [Group(pair, known) for pair in sockets]
        transports = await _start(stack, sockets, groups, responder)
        workers = Workers(current, guard, partial(responder.respond, tcp=False), clock)
        responder.workers = workers
        stack.push_async_callback(workers.end)
        if settings.workers:
            compiling = asyncio.create_task(
                _take_over(workers, groups, transports, guard, count=settings.workers, counters=counters)
            )
            stack.push_async_callback(_cancelled, compiling)
        followers = [asyncio.create_task(current.follow()), asyncio.create_task(responder.tend())]
        if transfers is not None:
            followers.append(asyncio.create_task(transfers.run()))
        ready(tuple(pair.endpoint for pair in sockets))
        stopped = asyncio.create_task(stop.wait())
        failed = asyncio.create_task(workers.failed.wait())
        for task in (*followers, stopped, failed):
            stack.push_async_callback(_cancelled, task)
        # The others end only by a defect of ours, which must not leave a server that never changes again.
        await asyncio.wait((stopped, failed, *followers), return_when=asyncio.FIRST_COMPLETED)
        for follower in followers:
            if follower.done():
                follower.result()
        if failed.done():
            raise WhimbrelError("a thread that answers queries has ended; this is a defect of ours, the log says more")


def _transfers(settings: ServerSettings, current: CurrentSnapshot, clock: Callable[[], float]) -> "Transfers | None":
    if settings.transfers is None:
        return None
    from whimbrel.nameserver.transfer import Transfers  # noqa: PLC0415 - for those who give transfers

    return Transfers(settings.transfers, current, clock)


async def _cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await task


async def _take_over(
    workers: Workers,
    groups: Sequence[Group],
    transports: Sequence[asyncio.DatagramTransport],
    guard: Guard,
    *,
    count: int,
    counters: Counters,
) -> None:
    """Let threads answer over UDP as soon as the answer is compiled; the event loop goes on with TCP alone."""
    if not await workers.compile():
        return
    for group in groups:  # only now: from its first moment a socket gets its share of the queries
        group.widen(count, guard.known)
    pairs = [pair for group in groups for pair in group.pairs]
    workers.start(pairs)
    counters.threads = len(pairs)
    for transport in transports:
        transport.close()


async def _start(
    stack: AsyncExitStack, sockets: Sequence[Bound], groups: Sequence[Group], responder: _Responder
) -> list[asyncio.DatagramTransport]:
    """Answer in the event loop, which takes one datagram of each socket by turns: so no class waits for the other."""
    loop = asyncio.get_running_loop()
    transports: list[asyncio.DatagramTransport] = []
    conversations = _Tcp(responder)
    stack.push_async_callback(conversations.end)  # runs last: when nobody new can come in
    for bound, group in zip(sockets, groups, strict=True):
        stack.callback(group.close)
        for pair in group.pairs:
            for each in (pair.strangers, pair.known):
                if each is None:
                    continue
                protocol = partial(_Udp, responder, is_known=each is pair.known)
                # A descriptor of its own: it is closed when threads take over, and the socket stays.
                transport, _ = await loop.create_datagram_endpoint(protocol, sock=each.dup())
                transports.append(transport)
                stack.callback(transport.close)
        server = await asyncio.start_server(conversations, sock=bound.tcp)
        stack.callback(server.close)
    return transports
