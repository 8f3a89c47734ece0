"""Zone transfers: stock name servers hold a copy of the list (RFC 5936, RFC 1995, RFC 1996, RFC 8945).

    snapshot --hosts, networks--> names --zone--> records --messages, signing--> AXFR
    two snapshots --differences--> history --zone--> records ... --> IXFR
    new snapshot --notify--> secondaries

In: signed questions from addresses that may ask.  Out: the zone as it was when the snapshot was cut, for a secondary
knows no lifetimes.  Nothing here is loaded where nobody gets transfers; what it costs is NumPy and dnspython.
Deliberately absent: transfers without a key or from anywhere, updates, zones of others.

Read `transfers.py` first (who gets what), then `zone.py` (what is in it) and `owners.py` (what a name can say).
"""

from whimbrel.nameserver.transfer.transfers import Transfers, read_keys

__all__ = ["Transfers", "read_keys"]
