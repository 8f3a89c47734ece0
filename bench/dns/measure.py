"""What a server did: its answers beside the reference's, its processor time an answer under load, its memory.

Processor time is what the scheduler counted for every thread of the server and of the processes that it started
(/proc/PID/task/TID/schedstat), in nanoseconds; what the kernel does for it, sending above all, is in it.
"""

import json
import math
import mmap
import os
import socket
import struct
import subprocess
import time
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import dns.message
import dns.rdatatype
from bench.dns.lists import ZONE, MadeList
from bench.dns.peers import PROGRAMS

from whimbrel.nameserver.answer import answer
from whimbrel.wire.snapshot import Snapshot

SAMPLE = 1_000  # answers compared before each server's run
LEAST_BUSY = 0.97  # below, the server's core was waiting for the load
_DEVIATIONS = 6  # of the share of hits among answers drawn at random, which is once in a thousand million runs
_ANSWER_SECONDS = 0.02
_TRIES = 250  # five seconds: a server that compiles on a busy core has its pauses
_BURST = 64  # a batch of ours

_SETTLE_SECONDS = 60
_IDLE_NANOSECONDS = 50_000_000  # in a second

_PROC = Path("/proc")


class Load(NamedTuple):
    """One run: processor nanoseconds an answer, answers a second, share of the core used, share of hits."""

    nanoseconds: float
    per_second: float
    busy: float
    hits: float
    p99_milliseconds: float


class Memory(NamedTuple):
    """Bytes, over all processes of a server."""

    rss: int
    pss: int


class MeasureError(Exception):
    """A run that does not count; the text says why."""


class Reference:
    """What is right, for a list."""

    def __init__(self, made: MadeList) -> None:
        with made.snapshot.open("rb") as file:
            self.snapshot = Snapshot(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
        with made.queries.open(encoding="ascii") as names:
            self.sample = [query(number, name.strip()) for number, name in enumerate(islice(names, SAMPLE))]

    def right(self, packet: bytes) -> bytes:
        """Return the reference's answer."""
        found = answer(packet, self.snapshot, time.time(), tcp=False)
        assert found is not None, "the queries are well-formed"
        return found

    def is_answered(self, port: int) -> bool:
        """Ask for a listed name; tell whether the answer says so: a server without its list says something else."""
        packet = next(each for each in self.sample if meaning(self.right(each))[1])
        reply = _all_asked(port, [packet], tries=1).get(packet[:2])
        return reply is not None and meaning(reply) == meaning(self.right(packet))

    def check(self, port: int, *, same_bytes: bool) -> None:
        """Compare a sample of answers; raise MeasureError at the first that is wrong.

        They are asked many at once, as under load: a server may take them so.  The reply code and the addresses must be
        right; the rest differs from server to server (times, records of the
        zone), unless `same_bytes`.
        """
        for first in range(0, len(self.sample), _BURST):
            burst = self.sample[first : first + _BURST]
            replies = _all_asked(port, burst)
            for packet in burst:
                reply, right = replies.get(packet[:2]), self.right(packet)
                if reply is None:
                    raise MeasureError(f"no answer to {packet.hex()}")
                if meaning(reply) != meaning(right) or (same_bytes and reply != right):
                    raise MeasureError(f"to {packet.hex()} came {reply.hex()}, right is {right.hex()}")


def query(number: int, name: str) -> bytes:
    """Return a query as load.c sends it: type A, with EDNS."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in f"{name}.{ZONE}".split("."))
    head = struct.pack("!6H", number, 0, 1, 0, 0, 1)
    return head + labels + b"\0\0\1\0\1" + b"\0" + struct.pack("!HHIH", 41, 1232, 0x8000, 0)


def _all_asked(port: int, packets: list[bytes], *, tries: int = _TRIES) -> dict[bytes, bytes]:
    """Return the replies by the queries' first two bytes; who gets none is asked again."""
    found: dict[bytes, bytes] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(_ANSWER_SECONDS)
        asking.connect(("127.0.0.1", port))
        for _ in range(tries):
            left = [packet for packet in packets if packet[:2] not in found]
            with suppress(OSError):  # too late, or nobody there
                for packet in left:
                    asking.send(packet)
                for _ in left:
                    reply = asking.recv(4096)
                    found[reply[:2]] = reply
            if not left:
                break
    return found


def meaning(reply: bytes) -> tuple[int, tuple[str, ...]]:
    """Return the reply code, and the addresses that are answered."""
    message = dns.message.from_wire(reply)
    found = (record.address for each in message.answer if each.rdtype == dns.rdatatype.A for record in each)
    return int(message.rcode()), tuple(sorted(found))


def echoes(port: int) -> bool:
    """Tell whether anything comes back."""
    return bool(_all_asked(port, [query(1, "1.0.0.127")], tries=1))


def load(
    pid: int, port: int, made: MadeList, *, seconds: float, core: int, checked: bool, cookies: bool = False
) -> Load:
    """Ask a server as fast as it answers, from another core, with a client's cookie in each query or without.

    Raises MeasureError where its answers cannot be right, by their codes or the share of hits.
    """
    command = ["taskset", "-c", str(core), str(PROGRAMS / "load"), str(port), ZONE, str(seconds), str(made.queries)]
    before = cpu_nanoseconds(pid)
    environment = os.environ | ({"COOKIE": "1"} if cookies else {})
    done = subprocess.run(command, capture_output=True, check=True, timeout=seconds + 30, env=environment)
    told = json.loads(done.stdout)
    spent = cpu_nanoseconds(pid) - before
    answered = told["answered"]
    if not answered:
        raise MeasureError("nothing was answered")
    hits = told["noerror"] / answered
    is_half = abs(hits - 0.5) <= _DEVIATIONS * 0.5 / math.sqrt(answered)
    if checked and (told["other"] or told["records"] != told["noerror"] or not is_half):
        raise MeasureError(f"wrong answers under load: {told}")
    return Load(spent / answered, told["per_second"], spent / (told["seconds"] * 1e9), hits, told["p99_ms"])


def settle(pid: int) -> None:
    """Wait until a server that nobody asks does nothing: what it compiles or tidies after its start is done."""
    for _ in range(_SETTLE_SECONDS):
        before = cpu_nanoseconds(pid)
        time.sleep(1)
        if cpu_nanoseconds(pid) - before < _IDLE_NANOSECONDS:
            return


def processes(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    found = [pid]
    for each in found:
        for task in (_PROC / str(each) / "task").glob("*/children"):
            found += map(int, task.read_text(encoding="ascii").split())
    return found


def cpu_nanoseconds(pid: int) -> int:
    """Return the processor time of a server's threads (proc(5): schedstat)."""
    return sum(
        int(path.read_text(encoding="ascii").split()[0])
        for each in processes(pid)
        for path in (_PROC / str(each) / "task").glob("*/schedstat")
    )


def memory(pid: int) -> Memory:
    """Return a server's memory."""
    found = {"Rss": 0, "Pss": 0}
    for each in processes(pid):
        for line in (_PROC / str(each) / "smaps_rollup").read_text(encoding="ascii").splitlines():
            name, _, rest = line.partition(":")
            if name in found:
                found[name] += int(rest.split()[0]) * 1024
    return Memory(found["Rss"], found["Pss"])
