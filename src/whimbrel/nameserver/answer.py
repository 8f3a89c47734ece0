"""The clear reference: one query in, one answer out, from a snapshot and the time.

What a blocklist answers (RFC 5782) in the terms of DNS (RFC 1035, RFC 2308): a listed address has an A record that
says how it is listed and a TXT record that says why; an unlisted one does not exist; a name with something listed
beneath it exists but has no records (RFC 8020), for resolvers that ask label by label (RFC 9156) turn back at the first
name that does not exist.  A list that cannot be believed any more (expired) says SERVFAIL, never "listed".

Every faster build has to give these bytes, or hand the query on to here.
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from whimbrel.nameserver.names import address_of, prefixes_of
from whimbrel.wire import dns, lifetimes
from whimbrel.wire.dns import Query, Rcode, Record, Refusal, Type
from whimbrel.wire.snapshot import Entry, Snapshot, Zone
from whimbrel.wire.snapshot.view import Address

_LOCALHOST: Address = (
    4,
    0x7F000001,
)  # never listed: whoever sees it listed knows that the list is broken (RFC 5782, 5)
_ANSWER_NET = 127 << 24
_TRANSFERS = (Type.AXFR, Type.IXFR)


class _Reply(NamedTuple):
    rcode: Rcode
    answers: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    authoritative: bool = True


_REFUSED = _Reply(Rcode.REFUSED, authoritative=False)
_SERVFAIL = _Reply(Rcode.SERVFAIL, authoritative=False)


def answer(packet: bytes, snapshot: Snapshot, now: float, *, tcp: bool) -> bytes | None:
    """Return the response to a packet at `now` (seconds since 1970), or None where none must be sent."""
    query = dns.parse_query(packet)
    if query is None:
        return None
    if isinstance(query, Refusal):
        return dns.write_refusal(query)
    reply = _reply(query, snapshot, now)
    return dns.write_response(
        query,
        reply.rcode,
        answers=reply.answers,
        authority=reply.authority,
        authoritative=reply.authoritative,
        tcp=tcp,
    )


def _reply(query: Query, snapshot: Snapshot, now: float) -> _Reply:
    if query.edns is not None and query.edns.version > 0:
        return _Reply(Rcode.BADVERS, authoritative=False)
    labels = _beneath(query.labels, _zone_labels(snapshot.zone.name))
    if labels is None or query.class_ != dns.CLASS_IN or query.type in _TRANSFERS:
        return _REFUSED
    if now >= snapshot.expires:
        return _SERVFAIL
    if not labels:
        return _apex(query.type, snapshot)
    address = address_of(labels)
    entry = None if address is None or address == _LOCALHOST else snapshot.find(address, now)
    if address is not None and entry is not None:
        records = _listed(query.type, address, entry, now)
        return _Reply(Rcode.NOERROR, records, () if records else (_negative_soa(snapshot),))
    beneath = any(snapshot.reaches(*prefix) for prefix in prefixes_of(labels))
    return _Reply(Rcode.NOERROR if beneath else Rcode.NXDOMAIN, authority=(_negative_soa(snapshot),))


def _listed(type_: int, address: Address, entry: Entry, now: float) -> tuple[Record, ...]:
    # At least a second: 0 is "do not cache", which some resolvers take for a reason to ask twice.
    lifetime = max(1, min(lifetimes.POSITIVE_SECONDS, int(entry.until - now)))
    if type_ in (Type.A, Type.ANY):  # RFC 8482, section 4.1: one record set is enough for ANY
        return (Record(None, Type.A, lifetime, (_ANSWER_NET | entry.code).to_bytes(4, "big")),)
    if type_ == Type.TXT:
        return (Record(None, Type.TXT, lifetime, dns.text_data(reason_text(address, entry))),)
    return ()


def reason_text(address: Address, entry: Entry) -> str:
    """Return the reason for a listing, with the address and its end filled in."""
    family, number = address
    return entry.reason(str(IPv4Address(number) if family == 4 else IPv6Address(number)))


def _apex(type_: int, snapshot: Snapshot) -> _Reply:
    soa = soa_data(snapshot.zone, snapshot.serial)
    if type_ in (Type.SOA, Type.ANY):
        return _Reply(Rcode.NOERROR, (Record(None, Type.SOA, lifetimes.APEX_SECONDS, soa),))
    if type_ == Type.NS:
        servers = (dns.write_name(server) for server in snapshot.zone.servers)
        return _Reply(Rcode.NOERROR, tuple(Record(None, Type.NS, lifetimes.APEX_SECONDS, server) for server in servers))
    return _Reply(Rcode.NOERROR, authority=(_negative_soa(snapshot),))


def _negative_soa(snapshot: Snapshot) -> Record:
    zone = snapshot.zone
    return Record(dns.write_name(zone.name), Type.SOA, lifetimes.NEGATIVE_SECONDS, soa_data(zone, snapshot.serial))


@lru_cache(maxsize=16)
def soa_data(zone: Zone, serial: int) -> bytes:
    """Return the data of the zone's SOA record (RFC 1035, section 3.3.13)."""
    timers = (
        serial,
        lifetimes.REFRESH_SECONDS,
        lifetimes.RETRY_SECONDS,
        lifetimes.EXPIRE_SECONDS,
        lifetimes.NEGATIVE_SECONDS,
    )
    numbers = b"".join(number.to_bytes(4, "big") for number in timers)
    return dns.write_name(zone.servers[0]) + dns.write_name(zone.mailbox) + numbers


@lru_cache(maxsize=16)
def _zone_labels(zone: str) -> tuple[bytes, ...]:
    return tuple(label.encode("ascii").lower() for label in zone.rstrip(".").split("."))


def _beneath(labels: tuple[bytes, ...], zone: tuple[bytes, ...]) -> tuple[bytes, ...] | None:
    """Return the labels in front of the zone's name, or None where a name is outside the zone."""
    split = len(labels) - len(zone)
    if split < 0 or tuple(label.lower() for label in labels[split:]) != zone:
        return None
    return labels[:split]
