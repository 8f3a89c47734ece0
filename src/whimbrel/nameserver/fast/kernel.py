"""The kernel's build: the compiled answer as an XDP program, which the kernel runs on each frame before anything else.

`frame.respond` and all beneath it is compiled by Numba, linked with the entry code here, compiled for BPF by llvmlite,
and loaded with bpf(2); maps of the kernel, filled through memory, hold the list.  A `Program` answers from one
snapshot, for its main zone.  What is asked of other zones, of names, of networks, of entries in the side table, with
IPv6, TXT, cookies or TCP goes on to the sockets (XDP_PASS); so does what is not listed in a zone that lists names, too.
Nothing is attached to an interface here: `run` is BPF_PROG_TEST_RUN.

Needs Linux 5.18 (bpf_xdp_load_bytes) and CAP_BPF with CAP_NET_ADMIN, or root.
"""

import math
import mmap
import os
import struct
import time
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Address
from typing import Any, NamedTuple, cast

import numpy as np

from whimbrel.errors import ConfigError
from whimbrel.nameserver.fast import bpf
from whimbrel.nameserver.fast.frame import (
    ADDRESS,
    AHEAD_NANOSECONDS,
    EXPIRES,
    FRAME_BYTES,
    HEADERS_BYTES,
    respond,
)
from whimbrel.nameserver.fast.insides import bpf_object, carray
from whimbrel.nameserver.fast.packet import HEADER_BYTES, PACKET_BYTES, TAIL_BYTES
from whimbrel.nameserver.fast.search import NAME_ROW, SHOWS_ROW, SOA_ROW, Array, Family, Lists
from whimbrel.nameserver.fast.tables import lists_of
from whimbrel.wire import dns
from whimbrel.wire.snapshot import Snapshot
from whimbrel.wire.snapshot.layout import BLOCKS, VALUE_CLASSES

_CLASS_ROWS = 2 * (VALUE_CLASSES + 1)
_INDEX_ROWS = 2 * BLOCKS  # a power of two above the 65,537 that there are
_NEAR_ROWS = BLOCKS // 64
_LEAST_ROWS = 1 << 16
_CONTROL_ROWS = 3
_FRAME_MAP_BYTES = 1024  # what the bounds that the verifier sees come to, and more

# The maps, in the order of the arguments of the compiled function.
_TYPES = {
    "control": "int64", "name": "uint8", "care": "uint8", "soa": "uint8", "shows": "uint64", "ends": "int64",
    "block": "uint32", "near": "uint64", "suffix": "uint16", "value": "uint8",
}  # fmt: skip
_SIGNATURE = "int32(CPointer(uint8), CPointer(uint8), int64, int64{})".format(
    "".join(f", CPointer({kind})" for kind in _TYPES.values())
)

# Helpers of the kernel by their numbers: 1 map_lookup_elem, 5 ktime_get_ns, 65 xdp_adjust_tail, 189 xdp_load_bytes,
# 190 xdp_store_bytes.  The context begins with where the frame begins and ends (struct xdp_md).  Lengths go through
# memory and a mask: the verifier has to see that they are bounded, LLVM must not see that the mask does nothing.
_ENTRY = """
@cpu_frame = external global [1024 x i8], section ".maps"
{maps}
declare i32 @respond(ptr, ptr, ptr, ptr, i64, i64{types})
define i32 @entry(ptr %context) nounwind section "xdp" {{
  %result = alloca i32
  %row = alloca i32
  %kept = alloca i32
  store i32 0, ptr %row
  %end_at = getelementptr i8, ptr %context, i64 4
  %begin = load volatile i32, ptr %context
  %end = load volatile i32, ptr %end_at
  %length = sub i32 %end, %begin
  %over = sub i32 %length, {least}
  %odd = icmp ugt i32 %over, {spread}
  br i1 %odd, label %pass, label %load
load:
  store volatile i32 %over, ptr %kept
  %over_kept = load volatile i32, ptr %kept
  %over_masked = and i32 %over_kept, 511
  %known = add i32 %over_masked, {least}
  %frame = call ptr inttoptr (i64 1 to ptr)(ptr @cpu_frame, ptr %row)
  %none = icmp eq ptr %frame, null
  br i1 %none, label %pass, label %copy
copy:
  %failed = call i64 inttoptr (i64 189 to ptr)(ptr %context, i32 0, ptr %frame, i32 %known)
  %unread = icmp ne i64 %failed, 0
  br i1 %unread, label %pass, label %ask
ask:{swap}
  %clock = call i64 inttoptr (i64 5 to ptr)()
  %packet = getelementptr i8, ptr %frame, i64 {headers}
  %size = zext i32 %known to i64
  %status = call i32 @respond(ptr %result, ptr null, ptr %frame, ptr %packet, i64 %size, i64 %clock{arguments})
  %answer = load i32, ptr %result
  %above = sub i32 %answer, {least}
  %unanswered = icmp ugt i32 %above, {spread}
  br i1 %unanswered, label %pass, label %fit
fit:
  store volatile i32 %above, ptr %kept
  %above_kept = load volatile i32, ptr %kept
  %above_masked = and i32 %above_kept, 511
  %new = add i32 %above_masked, {least}
  %more = sub i32 %new, %known
  %full = call i64 inttoptr (i64 65 to ptr)(ptr %context, i32 %more)
  %unfit = icmp ne i64 %full, 0
  br i1 %unfit, label %pass, label %write
write:
  %unwritten = call i64 inttoptr (i64 190 to ptr)(ptr %context, i32 0, ptr %frame, i32 %new)
  {again}
  ret i32 3
pass:
  ret i32 2
}}
"""


Pointer = Any


class Shape(NamedTuple):
    """What is constant in a program: bytes of the zone's name and SOA, its flags, and a power of two above the rows."""

    name_bytes: int
    soa_bytes: int
    flags: int
    rows: int


class Program:
    """The program for one snapshot, loaded, and its maps filled; it answers what is sent to one IPv4 address, port 53.

    Raise ConfigError for a list that it cannot serve, OSError where the kernel refuses (PermissionError without the
    privilege).  A list of some shape is compiled once, which takes seconds.
    """

    def __init__(self, snapshot: Snapshot, address: IPv4Address) -> None:
        lists = lists_of(snapshot)
        zone = _main_row(snapshot, lists)
        shape = _shape(lists, zone)
        self._sizes = _map_bytes(shape)
        self._descriptors: dict[str, int] = {}
        try:
            for name, size in self._sizes.items():
                self._descriptors[name] = bpf.create_map(size)
            self._descriptors["cpu_frame"] = bpf.create_map(_FRAME_MAP_BYTES, per_cpu=True)
            for name, content in _contents(lists, zone).items():
                with self._memory(name) as memory:
                    memory[: len(content)] = content
            self._control = self._memory("control")
            self._set(EXPIRES, math.floor(snapshot.expires))
            self._set(ADDRESS, int(address))
            code = bpf.placed(object_for(shape), "xdp", self._descriptors)
            self.instructions = len(code) // bpf.INSTRUCTION.size
            self._descriptors["program"], self.verified = bpf.load_program(code)
        except OSError:
            self.close()
            raise
        self.set_clock(time.time_ns() - time.monotonic_ns())

    def set_clock(self, ahead_nanoseconds: int) -> None:
        """Say how far the wall's clock is ahead of the monotonic one; whoever sets the clock has to say it again."""
        self._set(AHEAD_NANOSECONDS, ahead_nanoseconds)

    def run(self, frame: bytes, repeat: int = 1) -> bpf.Ran:
        """Run the program on an Ethernet frame, attached to nothing (BPF_PROG_TEST_RUN)."""
        return bpf.run_program(self._descriptors["program"], frame, repeat)

    def close(self) -> None:
        """Give the program and the maps back."""
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._descriptors.clear()

    def _memory(self, name: str) -> mmap.mmap:
        return mmap.mmap(self._descriptors[name], max(self._sizes[name], mmap.PAGESIZE))

    def _set(self, row: int, value: int) -> None:
        struct.pack_into("<q", self._control, 8 * row, value)


def _main_row(snapshot: Snapshot, lists: Lists) -> int:
    """Return the row of the main zone among the zones of the list."""
    name = dns.write_name(snapshot.zone.name.lower())
    for zone in range(lists.zones):
        if lists.name_bytes[zone] == len(name) and lists.name[NAME_ROW * zone :][: len(name)].tobytes() == name:
            return zone
    raise ConfigError(
        f"zone {snapshot.zone.name}: it or another has a label that can be a part of an address, so the kernel cannot"
        " tell them apart; serve the list without the kernel"
    )


def _shape(lists: Lists, zone: int) -> Shape:
    rows = max(_LEAST_ROWS, 1 << len(lists.suffix).bit_length())
    return Shape(int(lists.name_bytes[zone]), int(lists.soa_bytes[zone]), int(lists.flags[zone]), rows)


def _contents(lists: Lists, zone: int) -> dict[str, bytes]:
    """Return what the maps hold, but for `control`."""

    def row(array: Array, size: int) -> bytes:
        return array[size * zone : size * (zone + 1)].tobytes()

    return {
        "name": row(lists.name, NAME_ROW), "care": row(lists.care, NAME_ROW), "soa": row(lists.soa, SOA_ROW),
        "shows": row(lists.shows, SHOWS_ROW), "ends": lists.ends[:_CLASS_ROWS].tobytes(),
        "block": lists.block.tobytes(), "near": lists.near.tobytes(), "suffix": lists.suffix.tobytes(),
        "value": lists.ipv4.value.tobytes(),
    }  # fmt: skip


@lru_cache(maxsize=16)
def object_for(shape: Shape) -> dict[str, bytes]:
    """Return the object file's sections of the program for lists of a shape; it takes some seconds."""
    maps = "\n".join(
        f'@{name} = external global [{size} x i8], section ".maps"' for name, size in _map_bytes(shape).items()
    )
    least = HEADERS_BYTES + HEADER_BYTES + TAIL_BYTES
    entry = _ENTRY.format(
        maps=maps, types=", ptr" * len(_TYPES), arguments="".join(f", ptr @{name}" for name in _TYPES),
        least=least, spread=FRAME_BYTES - least, headers=HEADERS_BYTES, swap="", again="",
    )  # fmt: skip
    return bpf_object(_answering(shape), _SIGNATURE, entry)


def _map_bytes(shape: Shape) -> dict[str, int]:
    rows = {
        "control": _CONTROL_ROWS, "name": NAME_ROW, "care": NAME_ROW, "soa": SOA_ROW, "shows": SHOWS_ROW,
        "ends": _CLASS_ROWS, "block": _INDEX_ROWS, "near": _NEAR_ROWS, "suffix": shape.rows, "value": shape.rows,
    }  # fmt: skip
    return {name: count * np.dtype(_TYPES[name]).itemsize for name, count in rows.items()}


def _answering(shape: Shape) -> Callable[..., int]:
    """Return the function that Numba compiles: pointers made arrays, the shape's numbers constants."""
    # Of one zone, and constants: what they decide is gone from the program.
    name_bytes, soa_bytes, flags = (cast("Array", (number,)) for number in shape[:3])
    rows, mask = shape.rows, shape.rows - 1

    def function(
        headers: Pointer, packet: Pointer, length: int, clock: int, control: Pointer, name: Pointer, care: Pointer,
        soa: Pointer, shows: Pointer, ends: Pointer, block: Pointer, near: Pointer, suffix: Pointer, value: Pointer,
    ) -> int:  # fmt: skip
        none, keys = carray(block, 0), carray(near, 0)
        ipv4 = Family(carray(value, rows), none, none, 0, none, none, none, 0, mask)
        ipv6 = Family(carray(value, rows), keys, none, 0, none, keys, none, 0, mask)
        lists = Lists(
            1, carray(name, NAME_ROW), carray(care, NAME_ROW), name_bytes, carray(soa, SOA_ROW), soa_bytes,
            carray(shows, SHOWS_ROW), flags, carray(ends, _CLASS_ROWS), _CLASS_ROWS - 1, carray(block, _INDEX_ROWS),
            carray(suffix, rows), carray(near, _NEAR_ROWS), ipv4, keys, 0, ipv6,
        )  # fmt: skip
        return respond(
            carray(headers, HEADERS_BYTES), carray(packet, PACKET_BYTES), length, lists, carray(control, _CONTROL_ROWS),
            clock,
        )  # fmt: skip

    return function
