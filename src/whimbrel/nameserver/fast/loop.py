"""The packet loop: as many queries as the kernel has, answers written over them, all of them sent in one call.

It runs without Python's lock, from one `Loop`'s arrays alone, until it is told to return or has packets that the
reference must answer.  Linux only: recvmmsg(2) and sendmmsg(2).
"""

import numpy as np
from numpy.typing import NDArray

from whimbrel.nameserver.fast.answer import HANDED_ON
from whimbrel.nameserver.fast.batch import Searches, answer_all, searches
from whimbrel.nameserver.fast.insides import compiled, external
from whimbrel.nameserver.fast.search import Array, Lists

BATCH = 64  # packets in one call; more gain nothing here, and each waits for the last
# Longer queries than the compiled answer takes are rare (padded ones, RFC 8467, have 128 or 256); what is longer than
# this is cut, and so no good query.  An odd number of cache lines: so the rows' beginnings do not compete for places.
ROW_BYTES = 65 * 64
_NAME_BYTES = 28  # struct sockaddr_in6
_IDLE_MILLISECONDS = 50  # how long a change can wait where no query comes
_MSG_DONTWAIT = 0x40
_POLLIN = 1

# struct mmsghdr, iovec, pollfd, timespec of 64-bit Linux (recvmmsg(2), poll(2), clock_gettime(2)).
_MESSAGE = np.dtype(
    [("name", "u8"), ("name_bytes", "u4"), ("_1", "u4"), ("pieces", "u8"), ("piece_count", "u8"), ("control", "u8"),
     ("control_bytes", "u8"), ("flags", "i4"), ("_2", "u4"), ("bytes", "u4"), ("_3", "u4")]
)  # fmt: skip
_PIECE = np.dtype([("base", "u8"), ("bytes", "u8")])
_POLL = np.dtype([("fd", "i4"), ("events", "i2"), ("returned", "i2")])

_recvmmsg = external("recvmmsg", "int32(int32, uintp, uint32, int32, uintp)")
_sendmmsg = external("sendmmsg", "int32(int32, uintp, uint32, int32)")
_poll = external("poll", "int32(uintp, uint64, int32)")
_clock_gettime = external("clock_gettime", "int32(int32, uintp)")

# Rows of `Loop.control`.
RETURN, EXPIRES, CLOCK_AHEAD_NANOSECONDS = range(3)
# Rows of `Loop.counts`; answers by return code come from BY_RCODE on.
QUERIES, DROPPED, BY_RCODE = range(3)
_RCODES = 16


class Loop:
    """The arrays of one loop over one UDP socket, and what it has counted (`counts`, by the rows named above)."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.rows = np.zeros((BATCH, ROW_BYTES), np.uint8)
        self.names = np.zeros((BATCH, _NAME_BYTES), np.uint8)
        self.pieces = np.zeros(BATCH, _PIECE)
        self.received = np.zeros(BATCH, _MESSAGE)
        self.sent = np.zeros(BATCH, _MESSAGE)
        self.polled = np.array([(descriptor, _POLLIN, 0)], _POLL)
        self.clock = np.zeros(2, np.int64)
        self.control = np.zeros(3, np.int64)
        self.counts = np.zeros(BY_RCODE + _RCODES, np.uint64)
        self.handed_on = np.zeros(BATCH, np.int64)
        self.sizes = np.zeros(BATCH, np.int64)
        self.searches = searches(BATCH)
        step = np.arange(BATCH, dtype=np.uint64)
        self.pieces["base"] = self.rows.ctypes.data + step * np.uint64(ROW_BYTES)
        for each in (self.received, self.sent):
            each["name"] = self.names.ctypes.data + step * np.uint64(_NAME_BYTES)
            each["pieces"] = self.pieces.ctypes.data + step * np.uint64(_PIECE.itemsize)
            each["piece_count"] = 1

    def run(self, lists: Lists) -> int:
        """Answer until there is something to hand on, whose rows are the first of `handed_on`; return how many."""
        addresses = (
            self.received.ctypes.data,
            self.sent.ctypes.data,
            self.polled.ctypes.data,
            self.clock.ctypes.data,
        )
        return int(
            _serve(
                self.descriptor, addresses, self.rows, self.names, self.pieces, self.received, self.sent, self.clock,
                self.control, self.counts, self.handed_on, self.sizes, self.searches, lists,
            )
        )  # fmt: skip

    def packet(self, row: int) -> tuple[bytes, bytes]:
        """Return a packet that was handed on, and its sender as a struct sockaddr."""
        size = int(self.received["bytes"][row])
        return self.rows[row, :size].tobytes(), self.names[row, : self.received["name_bytes"][row]].tobytes()


@compiled
def _serve(
    descriptor: int,
    addresses: tuple[int, int, int, int],
    rows: NDArray[np.uint8],
    names: NDArray[np.uint8],
    pieces: Array,
    received: Array,
    sent: Array,
    clock: NDArray[np.int64],
    control: NDArray[np.int64],
    counts: NDArray[np.uint64],
    handed_on: NDArray[np.int64],
    sizes: NDArray[np.int64],
    under_way: Searches,
    lists: Lists,
) -> int:
    while control[RETURN] == 0:
        for row in range(BATCH):
            pieces[row]["bytes"] = ROW_BYTES
            received[row]["name_bytes"] = _NAME_BYTES
        count = _recvmmsg(descriptor, addresses[0], BATCH, _MSG_DONTWAIT, 0)
        if count <= 0:
            _poll(addresses[2], 1, _IDLE_MILLISECONDS)
            continue
        _clock_gettime(0, addresses[3])
        nanoseconds = clock[0] * 1_000_000_000 + clock[1] + control[CLOCK_AHEAD_NANOSECONDS]
        now, soon = nanoseconds // 1_000_000_000, (nanoseconds + 999_999_999) // 1_000_000_000
        for row in range(count):
            sizes[row] = received[row]["bytes"]
        if now < control[EXPIRES]:
            answer_all(rows, sizes, count, lists, under_way, now, soon)
        else:
            for row in range(count):
                sizes[row] = HANDED_ON
        given, left = 0, 0
        for row in range(count):
            if names[row, 2] == 0 and names[row, 3] == 0:  # port 0 cannot be answered
                counts[DROPPED] += 1
                continue
            if sizes[row] == HANDED_ON:
                handed_on[left] = row
                left += 1
                continue
            counts[BY_RCODE + (rows[row, 3] & 15)] += 1
            pieces[row]["bytes"] = sizes[row]
            sent[given]["name"] = received[row]["name"]
            sent[given]["name_bytes"] = received[row]["name_bytes"]
            sent[given]["pieces"] = received[row]["pieces"]
            given += 1
        counts[QUERIES] += count
        done = 0
        while done < given:
            taken = _sendmmsg(descriptor, addresses[1] + done * 64, given - done, 0)
            # What the kernel refuses (no route, no room) is one answer lost, as on any network.
            counts[DROPPED] += taken <= 0
            done += max(taken, 1)
        if left > 0:
            return left
    return 0
