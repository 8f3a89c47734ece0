"""What a running name server tells of itself: a small file, written each second, that only its owner can read.

Addresses are in it as networks alone, and subscribers by name; neither is kept for longer than the file is.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from whimbrel.errors import StoreError
from whimbrel.nameserver.counters import Counters
from whimbrel.nameserver.guards.client import prefix_text
from whimbrel.nameserver.guards.counts import Count, code_text, time_bound
from whimbrel.wire.dns import Rcode

if TYPE_CHECKING:
    from whimbrel.nameserver.guards.quota import Quotas

_SHOWN = 20  # networks: what a terminal shows


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """A subscriber's queries today, and how many he has a day."""

    used: int
    limit: int


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """Counts since the start, but for networks: theirs are of the last half minute or so."""

    at: float  # seconds since 1970, of this machine's clock
    pid: int
    serial: int | None
    queries: dict[str, int]  # by transport
    known: int  # packets that came from known networks
    rcodes: dict[str, int]  # answers by return code
    codes: dict[str, int]  # addresses sent
    dropped: dict[str, int]  # queries without an answer, by reason
    slipped: int  # answers sent empty by rate limiting
    denied: int  # queries refused by the access list
    cookies: dict[str, int]  # queries with a cookie, by what it proved
    seconds: float  # that answers took together
    times: dict[int, int]  # answers by the place of the time that they took
    clients: dict[str, int]  # queries by network
    limited: dict[str, int]  # answers withheld by network
    subscribers: dict[str, Spent]


def gathered(counters: Counters, at: float) -> Statistics:
    """Return what a server has counted so far, at a time."""
    counts = counters.counts
    totals = {count: counts.totals.item(count) for count in Count}
    return Statistics(
        at=at,
        pid=os.getpid(),
        serial=None if counters.current is None else counters.current.snapshot.serial,
        queries={"udp": totals[Count.UDP], "tcp": totals[Count.TCP]},
        known=totals[Count.KNOWN],
        rcodes={_rcode_name(place): count for place, count in _counted(counts.rcodes)},
        codes={code_text(place): count for place, count in _counted(counts.codes)},
        dropped={
            "unanswerable": totals[Count.UNANSWERED],
            "limited": totals[Count.LIMITED],
            "unsent": totals[Count.UNSENT],
            "overflow": totals[Count.OVERFLOW],
            "overflow_known": totals[Count.OVERFLOW_KNOWN],
        },
        slipped=totals[Count.SLIPPED],
        denied=totals[Count.DENIED],
        cookies={"proved": totals[Count.PROVED], "unproved": totals[Count.UNPROVED]},
        seconds=totals[Count.NANOSECONDS] / 1e9,
        times=dict(_counted(counts.times)),
        clients=_busiest(counts.clients, counts.asked),
        limited=_busiest(counts.limited, counts.withheld),
        subscribers={} if counters.guard is None else _spent(counters.guard.quotas),
    )


def percentile(times: dict[int, int], share: float) -> float | None:
    """Return the time in seconds within which a share of answers was given; None where there were none."""
    due = share * sum(times.values())
    for place in sorted(times):
        due -= times[place]
        if due <= 0:
            return time_bound(place)
    return None


def write(path: Path, statistics: Statistics) -> None:
    """Put statistics in the place of those that lie there; raises OSError."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    # It is no loss if a crash leaves an old file, so nothing is synced.
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(statistics))
    new.replace(path)


def read(path: Path) -> Statistics:
    """Return the statistics that lie at a path; raises StoreError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Statistics)
    except FileNotFoundError:
        raise StoreError(f"{path}: no statistics there; start whimbrel serve, or name its --statistics FILE") from None
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}; only who runs the name server may read it") from None
    except msgspec.MsgspecError:
        raise StoreError(f"{path}: not the statistics of this version's name server; name another file") from None


def _counted(counts: NDArray[np.int64]) -> list[tuple[int, int]]:
    return [(place, counts.item(place)) for place in np.flatnonzero(counts).tolist()]


def _rcode_name(code: int) -> str:
    return Rcode(code).name if code in Rcode.__members__.values() else f"RCODE{code}"


def _busiest(prefixes: NDArray[np.uint64], counts: NDArray[np.int64]) -> dict[str, int]:
    order = np.argsort(counts, kind="stable")[::-1][:_SHOWN].tolist()
    return {prefix_text(prefixes.item(at)): counts.item(at) for at in order if counts.item(at)}


def _spent(quotas: "Quotas") -> dict[str, Spent]:
    rows = zip(quotas.names, quotas.used.tolist(), quotas.limits.tolist(), strict=True)
    return {name: Spent(used=used, limit=limit) for name, used, limit in rows}
