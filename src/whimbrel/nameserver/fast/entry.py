"""The kernel's build as an object file: the compiled answer for BPF, and the entry code around it.

Numba's pointers become the arrays of a `Lists`; what is the same for all queries (how long the zone's name is, what it
shows) is a constant of the build, a `Shape`, so that the verifier need not walk what never happens.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, cast

import numpy as np

from whimbrel.nameserver.fast.frame import FRAME_BYTES, HEADERS_BYTES, respond
from whimbrel.nameserver.fast.insides import bpf_object, carray, kept, sections_of
from whimbrel.nameserver.fast.packet import HEADER_BYTES, ROOM_BYTES, TAIL_BYTES
from whimbrel.nameserver.fast.search import NAME_ROW, SHOWS_ROW, SOA_ROW, Array, Family, Lists, Nets
from whimbrel.wire.snapshot.layout import BLOCKS, VALUE_CLASSES

SECTION = "xdp"
FRAME_MAP_BYTES = 1024  # what the bounds that the verifier sees come to, and more
ROUND_BYTES = 128
CLASS_ROWS = 2 * (VALUE_CLASSES + 1)
_BIT_ROWS = BLOCKS // 64
_CONTROL_ROWS = 3

# The maps, in the order of the arguments of the compiled function.
_TYPES = {
    "control": "int64", "name": "uint8", "care": "uint8", "soa": "uint8", "shows": "uint64", "ends": "int64",
    "cells": "uint32", "near": "uint64", "touched": "uint64", "suffix": "uint16", "value": "uint8",
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
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
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
ask:{take}
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
{give_back}
  ret i32 3
pass:
  ret i32 2
}}
"""

_TAKE = """
  %turn = load i64, ptr @turns
  %turn_next = add i64 %turn, 1
  store i64 %turn_next, ptr @turns
  %round = and i64 %turn, {mask}
  %round_at = mul i64 %round, {size}
  %round_frame = getelementptr i8, ptr @asked, i64 %round_at
  call void @llvm.memcpy.p0.p0.i64(ptr align 8 %frame, ptr align 8 %round_frame, i64 {size}, i1 false)
"""
_GIVE_BACK = """
  %less = sub i32 %known, %new
  %shrunk = call i64 inttoptr (i64 65 to ptr)(ptr %context, i32 %less)
  %answered_at = getelementptr i64, ptr @turns, i64 1
  %answered = load i64, ptr %answered_at
  %answered_next = add i64 %answered, 1
  store i64 %answered_next, ptr %answered_at
"""

Pointer = Any


class Shape(NamedTuple):
    """What is constant in a program: bytes of the zone's name and SOA, its flags, a power of two above the rows.

    `cell_bits` as in `Lists`.

    With `rounds`, a power of two, it is a program to be timed: in place of what it was given it takes the next of so
    many frames in the map `asked`, and counts in `turns`; what it sends has the length of what it was given.
    """

    name_bytes: int
    soa_bytes: int
    flags: int
    rows: int
    cell_bits: int
    rounds: int = 0


@lru_cache(maxsize=16)
def object_for(shape: Shape) -> dict[str, bytes]:
    """Return the object file's sections of the program for lists of a shape; it takes some seconds the first time."""
    name = f"kernel-{'-'.join(map(str, shape))}.o"
    return sections_of(kept(name, lambda: bpf_object(_answering(shape), _SIGNATURE, _entry(shape))))


def _entry(shape: Shape) -> str:
    maps = "\n".join(
        f'@{name} = external global [{size} x i8], section ".maps"' for name, size in map_bytes(shape).items()
    )
    least = HEADERS_BYTES + HEADER_BYTES + TAIL_BYTES
    return _ENTRY.format(
        maps=maps,
        types=", ptr" * len(_TYPES),
        arguments="".join(f", ptr @{name}" for name in _TYPES),
        least=least,
        spread=FRAME_BYTES - least,
        headers=HEADERS_BYTES,
        take=_TAKE.format(mask=shape.rounds - 1, size=ROUND_BYTES) if shape.rounds else "",
        give_back=_GIVE_BACK if shape.rounds else "",
    )


def map_bytes(shape: Shape) -> dict[str, int]:
    """Return the maps of a program by name, with the bytes of each; that of the frame, `cpu_frame`, left out."""
    rows = {
        "control": _CONTROL_ROWS, "name": NAME_ROW, "care": NAME_ROW, "soa": SOA_ROW, "shows": SHOWS_ROW,
        "ends": CLASS_ROWS, "cells": _cell_rows(shape), "near": _BIT_ROWS, "touched": _BIT_ROWS, "suffix": shape.rows,
        "value": shape.rows,
    }  # fmt: skip
    sizes = {name: count * np.dtype(_TYPES[name]).itemsize for name, count in rows.items()}
    return sizes | ({"asked": ROUND_BYTES * shape.rounds, "turns": 16} if shape.rounds else {})


def _cell_rows(shape: Shape) -> int:
    return (1 << 32 - shape.cell_bits) + 1


def _answering(shape: Shape) -> Callable[..., int]:
    """Return the function that Numba compiles: pointers made arrays, the shape's numbers constants."""
    # Of one zone, and constants: what they decide is gone from the program.
    name_bytes, soa_bytes, flags = (cast("Array", (number,)) for number in shape[:3])
    rows, mask, cell_rows, cell_bits = shape.rows, shape.rows - 1, _cell_rows(shape), shape.cell_bits

    def function(
        headers: Pointer, packet: Pointer, length: int, clock: int, control: Pointer, name: Pointer, care: Pointer,
        soa: Pointer, shows: Pointer, ends: Pointer, cells: Pointer, near: Pointer, touched: Pointer, suffix: Pointer,
        value: Pointer,
    ) -> int:  # fmt: skip
        none, keys = carray(cells, 0), carray(near, 0)
        bits, networks, wide = carray(touched, _BIT_ROWS), Nets(none, none, none, 0), Nets(none, keys, none, 0)
        ipv4 = Family(carray(value, rows), none, none, 0, networks, networks, bits, mask)
        ipv6 = Family(carray(value, rows), keys, none, 0, wide, wide, bits, mask)
        lists = Lists(
            1, carray(name, NAME_ROW), carray(care, NAME_ROW), name_bytes, carray(soa, SOA_ROW), soa_bytes,
            carray(shows, SHOWS_ROW), flags, carray(ends, CLASS_ROWS), CLASS_ROWS - 1, carray(cells, cell_rows),
            cell_bits, carray(suffix, rows), carray(near, _BIT_ROWS), ipv4, keys, none, 0, 0, ipv6,
        )  # fmt: skip
        return respond(
            carray(headers, HEADERS_BYTES), carray(packet, ROOM_BYTES), length, lists, carray(control, _CONTROL_ROWS),
            clock,
        )  # fmt: skip

    return function
