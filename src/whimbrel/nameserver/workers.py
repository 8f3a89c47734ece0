"""Threads that answer UDP with the compiled answer, a thread for each pair of sockets, once it is compiled.

Until then, and where it cannot be, the event loop and the reference answer; what the compiled answer hands on is
answered here by the reference.  Threads, not processes: the loop holds no lock of Python's, so one copy of the list
serves all cores, and a new list is put in place for all of them by one assignment.
"""

import asyncio
import contextlib
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from whimbrel.nameserver.current import CurrentSnapshot
from whimbrel.nameserver.group import Pair
from whimbrel.nameserver.guards.counts import Count
from whimbrel.nameserver.guards.guard import Guard
from whimbrel.wire.snapshot import Snapshot

if TYPE_CHECKING:
    from whimbrel.nameserver.fast.loop import Loop
    from whimbrel.nameserver.fast.search import Lists

# How a packet that was handed on is answered: the packet, the host that sent it.
Respond = Callable[[bytes, str], Iterable[bytes]]

_log = logging.getLogger(__name__)


class _InForce(NamedTuple):
    """A snapshot, and its arrays as the compiled answer reads them: without its overlay, and with it."""

    snapshot: Snapshot
    whole: "Lists"
    lists: "Lists"


class Workers:
    """Threads over UDP sockets, from `start` to `end`; `failed` is set when one of them ends by a defect of ours."""

    def __init__(self, current: CurrentSnapshot, guard: Guard, respond: Respond, clock: Callable[[], float]) -> None:
        self.failed = asyncio.Event()
        self._current = current
        self._guard = guard
        self._respond = respond
        self._clock = clock
        self._ending = False
        self._next: _InForce | None = None
        self._in_force: _InForce
        self._loops: list[Loop] = []
        self._threads: list[threading.Thread] = []
        self._events = asyncio.get_running_loop()

    async def compile(self) -> bool:
        """Compile the answer, or load what was compiled; return False, with a logged line, where it cannot be."""
        if not sys.platform.startswith("linux"):
            _log.info("no recvmmsg here: the reference answers")
            return False
        try:
            await self._apart(self._compile)
        except Exception as error:  # noqa: BLE001 - a compiler that fails, however, must not end a server that answers
            _log.warning("the answer cannot be compiled (%s): the reference answers", error)
            return False
        return True

    def start(self, pairs: Sequence[Pair]) -> None:
        """Answer on pairs of sockets, a thread for each pair; the answer is compiled."""
        from whimbrel.nameserver.fast.loop import NO_SOCKET, Loop  # noqa: PLC0415

        self._loops = [
            Loop(pair.strangers.fileno(), NO_SOCKET if pair.known is None else pair.known.fileno()) for pair in pairs
        ]
        self._current.on_swap(self.prepared, self.swapped)
        self.swapped(self._current.snapshot)
        for loop, pair in zip(self._loops, pairs, strict=True):
            thread = threading.Thread(target=self._work, args=(loop, pair.strangers), daemon=True, name="answers")
            thread.start()
            self._threads.append(thread)

    def prepared(self, snapshot: Snapshot) -> None:
        """Make the arrays of a snapshot that will soon be in force; in a thread, for it takes milliseconds."""
        from whimbrel.nameserver.fast import tables  # noqa: PLC0415 - Numba: not before the reference answers

        before = self._next
        is_same = before is not None and before.snapshot.checksum == snapshot.checksum
        whole = before.whole if before is not None and is_same else tables.lists_of(snapshot)
        self._next = _InForce(snapshot, whole, tables.overlaid(whole, snapshot.overlay))

    def swapped(self, snapshot: Snapshot) -> None:
        """Answer from a snapshot from now on."""
        if self._next is None or self._next.snapshot is not snapshot:
            self.prepared(snapshot)
        assert self._next is not None
        self._in_force = self._next
        self.refresh()

    def refresh(self) -> None:
        """Let every thread take up what has changed: the list, the guards' files, the clock."""
        from whimbrel.nameserver.fast.loop import RETURN  # noqa: PLC0415

        for loop in self._loops:
            loop.control[RETURN] = 1

    async def end(self) -> None:
        """End the threads: each within the time that it waits for a query."""
        self._ending = True
        if self._threads:
            self.refresh()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def _compile(self) -> None:
        """Compile by running a loop, of no socket, that returns at once."""
        from whimbrel.nameserver.fast.guarded import guards_of  # noqa: PLC0415
        from whimbrel.nameserver.fast.loop import NO_SOCKET, RETURN, Loop  # noqa: PLC0415

        began = time.monotonic()
        self.prepared(self._current.snapshot)
        loop = Loop(NO_SOCKET)
        loop.control[RETURN] = 1
        assert self._next is not None
        loop.run(self._next.lists, guards_of(self._guard, loop.cookie))
        _log.info("the answer is compiled, in %.1f s", time.monotonic() - began)

    async def _apart(self, work: Callable[[], None]) -> None:
        """Do work in a thread that nobody waits for at the end, as asyncio waits for its own.

        Compiling takes up to half a minute, and a server that is told to end must not take that long.
        """
        done: asyncio.Future[None] = self._events.create_future()

        def tell(error: BaseException | None) -> None:
            if done.done():
                return  # cancelled meanwhile
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(None)

        def run() -> None:
            problem = None
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - it is raised where the work is awaited
                problem = error
            with contextlib.suppress(RuntimeError):  # the event loop has ended
                self._events.call_soon_threadsafe(tell, problem)

        threading.Thread(target=run, daemon=True, name="compiles").start()
        await done

    def _work(self, loop: "Loop", ours: socket.socket) -> None:
        try:
            self._answer(loop, ours)
        except BaseException:  # noqa: BLE001 - whatever it is, the server must not go on with a thread less
            _log.exception("a thread that answers has ended")
            self._events.call_soon_threadsafe(self.failed.set)

    def _answer(self, loop: "Loop", ours: socket.socket) -> None:
        from whimbrel.nameserver.fast.guarded import guards_of  # noqa: PLC0415
        from whimbrel.nameserver.fast.loop import CLOCK_AHEAD_NANOSECONDS, EXPIRES, RETURN  # noqa: PLC0415

        while True:
            loop.control[RETURN] = 0  # before what it tells of is looked at, so that no change is missed
            in_force = self._in_force
            if self._ending:
                return
            loop.control[EXPIRES] = in_force.snapshot.expires
            loop.control[CLOCK_AHEAD_NANOSECONDS] = int((self._clock() - time.time()) * 1e9)
            guards = guards_of(self._guard, loop.cookie)
            while not loop.control[RETURN]:
                for row in loop.handed_on[: loop.run(in_force.lists, guards)].tolist():
                    self._answer_one(*loop.packet(row), ours)

    def _answer_one(self, packet: bytes, name: bytes, ours: socket.socket) -> None:
        host, address = _address_in(name)
        for response in self._respond(packet, host):
            try:
                ours.sendto(response, address)
            except OSError:  # no room, no route: lost, as on any network
                self._guard.counts.totals[Count.UNSENT] += 1


def _address_in(name: bytes) -> tuple[str, tuple[str, int] | tuple[str, int, int, int]]:
    """Return the host in a struct sockaddr, and the whole as Python's sockets take it."""
    port = int.from_bytes(name[2:4], "big")
    if int.from_bytes(name[:2], sys.byteorder) == socket.AF_INET:
        host = socket.inet_ntop(socket.AF_INET, name[4:8])
        return host, (host, port)
    host = socket.inet_ntop(socket.AF_INET6, name[8:24])
    return host, (host, port, 0, int.from_bytes(name[24:28], sys.byteorder))
