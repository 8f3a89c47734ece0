"""The UDP sockets of one endpoint: for each worker one, and with known networks a second one for these.

Known networks are those whose queries are answered first when more come than can be answered.  The kernel puts a query
into the socket of its class (`steering.py`), so a flood of strangers fills their socket and leaves the other alone, and
what it drops there costs this process nothing.
"""

import logging
import socket
import struct
from collections.abc import Sequence
from typing import NamedTuple

from whimbrel.nameserver.guards.access import Network
from whimbrel.nameserver.guards.counts import Count, Counts
from whimbrel.nameserver.sockets import Bound, more_sockets
from whimbrel.nameserver.steering import KNOWN, attach, program, steer

# asm-generic/socket.h; sock_diag(7) has the order: nine 32-bit numbers, the last but none how many were dropped.
_SO_MEMINFO = 55
_MEMORY = struct.Struct("=9I")
_DROPPED = 8

_log = logging.getLogger(__name__)


class Pair(NamedTuple):
    """The sockets of one worker."""

    strangers: socket.socket
    known: socket.socket | None


class Group:
    """All UDP sockets of an endpoint; the first is the endpoint's own, the further ones are closed by `close`.

    Where the kernel cannot steer, there is no socket for known networks, and a logged line says so.
    """

    def __init__(self, bound: Bound, known: Sequence[Network] | None) -> None:
        self.endpoint = bound.endpoint
        self._sockets = [bound.udp]
        self._spare = list(bound.beside)
        self._workers = 1
        self._classes = 1
        self._dropped: list[int] = [_drops_of(bound.udp)]
        if known is not None and self._steered(known) and self._opened(2):
            self._classes = 2

    @property
    def pairs(self) -> list[Pair]:
        """The sockets, by worker."""
        strangers, known = self._sockets[:: self._classes], self._sockets[KNOWN :: self._classes]
        return [Pair(each, known[at] if self._classes > 1 else None) for at, each in enumerate(strangers)]

    def widen(self, workers: int, known: Sequence[Network]) -> None:
        """Have sockets for so many workers; each gets its share of the queries at once.

        Where no further ones can be had there stays one worker, and a logged line says so.
        """
        if not self._opened(workers * self._classes):
            return
        self._workers = workers
        if self._classes > 1:
            self.steer(known)
        elif workers > 1:
            _spread(self._sockets[0], workers)

    def steer(self, known: Sequence[Network]) -> None:
        """Steer these networks from now on, and no others, where any are steered at all."""
        if self._classes > 1:
            self._steered(known)

    def count_overflows(self, counts: Counts) -> None:
        """Add to the counts what the kernel has dropped since last asked, for a socket was full."""
        for number, each in enumerate(self._sockets):
            now = _drops_of(each)
            is_known = self._classes > 1 and number % 2 == KNOWN
            counts.totals[Count.OVERFLOW_KNOWN if is_known else Count.OVERFLOW] += (
                now - self._dropped[number] & 0xFFFFFFFF
            )
            self._dropped[number] = now

    def close(self) -> None:
        """Close all sockets."""
        for each in (*self._sockets, *self._spare):
            each.close()

    def _opened(self, count: int) -> bool:
        """Have so many sockets; False, with a logged line, where there stay those that there are."""
        wanted = count - len(self._sockets)
        spare = self._spare[:wanted]
        try:
            new = spare + more_sockets(self._sockets[0], wanted - len(spare))
        except OSError as error:
            _log.warning("%s: no further socket can be had (%s)", self.endpoint, error.strerror)
            return False
        self._spare = self._spare[wanted:]
        self._sockets += new
        self._dropped += map(_drops_of, new)
        return True

    def _steered(self, known: Sequence[Network]) -> bool:
        """Steer known networks; False, with a logged line, where that cannot be."""
        try:
            left_out = steer(self._sockets[0], known, self._workers)
        except OSError as error:
            _log.warning("%s: known networks cannot be told from others here (%s)", self.endpoint, error.strerror)
            return False
        if left_out:
            _log.warning(
                "%s: %d known networks are more than the kernel's programs hold; the last ones are strangers there:"
                " merge some into wider ones",
                self.endpoint, left_out,
            )  # fmt: skip
        return True


def _spread(first: socket.socket, workers: int) -> None:
    """Let each of several workers have its share, where a program let the first have all."""
    try:
        attach(first, program((), first.family, workers, classes=1))
    except OSError:
        return  # then there is no program, and the kernel spreads by itself


def _drops_of(each: socket.socket) -> int:
    """Return how many datagrams a socket has dropped, modulo 2^32; 0 where the system does not tell."""
    try:
        told = each.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMORY.size)
    except OSError:
        return 0
    return int(_MEMORY.unpack(told)[_DROPPED]) if len(told) == _MEMORY.size else 0
