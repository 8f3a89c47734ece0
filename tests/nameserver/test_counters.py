from whimbrel.nameserver import Counters
from whimbrel.nameserver.guards.counts import Count


def test_what_is_counted_is_shown() -> None:
    counters = Counters()
    counters.counts.totals[[Count.UDP, Count.TCP, Count.UNANSWERED]] = 3, 2, 1
    counters.counts.rcodes[[0, 3]] = 4, 5
    assert (counters.udp, counters.tcp, counters.dropped) == (3, 2, 1)
    assert counters.by_rcode == {0: 4, 3: 5}
