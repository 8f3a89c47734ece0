"""Sockets around `answer`: UDP and TCP on any number of addresses, in one event loop.

UDP is one datagram in, one out.  TCP (RFC 7766) is messages behind their lengths, as many as the client likes on one
connection, answered in order.  Every answer is made from one snapshot, read once, so a swap falls between two answers.
"""

import asyncio
import contextlib
import errno
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import msgspec

from whimbrel.errors import ConfigError
from whimbrel.model.endpoint import Endpoint
from whimbrel.model.transfer import TransferSettings
from whimbrel.nameserver.answer import answer
from whimbrel.nameserver.current import CurrentSnapshot
from whimbrel.wire.snapshot import PublicKey

if TYPE_CHECKING:
    from whimbrel.nameserver.transfer import Transfers

# RFC 7766, section 6.2.3: "of the order of a few seconds"; BIND waits 30, NSD 120, Knot 10.
TCP_IDLE_SECONDS = 10.0
# RFC 7766, section 6.2.2 asks for a limit; BIND's `tcp-clients` is 150.
MAX_TCP_CONNECTIONS = 150
_TCP_BACKLOG = MAX_TCP_CONNECTIONS
# Room for queries that come while Python collects garbage: 4 MB hold about 5,000 of them with the kernel's overhead.
# The kernel cuts it to net.core.rmem_max.
_RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
# Answers that the network does not take at once wait here, then are dropped: the event loop itself sets no bound.
_UNSENT_BYTES = 1024 * 1024
# With port 0 the kernel picks for the first socket; another program may hold that number on the next.
_PORT_ATTEMPTS = 20

_log = logging.getLogger(__name__)


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the snapshot lies, where to listen, and which keys, if any, are trusted: one of them must have signed.

    All endpoints that say port 0 get the same free one, for UDP and TCP.  Without `transfers` nobody gets any.
    """

    snapshot: Path
    listen: tuple[Endpoint, ...] = (Endpoint("127.0.0.1", 0), Endpoint("::1", 0))
    trusted: tuple[PublicKey, ...] = ()
    transfers: TransferSettings | None = None


class Counters:
    """What the server has done: `udp` and `tcp` queries, `dropped` packets, answers by rcode; what it answers from."""

    def __init__(self) -> None:
        self.current: CurrentSnapshot | None = None
        self.udp = 0
        self.tcp = 0
        self.dropped = 0
        self.by_rcode: Counter[int] = Counter()


class _Responder:
    """Answers packets from the snapshot in force, and counts; `transfers` has the first say, where there are any."""

    def __init__(
        self,
        current: CurrentSnapshot,
        clock: Callable[[], float],
        counters: Counters,
        transfers: "Transfers | None" = None,
    ) -> None:
        self._current = current
        self._clock = clock
        self._counters = counters
        self._transfers = transfers

    def respond(self, packet: bytes, client: str, *, tcp: bool) -> Iterator[bytes]:
        """Yield what is sent in answer to a packet: one message, of a transfer many, or none."""
        counters = self._counters
        if tcp:
            counters.tcp += 1
        else:
            counters.udp += 1
        rcode: int | None = None
        for message in self._messages(packet, client, tcp=tcp):
            if rcode is None:
                rcode = message[3] & 0xF
                counters.by_rcode[rcode] += 1
            yield message
        if rcode is None:
            counters.dropped += 1

    def _messages(self, packet: bytes, client: str, *, tcp: bool) -> Iterable[bytes]:
        def plain() -> bytes | None:
            return answer(packet, self._current.snapshot, self._clock(), tcp=tcp)

        parts = None if self._transfers is None else self._transfers.respond(packet, client, plain, tcp=tcp)
        if parts is not None:
            return parts
        response = plain()
        return () if response is None else (response,)


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, responder: _Responder) -> None:
        self._responder = responder
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, not a check: the event loop's own class is no DatagramTransport before Python 3.13.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        # A source port of 0 cannot be answered; sending there is an error on some systems.
        transport = self._transport
        if transport is None or not addr[1]:
            return
        # Every loop's transport has this method; the abstract class lists it for streams alone.
        if transport.get_write_buffer_size() > _UNSENT_BYTES:  # type: ignore[attr-defined]
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
        client = str(writer.get_extra_info("peername")[0])
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
    sockets: "Sequence[Bound] | None" = None,
) -> None:
    """Answer until `stop` is set; `ready` is told the endpoints once all of them answer.

    `clock` gives seconds since 1970; `sockets` are used instead of binding `settings.listen`.  Raises SnapshotError
    where there is no good snapshot to begin with, ConfigError where an endpoint or the keys of transfers cannot be had.
    """
    counters = counters or Counters()
    current = CurrentSnapshot(settings.snapshot, clock, settings.trusted)
    counters.current = current
    transfers = _transfers(settings, current, clock)
    responder = _Responder(current, clock, counters, transfers)
    sockets = bind(settings.listen) if sockets is None else sockets
    async with AsyncExitStack() as stack:
        endpoints = await _start(stack, sockets, responder)
        followers = [asyncio.create_task(current.follow())]
        if transfers is not None:
            followers.append(asyncio.create_task(transfers.run()))
        for follower in followers:
            stack.push_async_callback(_cancelled, follower)
        ready(endpoints)
        stopped = asyncio.create_task(stop.wait())
        stack.push_async_callback(_cancelled, stopped)
        # A follower ends only by a defect of ours, which must not leave a server that never changes again.
        await asyncio.wait((stopped, *followers), return_when=asyncio.FIRST_COMPLETED)
        for follower in followers:
            if follower.done():
                follower.result()


def _transfers(settings: ServerSettings, current: CurrentSnapshot, clock: Callable[[], float]) -> "Transfers | None":
    if settings.transfers is None:
        return None
    from whimbrel.nameserver.transfer import Transfers  # noqa: PLC0415 - for those who give transfers

    return Transfers(settings.transfers, current, clock)


async def _cancelled(task: asyncio.Task[None] | asyncio.Task[bool]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await task


async def _start(stack: AsyncExitStack, sockets: "Sequence[Bound]", responder: _Responder) -> tuple[Endpoint, ...]:
    loop = asyncio.get_running_loop()
    conversations = _Tcp(responder)
    stack.push_async_callback(conversations.end)  # runs last: when nobody new can come in
    for pair in sockets:
        transport, _ = await loop.create_datagram_endpoint(lambda: _Udp(responder), sock=pair.udp)
        stack.callback(transport.close)
        server = await asyncio.start_server(conversations, sock=pair.tcp)
        stack.callback(server.close)
    return tuple(pair.endpoint for pair in sockets)


class Bound(NamedTuple):
    """An endpoint and its sockets."""

    endpoint: Endpoint
    udp: socket.socket
    tcp: socket.socket


def adopt(descriptors: Sequence[int]) -> list[Bound]:
    """Return the sockets that a parent process bound and left open: of each endpoint UDP, then TCP.

    Raises ConfigError where they are none.
    """
    opened: list[socket.socket] = []
    problem = "they are not UDP and TCP by turns"
    try:
        opened += (socket.socket(fileno=descriptor) for descriptor in descriptors)
        pairs = list(zip(opened[::2], opened[1::2], strict=True))
    except (OSError, ValueError) as error:
        pairs, problem = [], str(error)
    if not pairs or any((udp.type, tcp.type) != (socket.SOCK_DGRAM, socket.SOCK_STREAM) for udp, tcp in pairs):
        for each in opened:
            each.close()
        raise ConfigError(f"sockets {', '.join(map(str, descriptors))} cannot be taken over: {problem}")
    for each in opened:
        each.setblocking(False)
    return [Bound(Endpoint(*udp.getsockname()[:2]), udp, tcp) for udp, tcp in pairs]


def bind(listen: Sequence[Endpoint]) -> list[Bound]:
    """Return bound sockets for every endpoint; those with port 0 share one number.

    Raises ConfigError where one cannot be had.
    """
    for _ in range(_PORT_ATTEMPTS):
        pairs: list[Bound] = []
        free_port = 0
        try:
            for endpoint in listen:
                pairs.append(_bound_pair(Endpoint(endpoint.address, endpoint.port or free_port)))
                if not endpoint.port:
                    free_port = pairs[-1].endpoint.port
        except OSError as error:
            if pairs and endpoint is listen[-1] and _lacks_ipv6(endpoint, error):
                _log.warning("this machine has no IPv6: not listening on %s", endpoint.address)
                return pairs
            _close(pairs)
            if error.errno == errno.EADDRINUSE and not endpoint.port:
                continue
            raise _cannot_listen(endpoint, error) from None
        return pairs
    raise ConfigError(f"no port is free on all of {', '.join(endpoint.address for endpoint in listen)}; name one")


def _lacks_ipv6(endpoint: Endpoint, error: OSError) -> bool:
    """Tell whether an error only means that the machine was started without IPv6."""
    return endpoint.address == "::1" and error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


def _bound_pair(endpoint: Endpoint) -> Bound:
    udp = _socket(endpoint, socket.SOCK_DGRAM)
    try:
        endpoint = Endpoint(endpoint.address, udp.getsockname()[1])
        return Bound(endpoint, udp, _socket(endpoint, socket.SOCK_STREAM))
    except OSError:
        udp.close()
        raise


def _socket(endpoint: Endpoint, kind: socket.SocketKind) -> socket.socket:
    family = socket.AF_INET6 if ":" in endpoint.address else socket.AF_INET
    bound = socket.socket(family, kind)
    try:
        bound.setblocking(False)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_DGRAM:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        else:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # past connections in TIME_WAIT do not block
        bound.bind((endpoint.address, endpoint.port))
        if kind == socket.SOCK_STREAM:
            bound.listen(_TCP_BACKLOG)  # here, not later: two that share a bound port find out only when they listen
    except OSError:
        bound.close()
        raise
    return bound


def _close(pairs: list[Bound]) -> None:
    for pair in pairs:
        pair.udp.close()
        pair.tcp.close()


def _cannot_listen(endpoint: Endpoint, error: OSError) -> ConfigError:
    where = f"cannot listen on {endpoint.address} port {endpoint.port}"
    if error.errno == errno.EADDRINUSE:
        return ConfigError(f"{where}: in use by another program; end that one, or give another port (0: a free one)")
    if error.errno in (errno.EACCES, errno.EPERM):
        return ConfigError(f"{where}: not permitted; give a port above 1023, or grant CAP_NET_BIND_SERVICE")
    return ConfigError(f"{where}: {error.strerror or error}; give an address of this machine")
