"""The kernel's build, run by the kernel on frames: the reference's bytes, or handed on."""

import os
import struct
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from ipaddress import IPv4Address

import dns.message
import pytest
from tests.nameserver.conftest import BORN

from whimbrel.nameserver import answer
from whimbrel.nameserver.fast import bpf
from whimbrel.nameserver.fast.kernel import Program
from whimbrel.wire.snapshot import Snapshot

PACKETS = int(os.environ.get("WHIMBREL_FUZZ", "100000"))
SERVED, ASKER = IPv4Address("192.0.2.53"), IPv4Address("203.0.113.9")


def permitted() -> str | None:
    try:
        bpf.create_map(8)
    except OSError as error:
        return f"the kernel's build cannot be tested: {error.strerror or error}"
    return None


REASON = permitted()
pytestmark = pytest.mark.skipif(REASON is not None, reason=REASON or "")


def sum_of(words: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(words) // 2}H", words))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def frame_of(query: bytes, source: IPv4Address = ASKER, target: IPv4Address = SERVED, port: int = 53) -> bytes:
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(query), 7, 0, 57, 17, 0, source.packed, target.packed)
    ip = ip[:10] + sum_of(ip).to_bytes(2, "big") + ip[12:]
    return b"\x02SERVD\x02ASKER\x08\0" + ip + struct.pack("!4H", 3053, port, 8 + len(query), 0x1234) + query


def read(frame: bytes) -> bytes:
    """Return the DNS message of an answer to what `frame_of` makes, every byte around it looked at."""
    message = frame[42:]
    assert frame[:14] == b"\x02ASKER\x02SERVD\x08\0"
    ip = frame[14:34]
    assert sum_of(ip) == 0
    assert ip[:10] == struct.pack("!BBHHHBB", 0x45, 0, 28 + len(message), 0, 0x4000, 64, 17)
    assert ip[12:] == SERVED.packed + ASKER.packed
    assert frame[34:42] == struct.pack("!4H", 53, 3053, 8 + len(message), 0)
    return message


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
