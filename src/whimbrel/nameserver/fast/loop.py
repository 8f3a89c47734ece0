"""The packet loop: as many queries as the kernel has, answers written over them, all of them sent in one call.

It runs without Python's lock, from one `Loop`'s arrays alone, until it is told to return or has packets that the
reference must answer.  Linux only: recvmmsg(2) and sendmmsg(2).

Where queries of known networks come by a socket of their own (`steering.py`), that one is looked at first, before each
batch: so under a flood they wait for one batch of strangers at most, and strangers for what time is left.
"""

import numpy as np
from numpy.typing import NDArray

from whimbrel.nameserver.fast.answer import HANDED_ON
from whimbrel.nameserver.fast.batch import Searches, find_all, searches
from whimbrel.nameserver.fast.guarded import COOKIE_BYTES, NOT_SENT, Guards, guarded_reply
from whimbrel.nameserver.fast.insides import compiled, external, inlined
from whimbrel.nameserver.fast.search import Array, Lists
from whimbrel.nameserver.guards.counts import Count
from whimbrel.nameserver.guards.fast import time_place

BATCH = 64  # packets in one call; more gain nothing here, and each waits for the last
# Longer queries than the compiled answer takes are rare (padded ones, RFC 8467, have 128 or 256); what is longer than
# this is cut, and so no good query.  An odd number of cache lines: so the rows' beginnings do not compete for places.
ROW_BYTES = 65 * 64
_NAME_BYTES = 28  # struct sockaddr_in6
_IDLE_MILLISECONDS = 50  # how long a change can wait where no query comes
# So many batches of known networks in a row, then one of strangers: if known ones are forged, a sixteenth of the time
# is still left for everybody else.
MOST_IN_A_ROW = 15
# Of a whole batch of strangers, which is a sign of more to come, the reference gets so many: half a millisecond's work.
MOST_HANDED_ON = 8
_MSG_DONTWAIT = 0x40
_POLLIN = 1
_UNSENT, _NANOSECONDS, _KNOWN, _OVERFLOW = (
    int(each) for each in (Count.UNSENT, Count.NANOSECONDS, Count.KNOWN, Count.OVERFLOW)
)

# struct mmsghdr, iovec, pollfd, timespec of 64-bit Linux (recvmmsg(2), poll(2), clock_gettime(2)).
_MESSAGE = np.dtype(
    [("name", "u8"), ("name_bytes", "u4"), ("_1", "u4"), ("pieces", "u8"), ("piece_count", "u8"), ("control", "u8"),
     ("control_bytes", "u8"), ("flags", "i4"), ("_2", "u4"), ("bytes", "u4"), ("_3", "u4")]
)  # fmt: skip
_MESSAGE_BYTES = _MESSAGE.itemsize
_PIECE = np.dtype([("base", "u8"), ("bytes", "u8")])
_POLL = np.dtype([("fd", "i4"), ("events", "i2"), ("returned", "i2")])

_recvmmsg = external("recvmmsg", "int32(int32, uintp, uint32, int32, uintp)")
_sendmmsg = external("sendmmsg", "int32(int32, uintp, uint32, int32)")
_poll = external("poll", "int32(uintp, uint64, int32)")
_clock_gettime = external("clock_gettime", "int32(int32, uintp)")

NO_SOCKET = -1

# Rows of `Loop.control`.
RETURN, EXPIRES, CLOCK_AHEAD_NANOSECONDS, IN_A_ROW = range(4)
_REALTIME, _MONOTONIC = 0, 1
_SECOND = 1_000_000_000


class Loop:
    """The arrays of one loop over one UDP socket, and perhaps a second one, for known networks."""

    def __init__(self, descriptor: int, known: int = NO_SOCKET) -> None:
        self.descriptors = (descriptor, known)
        self.rows = np.zeros((BATCH, ROW_BYTES), np.uint8)
        self.names = np.zeros((BATCH, _NAME_BYTES), np.uint8)
        self.pieces = np.zeros(BATCH, _PIECE)
        self.received = np.zeros(BATCH, _MESSAGE)
        self.sent = np.zeros(BATCH, _MESSAGE)
        self.polled = np.array([(each, _POLLIN, 0) for each in self.descriptors], _POLL)  # poll(2) passes over -1
        self.clock = np.zeros(2, np.int64)
        self.control = np.zeros(4, np.int64)
        self.handed_on = np.zeros(BATCH, np.int64)
        self.sizes = np.zeros(BATCH, np.int64)
        self.searches = searches(BATCH)
        self.cookie = np.zeros(COOKIE_BYTES, np.uint8)
        step = np.arange(BATCH, dtype=np.uint64)
        self.pieces["base"] = self.rows.ctypes.data + step * np.uint64(ROW_BYTES)
        for each in (self.received, self.sent):
            each["name"] = self.names.ctypes.data + step * np.uint64(_NAME_BYTES)
            each["pieces"] = self.pieces.ctypes.data + step * np.uint64(_PIECE.itemsize)
            each["piece_count"] = 1

    def run(self, lists: Lists, guards: Guards) -> int:
        """Answer until there is something to hand on, whose rows are the first of `handed_on`; return how many.

        Returns 0 when RETURN is set in `control`; EXPIRES there is when the list ends (seconds since 1970).
        """
        addresses = (
            self.received.ctypes.data,
            self.sent.ctypes.data,
            self.polled.ctypes.data,
            self.clock.ctypes.data,
        )
        return int(
            _serve(
                self.descriptors, addresses, self.rows, self.names, self.pieces, self.received, self.sent, self.clock,
                self.control, self.handed_on, self.sizes, self.searches, lists, guards,
            )
        )  # fmt: skip

    def packet(self, row: int) -> tuple[bytes, bytes]:
        """Return a packet that was handed on, and its sender as a struct sockaddr."""
        size = int(self.received["bytes"][row])
        return self.rows[row, :size].tobytes(), self.names[row, : self.received["name_bytes"][row]].tobytes()


@inlined
def nanoseconds_now(which: int, clock: Array, address: int) -> int:
    """Return the time by one of the system's clocks."""
    _clock_gettime(which, address)
    nanoseconds: int = clock[0] * _SECOND + clock[1]
    return nanoseconds


@inlined
def send_all(descriptor: int, address: int, count: int, totals: Array) -> None:
    """Send the first `count` messages; what the kernel does not take (no route, no room) is lost, as on any network."""
    done = 0
    while done < count:
        taken = _sendmmsg(descriptor, address + done * _MESSAGE_BYTES, count - done, 0)
        totals[_UNSENT] += taken <= 0
        done += max(taken, 1)


@inlined
def receive(descriptor: int, address: int, pieces: Array, received: Array) -> int:
    """Receive what is there; return how many packets (none, or an error: 0 or less)."""
    for row in range(BATCH):
        pieces[row]["bytes"] = ROW_BYTES
        received[row]["name_bytes"] = _NAME_BYTES
    return _recvmmsg(descriptor, address, BATCH, _MSG_DONTWAIT, 0)


@inlined
def receive_first(
    descriptors: tuple[int, int], address: int, pieces: Array, received: Array, control: Array, totals: Array
) -> int:
    """Receive from the socket of known networks; where nothing is there, or it was their turn often, from the other."""
    if descriptors[1] != NO_SOCKET and control[IN_A_ROW] < MOST_IN_A_ROW:
        count = receive(descriptors[1], address, pieces, received)
        if count > 0:
            control[IN_A_ROW] += 1
            totals[_KNOWN] += count
            return count
    control[IN_A_ROW] = 0
    return receive(descriptors[0], address, pieces, received)


@inlined
def kept(left: int, count: int, descriptors: tuple[int, int], control: Array, totals: Array) -> int:
    """Return how many of the packets to be handed on are; the rest are dropped, so that known networks do not wait."""
    if descriptors[1] == NO_SOCKET or control[IN_A_ROW] > 0 or count < BATCH or left <= MOST_HANDED_ON:
        return left
    totals[_OVERFLOW] += left - MOST_HANDED_ON
    return MOST_HANDED_ON


@inlined
def queue(sent: Array, given: int, pieces: Array, received: Array, row: int, size: int) -> None:
    """Put an answer of `size` bytes, to the sender of the packet in a row, behind the `given` ones to be sent."""
    pieces[row]["bytes"] = size
    sent[given]["name"] = received[row]["name"]
    sent[given]["name_bytes"] = received[row]["name_bytes"]
    sent[given]["pieces"] = received[row]["pieces"]


@compiled
def _serve(
    descriptors: tuple[int, int],
    addresses: tuple[int, int, int, int],
    rows: NDArray[np.uint8],
    names: NDArray[np.uint8],
    pieces: Array,
    received: Array,
    sent: Array,
    clock: NDArray[np.int64],
    control: NDArray[np.int64],
    handed_on: NDArray[np.int64],
    sizes: NDArray[np.int64],
    under_way: Searches,
    lists: Lists,
    guards: Guards,
) -> int:
    while control[RETURN] == 0:
        count = receive_first(descriptors, addresses[0], pieces, received, control, guards.totals)
        if count <= 0:
            _poll(addresses[2], 2, _IDLE_MILLISECONDS)
            continue
        began = nanoseconds_now(_MONOTONIC, clock, addresses[3])
        time = nanoseconds_now(_REALTIME, clock, addresses[3]) + control[CLOCK_AHEAD_NANOSECONDS]
        now, soon = time // _SECOND, (time + _SECOND - 1) // _SECOND
        for row in range(count):
            sizes[row] = received[row]["bytes"]
        is_good = now < control[EXPIRES]
        if is_good:
            find_all(rows, sizes, count, lists, under_way, now)
        given, left = 0, 0
        for row in range(count):
            size = NOT_SENT
            if names[row, 2] != 0 or names[row, 3] != 0:  # port 0 cannot be answered
                size = HANDED_ON
                if is_good:
                    size = guarded_reply(
                        rows[row], sizes[row], names[row], lists, under_way, row, guards, now, soon, began // 1_000_000
                    )
            if size == HANDED_ON:
                handed_on[left] = row
                left += 1
            elif size != NOT_SENT:
                queue(sent, given, pieces, received, row, size)
                given += 1
        send_all(descriptors[0], addresses[1], given, guards.totals)
        took = nanoseconds_now(_MONOTONIC, clock, addresses[3]) - began
        guards.times[time_place(took)] += given
        guards.totals[_NANOSECONDS] += took * given
        if left > 0:
            return kept(left, count, descriptors, control, guards.totals)
    return 0
