"""The clear reference: one query in, one answer out, from a snapshot and the time.

What a blocklist answers (RFC 5782) in the terms of DNS (RFC 1035, RFC 2308): a listed address or name has an A record
that says how it is listed and a TXT record that says why; an unlisted one does not exist; a name with something listed
beneath it exists but has no records (RFC 8020), for resolvers that ask label by label (RFC 9156) turn back at the first
name that does not exist.  A list that cannot be believed any more (expired) says SERVFAIL, never "listed".

A snapshot may have several zones; each shows some of its codes, and a query belongs to the innermost.  A name beneath a
zone is an address where it spells one that the zone lists, else a name.

Every faster build has to give these bytes, or hand the query on to here.
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from whimbrel.nameserver.names import address_of, prefixes_of
from whimbrel.wire import dns, lifetimes
from whimbrel.wire.dns import Query, Rcode, Record, Refusal, Type
from whimbrel.wire.snapshot import Entry, Snapshot, Zone
from whimbrel.wire.snapshot.names import Labels
from whimbrel.wire.snapshot.view import Address

_LOCALHOST: Address = (
    4,
    0x7F000001,
)  # never listed: whoever sees it listed knows that the list is broken (RFC 5782, 5)
_INVALID = (b"invalid",)  # the same among names
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
    asked = tuple(label.lower() for label in query.labels)
    found = snapshot.zone_of(asked)
    if found is None or query.class_ != dns.CLASS_IN or query.type in _TRANSFERS:
        return _REFUSED
    if now >= snapshot.expires:
        return _SERVFAIL
    zone, labels = found
    if not labels:
        return _apex(query.type, zone, snapshot.serial)
    decided = _decided(labels, zone, snapshot, now)
    if decided is not None:
        records = _listed(query.type, *decided, now)
        return _Reply(Rcode.NOERROR, records, () if records else (_negative_soa(zone, snapshot.serial),))
    exists = snapshot.is_above_zone(asked) or _is_above(labels, zone, snapshot, now)
    rcode = Rcode.NOERROR if exists else Rcode.NXDOMAIN
    return _Reply(rcode, authority=(_negative_soa(zone, snapshot.serial),))


def _decided(labels: Labels, zone: Zone, snapshot: Snapshot, now: float) -> tuple[Entry, Address | None] | None:
    """Return the entry that a name beneath a zone is listed by, with the address where it is one."""
    address = address_of(labels)
    if address is not None and address != _LOCALHOST and zone.has_addresses:
        entry = snapshot.find(address, now, zone)
        if entry is not None:
            return entry, address
    if labels != _INVALID and zone.has_names:
        entry = snapshot.find_name(labels, now, zone)
        if entry is not None:
            return entry, None
    return None


def _is_above(labels: Labels, zone: Zone, snapshot: Snapshot, now: float) -> bool:
    """Tell whether something beneath a name is listed, or was when the snapshot was cut, in this zone or another."""
    if zone.has_addresses and any(snapshot.reaches(*prefix) for prefix in prefixes_of(labels)):
        return True
    return zone.has_names and snapshot.reaches_name(labels, now, zone)


def _listed(type_: int, entry: Entry, address: Address | None, now: float) -> tuple[Record, ...]:
    # At least a second: 0 is "do not cache", which some resolvers take for a reason to ask twice.
    lifetime = max(1, min(lifetimes.POSITIVE_SECONDS, int(entry.until - now)))
    if type_ in (Type.A, Type.ANY):  # RFC 8482, section 4.1: one record set is enough for ANY
        return (Record(None, Type.A, lifetime, (_ANSWER_NET | entry.code).to_bytes(4, "big")),)
    if type_ == Type.TXT:
        return (Record(None, Type.TXT, lifetime, dns.text_data(reason_text(entry, address))),)
    return ()


def reason_text(entry: Entry, address: Address | None) -> str:
    """Return the reason for a listing, with the address (None: it is of a name) and its end filled in."""
    if address is None:
        return entry.reason("")
    family, number = address
    return entry.reason(str(IPv4Address(number) if family == 4 else IPv6Address(number)))


def _apex(type_: int, zone: Zone, serial: int) -> _Reply:
    soa = soa_data(zone, serial)
    if type_ in (Type.SOA, Type.ANY):
        return _Reply(Rcode.NOERROR, (Record(None, Type.SOA, lifetimes.APEX_SECONDS, soa),))
    if type_ == Type.NS:
        servers = (dns.write_name(server) for server in zone.servers)
        return _Reply(Rcode.NOERROR, tuple(Record(None, Type.NS, lifetimes.APEX_SECONDS, server) for server in servers))
    return _Reply(Rcode.NOERROR, authority=(_negative_soa(zone, serial),))


def _negative_soa(zone: Zone, serial: int) -> Record:
    return Record(dns.write_name(zone.name), Type.SOA, lifetimes.NEGATIVE_SECONDS, soa_data(zone, serial))


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
