"""The kernel's build, run by the kernel on frames: the reference's bytes, or handed on."""

import os
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from ipaddress import IPv4Address

import dns.edns
import dns.message
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.nameserver.conftest import BORN, MakeData
from tests.nameserver.fast.frames import ASKER, SERVED, frame_of, read
from tests.nameserver.fast.test_answer import ZONE_NAMES, addresses, halves, list_of, name_of, targets

from whimbrel.errors import ConfigError
from whimbrel.model.listing import Code
from whimbrel.nameserver import answer
from whimbrel.nameserver.fast import bpf
from whimbrel.nameserver.fast.entry import ROUND_BYTES
from whimbrel.nameserver.fast.kernel import Program
from whimbrel.publishing import Entries
from whimbrel.wire.snapshot import Overlay, Snapshot, Zone

PACKETS = int(os.environ.get("WHIMBREL_FUZZ", "100000"))


def permitted() -> str | None:
    try:
        bpf.create_map(8)
    except OSError as error:
        return f"the kernel's build cannot be tested: {error.strerror or error}"
    return None


REASON = permitted()
pytestmark = pytest.mark.skipif(REASON is not None, reason=REASON or "")


def ask(program: Program, query: bytes, at: int) -> bytes | None:
    """Ask in the middle of a second."""
    frame = frame_of(query)
    program.set_clock(at * 10**9 + 5 * 10**8 - time.monotonic_ns())
    ran = program.run(frame)
    if ran.verdict == bpf.PASS:
        assert ran.frame == frame
        return None
    assert ran.verdict == bpf.SEND
    return read(ran.frame)


@pytest.fixture(scope="module")
def program(world: Snapshot) -> Iterator[Program]:
    program = Program(world, SERVED)
    yield program
    program.close()


def test_mutated_packets(
    program: Program, world: Snapshot, now: float, queries: Callable[[int, int], list[bytes]]
) -> None:
    answered = set()
    for query in queries(PACKETS, 6):
        given = ask(program, query, int(now))
        if given is not None:
            assert given == answer(query, world, int(now) + 0.5, tcp=False)
            answered.add(given[3] & 0xF)
    assert answered == {0, 3}


def test_an_expired_list_answers_nothing(program: Program) -> None:
    query = dns.message.make_query("10.9.9.9.bl.example.", "A").to_wire()
    ends = int((BORN + timedelta(days=1)).timestamp())
    assert ask(program, query, ends - 1) is not None
    assert ask(program, query, ends) is None


@settings(max_examples=100, deadline=None)
@given(
    listed=targets,
    asked=st.lists(st.one_of(addresses, halves, st.sampled_from(["x", "a.b.c", "spam.net", "auth", ""]))),
    type_=st.sampled_from(["A", "TXT", "AAAA", "ANY"]),
    later=st.integers(0, 5000),
    kind=st.sampled_from([(False, False), (False, True), (True, True)]),
)
def test_any_list(
    listed: list[tuple[str, int, Code | None]],
    asked: list[IPv4Address | int | str],
    type_: str,
    later: int,
    kind: tuple[bool, bool],
) -> None:
    snapshot, at = list_of(listed, many_zones=kind[0], has_names=kind[1]), int(BORN.timestamp()) + later
    program = Program(snapshot, SERVED)
    for each in asked:
        for zone_name in ZONE_NAMES:
            name = f"{name_of(each)}.{zone_name}.".lstrip(".")
            query = dns.message.make_query(name.upper(), type_).to_wire()
            given = ask(program, query, at)
            assert given is None or given == answer(query, snapshot, at + 0.5, tcp=False)
    program.close()


def test_what_the_sockets_have_to_answer(program: Program, now: float) -> None:
    """A network around the address, TXT, IPv6, a cookie, another zone, a name."""
    wide = ".".join("5200000000000000200010008bd01002")
    for name, type_ in (
        ("7.100.51.198.bl.example.", "A"), ("1.2.0.192.bl.example.", "TXT"), (f"{wide}.bl.example.", "A"),
        ("1.2.0.192.bl.elsewhere.", "A"), ("spam.bl.example.", "A"), ("bl.example.", "SOA"),
    ):  # fmt: skip
        assert ask(program, dns.message.make_query(name, type_).to_wire(), int(now)) is None
    cookie = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"12345678")
    query = dns.message.make_query("1.2.0.192.bl.example.", "A", options=[cookie]).to_wire()
    assert ask(program, query, int(now)) is None


def test_frames_of_others_go_on(program: Program) -> None:
    for frame in (bytes(30), bytes(100), bytes(1500), frame_of(b"", port=54), frame_of(bytes(500), target=ASKER)):
        ran = program.run(frame)
        assert (ran.verdict, ran.frame) == (bpf.PASS, frame)


def test_rounds_take_the_queries_in_turn(world: Snapshot) -> None:
    names = ("1.2.0.192", "2.2.0.192", "200.2.0.192", "no.name.at.all")
    frames = [frame_of(dns.message.make_query(f"{name}.bl.example.", "A").to_wire()) for name in names]
    program = Program(world, SERVED, frames)
    program.set_clock(int(BORN.timestamp()) * 10**9 - time.monotonic_ns())
    assert program.run(bytes(ROUND_BYTES), 40).nanoseconds > 0
    assert program.answered() == 30
    program.close()


def test_a_zone_that_is_part_of_an_address_is_refused() -> None:
    zones = [Zone(name="4.bl.example", servers=("localhost",), mailbox="hostmaster.bl.example")]
    data = Entries().moment().snapshot(
        zone="bl.example", serial=1, born=BORN, expires=BORN + timedelta(days=1), more_zones=zones
    )  # fmt: skip
    with pytest.raises(ConfigError, match="serve the list without the kernel"):
        Program(Snapshot(data), SERVED)


def test_what_an_overlay_touches_goes_on(world: Snapshot, world_data: bytes, overlay_of: MakeData, now: float) -> None:
    program = Program(world.overlaid(Overlay(overlay_of(world_data, gone=("192.0.2.1",)))), SERVED)
    for name, answered in (("1.2.0.192", False), ("9.9.0.192", False), ("9.9.1.192", True), ("2.0.0.127", True)):
        given = ask(program, dns.message.make_query(f"{name}.bl.example.", "A").to_wire(), int(now))
        assert (given is not None) == answered
    program.close()
