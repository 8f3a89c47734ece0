"""The kernel's build, run by the kernel on frames: the reference's bytes, or handed on."""

import os
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import dns.message
import pytest
from tests.nameserver.conftest import BORN
from tests.nameserver.fast.frames import SERVED, frame_of, read

from whimbrel.nameserver import answer
from whimbrel.nameserver.fast import bpf
from whimbrel.nameserver.fast.kernel import Program
from whimbrel.wire.snapshot import Snapshot

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
