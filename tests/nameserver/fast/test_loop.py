"""The packet loop over a real socket: answers under guard as the reference gives them, the rest handed on."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dns.edns
import dns.flags
import dns.message
import numpy as np
import pytest

from whimbrel.nameserver import answer
from whimbrel.nameserver.counters import Counters
from whimbrel.nameserver.fast.guarded import guards_of
from whimbrel.nameserver.fast.loop import (
    BATCH,
    CLOCK_AHEAD_NANOSECONDS,
    EXPIRES,
    IN_A_ROW,
    MOST_HANDED_ON,
    MOST_IN_A_ROW,
    RETURN,
    Loop,
)
from whimbrel.nameserver.fast.tables import lists_of
from whimbrel.nameserver.guards.client import client_at
from whimbrel.nameserver.guards.counts import Count
from whimbrel.nameserver.guards.guard import Guard
from whimbrel.nameserver.guards.settings import GuardSettings
from whimbrel.wire.snapshot import Snapshot


class Running:
    def __init__(self, guard: Guard, client: socket.socket) -> None:
        self.guard = guard
        self.client = client
        self.handed_on: list[bytes] = []

    def ask(self, query: bytes) -> bytes | None:
        self.client.send(query)
        try:
            return self.client.recv(2000)
        except TimeoutError:
            return None


@contextmanager
def running(world: Snapshot, at: float, settings: GuardSettings) -> Iterator[Running]:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        ours.bind(("127.0.0.1", 0))
        ours.setblocking(False)
        client.connect(ours.getsockname())
        client.settimeout(0.3)
        loop, guard = Loop(ours.fileno()), Guard(settings, Counters().counts)
        loop.control[EXPIRES] = world.expires
        loop.control[CLOCK_AHEAD_NANOSECONDS] = int((at - time.time()) * 1e9)
        told, lists, guards = Running(guard, client), lists_of(world), guards_of(guard, loop.cookie)

        loop.control[RETURN] = 1
        loop.run(lists, guards)  # compiles
        loop.control[RETURN] = 0

        def work() -> None:
            while not loop.control[RETURN]:
                for row in loop.handed_on[: loop.run(lists, guards)]:
                    told.handed_on.append(loop.packet(int(row))[0])

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield told
        finally:
            loop.control[RETURN] = 1
            thread.join()


@pytest.fixture
def at(now: float) -> float:
    return now + 0.0  # whole, and its second lasts


def query(name: str, type_: str = "A", **options: object) -> dns.message.Message:
    return dns.message.make_query(f"{name}.bl.example.", type_, **options)  # type: ignore[arg-type]


def test_answers_and_what_is_handed_on(world: Snapshot, at: float) -> None:
    with running(world, at, GuardSettings()) as told:
        for name in ("1.2.0.192", "10.9.9.9", "7.100.51.198"):
            asked = query(name, use_edns=0).to_wire()
            assert told.ask(asked) in (answer(asked, world, at + some, tcp=False) for some in (0, 1, 2))
        text = query("1.2.0.192", "TXT").to_wire()
        assert told.ask(text) is None
        assert told.handed_on == [text]
        totals = told.guard.counts.totals
        assert totals[Count.UDP] == 3
        assert told.guard.counts.rcodes.tolist()[:4] == [2, 0, 0, 1]
        assert told.guard.counts.times.sum() == 3


def test_cookies_are_those_of_the_reference(world: Snapshot, at: float) -> None:
    with running(world, at, GuardSettings()) as told:
        first = query("1.2.0.192", options=[dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"12345678")])
        given = told.ask(first.to_wire())
        assert given is not None
        (option,) = dns.message.from_wire(given).options
        cookie = option.to_wire()
        assert cookie is not None
        assert (len(cookie), cookie[:8]) == (24, b"12345678")
        again = query("1.2.0.192", options=[dns.edns.GenericOption(dns.edns.OptionType.COOKIE, cookie)])
        assert told.ask(again.to_wire()) is not None
        totals = told.guard.counts.totals
        assert (totals[Count.PROVED], totals[Count.UNPROVED]) == (1, 1)
        # The reference takes what the compiled one made.
        reply = told.guard.respond(again.to_wire(), client_at("127.0.0.1"), world, at, 0, tcp=False)
        assert reply is not None
        assert totals[Count.PROVED] == 2


def test_a_flood_is_limited_slips_and_tells_of_cookies(world: Snapshot, at: float) -> None:
    with running(world, at, GuardSettings(rate=1, slip=1, exempt=())) as told:
        plain, shown = (
            query("1.2.0.192"),
            query("1.2.0.192", options=[dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"12345678")]),
        )
        replies = [told.ask(plain.to_wire()) for _ in range(5)]
        empty = dns.message.from_wire(replies[-1] or b"")
        assert (empty.flags & dns.flags.TC, len(empty.answer)) == (dns.flags.TC, 0)
        told_of = dns.message.from_wire(told.ask(shown.to_wire()) or b"")
        assert (int(told_of.rcode()), len(told_of.options)) == (23, 1)
        good = told_of.options[0].to_wire()
        assert good is not None
        proved = query("1.2.0.192", options=[dns.edns.GenericOption(dns.edns.OptionType.COOKIE, good)])
        assert len(dns.message.from_wire(told.ask(proved.to_wire()) or b"").answer) == 1
        assert told.guard.counts.totals[Count.SLIPPED] >= 3


def test_without_slip_nothing_is_sent(world: Snapshot, at: float) -> None:
    with running(world, at, GuardSettings(rate=1, slip=0, exempt=())) as told:
        replies = [told.ask(query("10.9.9.9").to_wire()) for _ in range(3)]
        assert replies[0] is not None
        assert None in replies
        assert told.guard.counts.totals[Count.LIMITED] >= 1


def test_the_denied_and_an_expired_list_are_the_references_business(world: Snapshot, at: float) -> None:
    asked = query("1.2.0.192").to_wire()
    with running(world, at, GuardSettings(deny=("127.0.0.0/8",))) as told:
        assert told.ask(asked) is None
        assert told.handed_on == [asked]
        assert not np.any(told.guard.counts.totals)
    with running(world, world.expires + 1.0, GuardSettings()) as told:
        assert told.ask(asked) is None
        assert told.handed_on == [asked]


@contextmanager
def two_sockets(world: Snapshot, at: float) -> Iterator[tuple[Loop, Guard, Callable[[], int], list[socket.socket]]]:
    """A loop over a socket of strangers and one of known networks, run once when told; and a client of each."""
    with contextlib.ExitStack() as stack:
        ours = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2)]
        clients = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2)]
        for each, client in zip(ours, clients, strict=True):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            each.bind(("127.0.0.1", 0))
            client.connect(each.getsockname())
            client.setblocking(False)
        # The answers come from the strangers' address: a client that is connected to another would not take them.
        clients[1].close()
        clients[1] = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        clients[1].bind(("127.0.0.1", 0))
        clients[1].setblocking(False)
        loop, guard = Loop(ours[0].fileno(), ours[1].fileno()), Guard(GuardSettings(), Counters().counts)
        loop.control[EXPIRES] = world.expires
        loop.control[CLOCK_AHEAD_NANOSECONDS] = int((at - time.time()) * 1e9)
        lists, guards = lists_of(world), guards_of(guard, loop.cookie)
        yield loop, guard, lambda: loop.run(lists, guards), [*clients, *ours]


def test_known_networks_come_first_and_strangers_get_their_turn(world: Snapshot, at: float) -> None:
    """A text at the end of each class's queries makes the loop return: so it shows when their turn was."""
    asked, text = query("1.2.0.192").to_wire(), query("1.2.0.192", "TXT").to_wire()
    with two_sockets(world, at) as (loop, guard, run, (strangers, known, _, familiar)):
        totals = guard.counts.totals
        for number in range(3 * BATCH):
            strangers.send(text if number == 3 * BATCH - 1 else asked)
            known.sendto(text if number == 3 * BATCH - 1 else asked, familiar.getsockname())
        assert run() == 1
        assert loop.control[IN_A_ROW] == 3
        assert (totals[Count.KNOWN], totals[Count.UDP]) == (3 * BATCH, 3 * BATCH - 1)
        assert run() == 1
        assert (totals[Count.KNOWN], totals[Count.UDP]) == (3 * BATCH, 6 * BATCH - 2)


def test_known_networks_without_end_leave_strangers_a_turn(world: Snapshot, at: float) -> None:
    asked, text = query("1.2.0.192").to_wire(), query("1.2.0.192", "TXT").to_wire()
    with two_sockets(world, at) as (loop, guard, run, (strangers, known, _, familiar)):
        for in_a_row, batches in ((MOST_IN_A_ROW, 0), (MOST_IN_A_ROW - 2, 2)):
            strangers.send(text)
            for _ in range(4 * BATCH):
                known.sendto(asked, familiar.getsockname())
            guard.counts.totals[:] = 0
            loop.control[IN_A_ROW] = in_a_row
            assert run() == 1
            assert guard.counts.totals[Count.KNOWN] == batches * BATCH


def test_of_a_whole_batch_of_strangers_few_are_handed_on(world: Snapshot, at: float) -> None:
    text = query("1.2.0.192", "TXT").to_wire()
    with two_sockets(world, at) as (_, guard, run, (strangers, known, _, familiar)):
        for _ in range(BATCH + 3):
            strangers.send(text)
            known.sendto(text, familiar.getsockname())
        assert [run(), run(), run(), run()] == [BATCH, 3, MOST_HANDED_ON, 3]
        assert guard.counts.totals[Count.OVERFLOW] == BATCH - MOST_HANDED_ON
