"""Which socket of an endpoint a query reaches: a classic BPF program on the group of sockets that share an address.

Linux runs it for each datagram, in the sender's time (SO_ATTACH_REUSEPORT_CBPF, socket(7)); no privilege is needed.
What it returns is a socket by the order in which the group's were bound.  Where there is none of that number, Linux
spreads by a hash, as it does without a program.

A program is a binary search by the source address over ascending ranges.  All its jumps go forward, so it is put
together from its end: then each jump's distance is known when it is written, and one too long for the 8 bits of a
comparison goes by way of an unconditional one, which has 32.
"""

import ctypes
import errno
import socket
import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from whimbrel.nameserver.guards.access import Network

MOST_INSTRUCTIONS = 4096  # BPF_MAXINSNS
# A socket's number is its worker's, times two, plus the class of the queries that it gets.
STRANGERS, KNOWN = 0, 1

_SO_ATTACH_REUSEPORT_CBPF = 51  # asm-generic/socket.h
_NETWORK_HEADER = 0xFFF00000  # SKF_NET_OFF: the program's own offsets begin behind the UDP header
_LONGEST = 255
_WORD_BITS = 32
_WORD = 0xFFFFFFFF
# Knuth's multiplier (2^32 by the golden ratio): its product's upper half hangs on all bits below.
_MULTIPLIER = 0x9E3779B1

# struct sock_filter's operations (linux/bpf_common.h).
LOAD_WORD, LOAD_HALF, LOAD_BYTE, LOAD_HALF_BEHIND_X, LOAD_HEADER_BYTES_TO_X = 0x20, 0x28, 0x30, 0x48, 0xB1
ADD, ADD_X, MULTIPLY, REMAINDER, SHIFT_LEFT, SHIFT_RIGHT = 0x04, 0x0C, 0x24, 0x94, 0x64, 0x74
JUMP, IF_EQUAL, IF_ABOVE, IF_NOT_BELOW = 0x05, 0x15, 0x25, 0x35
A_TO_X, X_TO_A, RETURN, RETURN_A = 0x07, 0x87, 0x06, 0x16


class Instruction(NamedTuple):
    """One of a program: of a comparison, how many are skipped where it holds and where not."""

    operation: int
    value: int = 0
    yes: int = 0
    no: int = 0


class _Range(NamedTuple):
    """Words from one to another; `within` are the ranges of the next word, where that decides."""

    first: int
    last: int
    within: "tuple[_Range, ...]" = ()


class _Layout(NamedTuple):
    """Where an IP header has what is looked at."""

    version: int
    words: tuple[int, ...]  # of the source address, those that a network can be told by
    last_word: int  # of the source address


_LAYOUTS = {
    socket.AF_INET: _Layout(4, (12,), 12),
    # A host is a /64 in all of Whimbrel, so the lower half of an IPv6 address is not looked at.
    socket.AF_INET6: _Layout(6, (8, 12), 20),
}


_ADDRESS_BITS = {4: 32, 6: 128}


class _Assembly:
    """A program under way, its last instruction first.  A place is how many instructions lie from it to the end."""

    def __init__(self) -> None:
        self.code: list[Instruction] = []
        self.ends = {STRANGERS: 0, KNOWN: 0}  # the nearest place from which a class's socket is returned

    def add(self, *instructions: Instruction) -> int:
        """Put instructions in front; return their place."""
        self.code += reversed(instructions)
        return len(self.code)

    def branch(self, operation: int, value: int, *, yes: int, no: int) -> None:
        """Put a comparison in front that goes on at one place or another."""
        near = {}
        for place in (yes, no):
            if len(self.code) + 1 - place > _LONGEST:  # one more may be put between
                near[place] = self.add(Instruction(JUMP, len(self.code) - place))
        for name, place in self.ends.items():
            self.ends[name] = near.get(place, place)
        size = len(self.code)
        self.add(Instruction(operation, value, size - near.get(yes, yes), size - near.get(no, no)))


def program(networks: Iterable[Network], family: int, workers: int, *, classes: int = 2) -> list[Instruction]:
    """Return the program of a group with a socket for each class of each worker, or with one class for all."""
    layout = _LAYOUTS[socket.AddressFamily(family)]
    if classes == 1:
        return [*_spread(layout, workers, classes), Instruction(X_TO_A), Instruction(RETURN_A)]
    assembly = _Assembly()
    for name in (KNOWN, STRANGERS):
        assembly.ends[name] = assembly.add(*_end(name, workers))
    ranges = _ranges(networks, layout)
    if ranges:
        _search(assembly, ranges, layout.words)
        assembly.branch(IF_EQUAL, layout.version, yes=len(assembly.code), no=assembly.ends[STRANGERS])
        assembly.add(Instruction(LOAD_BYTE, _NETWORK_HEADER), Instruction(SHIFT_RIGHT, 4))
    if workers > 1:
        assembly.add(*_spread(layout, workers, classes))
    return assembly.code[::-1]


def fitting(networks: Sequence[Network], family: int, workers: int, most: int = MOST_INSTRUCTIONS) -> int:
    """Return how many of the networks, from the first, a program of at most so many instructions can tell."""
    least, above = 0, len(networks) + 1
    while above - least > 1:
        middle = (least + above) // 2
        if len(program(networks[:middle], family, workers)) <= most:
            least = middle
        else:
            above = middle
    return least


def attach(member: socket.socket, instructions: Sequence[Instruction]) -> None:
    """Let a program choose among the sockets of a group, from the next datagram on; raises OSError."""
    packed = b"".join(struct.pack("<HBBI", each.operation, each.yes, each.no, each.value) for each in instructions)
    code = ctypes.create_string_buffer(packed, len(packed))
    told = struct.pack("@HP", len(instructions), ctypes.addressof(code))
    member.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, told)


def steer(member: socket.socket, networks: Sequence[Network], workers: int) -> int:
    """Steer as many of the networks as the kernel takes, from the first; return how many are left out.

    Those of another family than the socket's are passed over.  Raises OSError where the kernel takes no program.
    """
    version = _LAYOUTS[member.family].version
    ours = [each for each in networks if each.version == version]
    kept, most = len(ours), MOST_INSTRUCTIONS
    while True:
        kept = fitting(ours[:kept], member.family, workers, most)
        try:
            attach(member, program(ours[:kept], member.family, workers))
        except OSError as error:
            if error.errno != errno.ENOMEM or not kept:
                raise
            most = most * 3 // 4  # net.core.optmem_max bounds it too: 20 KiB before Linux 6.8
        else:
            return len(ours) - kept


def _end(class_: int, workers: int) -> Sequence[Instruction]:
    """Return what ends a program; of several workers, X holds the number of the worker's first socket."""
    if workers == 1:
        return (Instruction(RETURN, class_),)
    return (Instruction(X_TO_A), Instruction(ADD, class_), Instruction(RETURN_A))


def _spread(layout: _Layout, workers: int, classes: int) -> Sequence[Instruction]:
    """Return what chooses a worker by source address and port, so that the answers of one client are of one worker.

    Behind extension headers, which no resolver sends, something else is taken for the port.
    """
    port = [Instruction(LOAD_HALF, _NETWORK_HEADER + 40)]
    if layout.version == 4:
        port = [
            Instruction(LOAD_HEADER_BYTES_TO_X, _NETWORK_HEADER),
            Instruction(LOAD_HALF_BEHIND_X, _NETWORK_HEADER),
        ]
    return (
        *port,
        Instruction(A_TO_X),
        Instruction(LOAD_WORD, _NETWORK_HEADER + layout.last_word),
        Instruction(ADD_X),
        Instruction(MULTIPLY, _MULTIPLIER),
        Instruction(SHIFT_RIGHT, _WORD_BITS // 2),
        Instruction(REMAINDER, workers),
        Instruction(MULTIPLY, classes),
        Instruction(A_TO_X),
    )


def _search(assembly: _Assembly, ranges: Sequence[_Range], words: Sequence[int]) -> None:
    """Put in front what tells whether the first of some words of the header lies in a range."""

    def tree(some: Sequence[_Range]) -> int:
        """Of ranges the first of which does not begin above the word: find the last such one."""
        if len(some) == 1:
            _leaf(assembly, some[0], words)
            return len(assembly.code)
        middle = len(some) // 2
        right = tree(some[middle:])
        left = tree(some[:middle])
        assembly.branch(IF_NOT_BELOW, some[middle].first, yes=right, no=left)
        return len(assembly.code)

    tree(ranges)
    if ranges[0].first:
        assembly.branch(IF_NOT_BELOW, ranges[0].first, yes=len(assembly.code), no=assembly.ends[STRANGERS])
    assembly.add(Instruction(LOAD_WORD, _NETWORK_HEADER + words[0]))


def _leaf(assembly: _Assembly, found: _Range, words: Sequence[int]) -> None:
    if not found.within:
        assembly.branch(IF_ABOVE, found.last, yes=assembly.ends[STRANGERS], no=assembly.ends[KNOWN])
        return
    _search(assembly, found.within, words[1:])
    assembly.branch(IF_EQUAL, found.last, yes=len(assembly.code), no=assembly.ends[STRANGERS])


def _ranges(networks: Iterable[Network], layout: _Layout) -> tuple[_Range, ...]:
    """Return ascending ranges that lie apart, of the words that are looked at."""
    bits = _WORD_BITS * len(layout.words)
    shift = _ADDRESS_BITS[layout.version] - bits
    spans: list[tuple[int, int]] = []
    for first, last in sorted(
        (int(each.network_address) >> shift, int(each.broadcast_address) >> shift)
        for each in networks
        if each.version == layout.version
    ):
        if spans and first <= spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], max(last, spans[-1][1]))
        else:
            spans.append((first, last))
    if bits == _WORD_BITS:
        return tuple(_Range(*span) for span in spans)
    return _by_upper_word(spans)


def _by_upper_word(spans: Iterable[tuple[int, int]]) -> tuple[_Range, ...]:
    """Cut spans of two words into whole upper words, and parts of one upper word each."""
    found: list[_Range] = []
    for first, last in spans:
        at = first
        while at <= last:
            upper = at >> _WORD_BITS
            whole_until = (last + 1 >> _WORD_BITS) - 1
            if not at & _WORD and upper <= whole_until:
                found.append(_Range(upper, whole_until))
                at = whole_until + 1 << _WORD_BITS
                continue
            part = _Range(at & _WORD, min(last, upper << _WORD_BITS | _WORD) & _WORD)
            if found and found[-1].within and found[-1].last == upper:
                part_of = found.pop().within
                found.append(_Range(upper, upper, (*part_of, part)))
            else:
                found.append(_Range(upper, upper, (part,)))
            at = (upper << _WORD_BITS) + part.last + 1
    return tuple(found)
