"""The kernel's build: the compiled answer as an XDP program, which the kernel runs on each frame before anything else.

`frame.respond` and all beneath it is compiled by Numba, linked with the entry code here, compiled for BPF by llvmlite,
and loaded with bpf(2); maps of the kernel, filled through memory, hold the list.  A `Program` answers from one
snapshot, for its main zone.  What is asked of other zones, of names, of networks, of entries in the side table, of /16s
that the overlay touches, with IPv6, TXT, cookies or TCP goes on to the sockets (XDP_PASS); so does what is not listed
in a zone that lists names, too.
Nothing is attached to an interface here: `run` is BPF_PROG_TEST_RUN.

Needs Linux 5.18 (bpf_xdp_load_bytes) and CAP_BPF with CAP_NET_ADMIN, or root.
"""

import mmap
import os
import struct
import time
from collections.abc import Sequence
from ipaddress import IPv4Address

from whimbrel.errors import ConfigError
from whimbrel.nameserver.fast import bpf
from whimbrel.nameserver.fast.entry import (
    CLASS_ROWS,
    FRAME_MAP_BYTES,
    ROUND_BYTES,
    SECTION,
    Shape,
    map_bytes,
    object_for,
)
from whimbrel.nameserver.fast.frame import ADDRESS, AHEAD_NANOSECONDS, EXPIRES
from whimbrel.nameserver.fast.search import NAME_ROW, SHOWS_ROW, SOA_ROW, Array, Lists
from whimbrel.nameserver.fast.tables import lists_of, overlaid
from whimbrel.wire import dns
from whimbrel.wire.snapshot import Snapshot

_LEAST_ROWS = 1 << 16


class Program:
    """The program for one snapshot, loaded, and its maps filled; it answers what is sent to one IPv4 address, port 53.

    Raise ConfigError for a list that it cannot serve, OSError where the kernel refuses (PermissionError without the
    privilege).  A list of some shape is compiled once, which takes seconds.  `rounds` are for timing: see `Shape`.
    """

    def __init__(self, snapshot: Snapshot, address: IPv4Address, rounds: Sequence[bytes] = ()) -> None:
        lists = overlaid(lists_of(snapshot), snapshot.overlay)
        zone = _main_row(snapshot, lists)
        shape = _shape(lists, zone, len(rounds))
        self._sizes = map_bytes(shape)
        self._descriptors: dict[str, int] = {}
        try:
            for name, size in self._sizes.items():
                self._descriptors[name] = bpf.create_map(size)
            self._descriptors["cpu_frame"] = bpf.create_map(FRAME_MAP_BYTES, per_cpu=True)
            for name, content in (_contents(lists, zone) | _to_ask(rounds)).items():
                with self._memory(name) as memory:
                    memory[: len(content)] = content
            self._control = self._memory("control")
            self._set(EXPIRES, snapshot.expires)
            self._set(ADDRESS, int(address))
            code = bpf.placed(object_for(shape), SECTION, self._descriptors)
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

    def answered(self) -> int:
        """Return how many rounds were answered; of a program to be timed."""
        with self._memory("turns") as memory:
            return int(struct.unpack_from("<qq", memory)[1])

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


def _shape(lists: Lists, zone: int, rounds: int) -> Shape:
    rows = max(_LEAST_ROWS, 1 << len(lists.suffix).bit_length())
    name_bytes, soa_bytes, flags = (int(each[zone]) for each in (lists.name_bytes, lists.soa_bytes, lists.flags))
    return Shape(name_bytes, soa_bytes, flags, rows, lists.cell_bits, rounds)


def _contents(lists: Lists, zone: int) -> dict[str, bytes]:
    """Return what the maps hold, but for `control`."""

    def row(array: Array, size: int) -> bytes:
        return array[size * zone : size * (zone + 1)].tobytes()

    return {
        "name": row(lists.name, NAME_ROW), "care": row(lists.care, NAME_ROW), "soa": row(lists.soa, SOA_ROW),
        "shows": row(lists.shows, SHOWS_ROW), "ends": lists.ends[:CLASS_ROWS].tobytes(),
        "cells": lists.cells.tobytes(), "near": lists.near.tobytes(), "touched": lists.ipv4.touched.tobytes(),
        "suffix": lists.suffix.tobytes(), "value": lists.ipv4.value.tobytes(),
    }  # fmt: skip


def _to_ask(rounds: Sequence[bytes]) -> dict[str, bytes]:
    return {"asked": b"".join(frame.ljust(ROUND_BYTES, b"\0") for frame in rounds)} if rounds else {}
