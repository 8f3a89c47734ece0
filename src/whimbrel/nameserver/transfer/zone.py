"""A zone as a stream of records, whole or what changed of it; a part of them in memory at a time."""

from collections.abc import Iterable, Iterator

from whimbrel.nameserver.answer import soa_data
from whimbrel.nameserver.transfer import owners
from whimbrel.nameserver.transfer.differences import Difference
from whimbrel.nameserver.transfer.hosts import Hosts
from whimbrel.nameserver.transfer.networks import network_names
from whimbrel.nameserver.transfer.said import Said, Sayings
from whimbrel.wire import dns, lifetimes
from whimbrel.wire.dns import Type
from whimbrel.wire.snapshot import Snapshot

Records = tuple[int, bytes]  # a number of them, and their wire form


def whole(snapshot: Snapshot) -> Iterator[Records]:
    """Yield the zone: SOA, NS, every name with its A and TXT, and the SOA again (RFC 5936)."""
    yield soa(snapshot, snapshot.serial)
    for server in snapshot.zone.servers:
        yield 1, owners.ZONE + dns.record_tail(Type.NS, lifetimes.APEX_SECONDS, dns.write_name(server))
    sayings = Sayings(snapshot)
    for family in (4, 6):
        yield from _hosts(Hosts(snapshot, family), sayings)
    for owner, said in network_names(snapshot, sayings):
        yield 2, owner + said.a_record() + owner + said.txt_record()
    yield soa(snapshot, snapshot.serial)


def changed(snapshot: Snapshot, steps: Iterable[Difference]) -> Iterator[Records]:
    """Yield what leads to the zone of a snapshot, step by step, between its SOA twice (RFC 1995, section 4)."""
    yield soa(snapshot, snapshot.serial)
    for step in steps:
        yield soa(snapshot, step.since)
        for record in step.removed():
            yield 1, record
        yield soa(snapshot, step.serial)
        for record in step.added():
            yield 1, record
    yield soa(snapshot, snapshot.serial)


def soa(snapshot: Snapshot, serial: int) -> Records:
    """Return the SOA record of a snapshot's zone, of some serial."""
    return 1, owners.ZONE + dns.record_tail(Type.SOA, lifetimes.APEX_SECONDS, soa_data(snapshot.zone, serial))


def _hosts(hosts: Hosts, sayings: Sayings) -> Iterator[Records]:
    a_records: dict[int, tuple[Said, bytes]] = {}
    family, bits = hosts.family, owners.BITS[hosts.family]
    for keys, classes in hosts.parts():
        for key, number in zip(keys.tolist(), classes.tolist(), strict=True):
            known = a_records.get(number)
            if known is None:
                known = a_records[number] = (sayings[number], sayings[number].a_record())
            txt_record = known[0].txt_record(owners.written(family, key, bits))
            for owner in owners.owners_of_host(family, key):
                yield 2, owner + known[1] + owner + txt_record
