"""What a server has done so far, for whoever started it."""

from collections import Counter
from typing import TYPE_CHECKING

from whimbrel.nameserver.guards.counts import Count, counts_of_nothing

if TYPE_CHECKING:
    from whimbrel.nameserver.current import CurrentSnapshot
    from whimbrel.nameserver.guards.guard import Guard


class Counters:
    """All that is counted is in `counts`; `current` and `guard` are there once the server is.

    `threads` is how many answer UDP with the compiled answer; 0: the reference does, still or for good.
    """

    def __init__(self) -> None:
        self.current: CurrentSnapshot | None = None
        self.guard: Guard | None = None
        self.counts = counts_of_nothing()
        self.threads = 0

    @property
    def udp(self) -> int:
        """Queries over UDP."""
        return int(self.counts.totals[Count.UDP])

    @property
    def tcp(self) -> int:
        """Queries over TCP."""
        return int(self.counts.totals[Count.TCP])

    @property
    def dropped(self) -> int:
        """Packets that are no queries, and got no answer."""
        return int(self.counts.totals[Count.UNANSWERED])

    @property
    def by_rcode(self) -> Counter[int]:
        """Answers by return code."""
        return Counter({code: count for code, count in enumerate(self.counts.rcodes.tolist()) if count})
