"""What a name says of who pays for it: the key in front of the zone, and what is answered where there is no good one.

A name with a good key is answered as the same name without it, under its own question.
"""

from typing import NamedTuple

from whimbrel.nameserver.guards.quota import FAILURE_NET, NO_KEY, REASONS, UNKNOWN, Failure, Quotas, spend, subscriber
from whimbrel.nameserver.names import address_of
from whimbrel.wire import dns, lifetimes
from whimbrel.wire.dns import Query, Rcode, Record, Type
from whimbrel.wire.snapshot import Snapshot, Zone
from whimbrel.wire.snapshot.names import Labels

SECONDS_A_DAY = 86_400


class Keyless(NamedTuple):
    """A packet that asks what another query asks, without its key; its question is so long."""

    packet: bytes
    question_bytes: int


def looked_at(
    query: Query, snapshot: Snapshot, quotas: Quotas, now: float, *, public: bool
) -> Failure | Keyless | None:
    """Return what a query gets: an error, the answer to another packet, or (None) the answer to itself.

    Counts it, where it has a key; `public` says whether it came from a public resolver, to be answered with a key only.
    """
    found = snapshot.zone_of(tuple(label.lower() for label in query.labels))
    if found is None or not found[1] or query.class_ != dns.CLASS_IN:
        return None
    zone, front = found
    number = subscriber(quotas, front[-1])
    if number == NO_KEY:
        if public:
            return Failure.PUBLIC
        return Failure.MISTYPED if len(quotas.ids) and _is_mistyped(front, zone, snapshot) else None
    if number == UNKNOWN or not spend(quotas, number, int(now) // SECONDS_A_DAY):
        return Failure.EXCESS
    labels = (*query.labels[: len(front) - 1], *query.labels[len(front) :])
    name = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    # A key alone is no zone: it has no records, as the zone itself has no address.
    type_ = query.type if len(front) > 1 else Type.A
    return Keyless(dns.write_query(query, name, type_), len(name) + 4)


def failed(query: Query, failure: Failure, *, tcp: bool) -> bytes:
    """Return the answer of a list that says "error" and never "listed": kept no longer than "not listed" is."""
    data = {Type.A: FAILURE_NET + bytes([failure]), Type.TXT: dns.text_data(REASONS[failure])}
    type_ = Type.A if query.type == Type.ANY else query.type
    records = tuple(
        Record(None, each, lifetimes.NEGATIVE_SECONDS, value) for each, value in data.items() if each == type_
    )
    return dns.write_response(query, Rcode.NOERROR, answers=records, authoritative=True, tcp=tcp)


def _is_mistyped(front: Labels, zone: Zone, snapshot: Snapshot) -> bool:
    """Tell whether somebody asks for an address under a zone of ours that there is not, `zne.bl.example` perhaps.

    Among names it would be one: 1.2.3.4.com can be listed, or not.
    """
    if front[-1].isdigit() or address_of(front[:-1]) is None:
        return False
    return not (zone.has_names and snapshot.sections().get("names.key"))
