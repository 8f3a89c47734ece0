"""What a name server counts: queries, answers by code, drops by reason, how long answers took, and who asks most.

All of it is arrays that only grow, so that the packet loop adds to them without a lock, and whoever shows them reads
them as they are.  Clients are counted by network, and in a sketch of fixed size: Space-Saving (Metwally, Agrawal and El
Abbadi 2005), in which whoever is new takes the place and the count of the least.  Here that is the least of eight, so a
query costs the same whoever asks; a count is too high by at most an eighth of what its eight have seen.  The same,
compiled, is in `fast.py`.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whimbrel.nameserver.guards.limits import mixed

WAYS = 8
SKETCH = 512  # networks that are told apart; a terminal shows twenty


class Count(IntEnum):
    """What is counted, by its place in `Counts.totals`."""

    UDP = 0  # queries
    TCP = 1
    UNANSWERED = 2  # what is no query, and gets no answer
    LIMITED = 3  # answers that rate limiting dropped
    SLIPPED = 4  # answers that it sent empty
    DENIED = 5  # refused by the access list
    PROVED = 6  # queries with a good server cookie
    UNPROVED = 7  # queries with a cookie, but no good one of ours
    UNSENT = 8  # queries left unanswered, for the network took no more
    NANOSECONDS = 9  # that answers took together
    KNOWN = 10  # packets from known networks, by their own socket
    OVERFLOW = 11  # packets that found a socket full, and that of known networks
    OVERFLOW_KNOWN = 12


# By the third octet's last two bits, and the last: 127.0.0.x to 127.0.3.x, and the errors 127.255.255.252 to .255.
CODES = 1024
# Of a time in nanoseconds: which bit is its first, and the two behind it; so a bucket is at most a quarter too wide.
BUCKETS = 160


class Counts(NamedTuple):
    """All counts."""

    totals: NDArray[np.int64]  # by Count
    rcodes: NDArray[np.int64]  # 32: answers by return code, the highest of which is BADCOOKIE, 23
    codes: NDArray[np.int64]  # A records sent, by `code_place`
    times: NDArray[np.int64]  # answers, by `time_place`
    clients: NDArray[np.uint64]  # a sketch of prefixes, and how often each
    asked: NDArray[np.int64]
    limited: NDArray[np.uint64]  # the same of what was limited
    withheld: NDArray[np.int64]


def counts_of_nothing() -> Counts:
    """Return counts that are all zero."""

    def zeros(size: int) -> NDArray[np.int64]:
        return np.zeros(size, np.int64)

    names = (np.zeros(SKETCH, np.uint64), np.zeros(SKETCH, np.uint64))
    return Counts(
        zeros(len(Count)), zeros(32), zeros(CODES), zeros(BUCKETS), names[0], zeros(SKETCH), names[1], zeros(SKETCH)
    )


def count_answer(counts: Counts, response: bytes, question_bytes: int) -> None:
    """Count an answer by its return codes, before it gets a cookie; its question is so long."""
    rcode = response[3] & 0xF
    at = 12 + question_bytes  # of the first record: a pointer, type, class, lifetime, length, data
    if response[11] and len(response) >= at + 11:  # the OPT record ends the answer, and has the code's upper bits
        rcode |= (response[-6] & 1) << 4
    counts.rcodes[rcode] += 1
    has_records = response[6] or response[7]
    if rcode == 0 and has_records and response[at + 2 : at + 4] == b"\0\x01":
        counts.codes[code_place(response[at + 14], response[at + 15])] += 1


def code_place(third: int, last: int) -> int:
    """Return where answers of 127.x.third.last are counted."""
    return (third & 3) << 8 | last


def code_text(place: int) -> str:
    """Return the address that is counted at a place."""
    third, last = place >> 8, place & 0xFF
    return f"127.255.255.{last}" if third == 3 and last >= 252 else f"127.0.{third}.{last}"


def time_place(nanoseconds: int) -> int:
    """Return the bucket of a time."""
    value = max(nanoseconds, 4)
    first = value.bit_length() - 3
    return min(first << 2 | value >> first & 3, BUCKETS - 1)


def time_bound(place: int) -> float:
    """Return where a bucket ends, in seconds."""
    return ((place & 3) + 5) * 2.0 ** (place >> 2) * 1e-9


def note(keys: NDArray[np.uint64], times: NDArray[np.int64], prefix: int) -> None:
    """Count a prefix in a sketch."""
    first = (mixed(prefix) & (len(keys) // WAYS - 1)) * WAYS
    known: list[int] = keys[first : first + WAYS].tolist()
    at = first + (known.index(prefix) if prefix in known else int(np.argmin(times[first : first + WAYS])))
    keys[at] = prefix
    times[at] += 1


def fade(times: NDArray[np.int64]) -> None:
    """Let what was counted weigh half, so that a sketch is of the last while."""
    np.right_shift(times, 1, out=times)
