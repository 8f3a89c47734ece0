"""A secondary of a test's own: takes records as they come over the wire, and looks names up as RFC 4592 has it."""

import dns.name
import dns.rdatatype
import dns.rrset

Zone = dict[dns.name.Name, dict[dns.rdatatype.RdataType, tuple[int, frozenset[str]]]]

ORIGIN = dns.name.from_text("bl.example.")
WILDCARD = dns.name.Name([b"*"])


def zone_of(records: list[dns.rrset.RRset]) -> Zone:
    """Return the zone of a whole transfer; no record may come twice but the SOA, which is its first and its last."""
    assert records[0] == records[-1]
    assert records[0].rdtype == dns.rdatatype.SOA
    zone: Zone = {}
    for record in records[:-1]:
        add(zone, record)
    return zone


def add(zone: Zone, record: dns.rrset.RRset) -> None:
    types = zone.setdefault(record.name, {})
    lifetime, texts = types.get(record.rdtype, (record.ttl, frozenset()))
    text = record[0].to_text()
    assert text not in texts
    assert lifetime == record.ttl
    types[record.rdtype] = (lifetime, texts | {text})


def remove(zone: Zone, record: dns.rrset.RRset) -> None:
    lifetime, texts = zone[record.name][record.rdtype]
    text = record[0].to_text()
    assert text in texts
    zone[record.name][record.rdtype] = (lifetime, texts - {text})
    if not zone[record.name][record.rdtype][1]:
        del zone[record.name][record.rdtype]
    if not zone[record.name]:
        del zone[record.name]


def changed(zone: Zone, records: list[dns.rrset.RRset]) -> None:
    """Change a zone as an incremental transfer says (RFC 1995, section 4); each record removed must be there."""
    newest = records[0]
    assert newest == records[-1]
    is_adding = True
    for record in records[1:-1]:
        if record.rdtype == dns.rdatatype.SOA:
            is_adding = not is_adding
        (add if is_adding else remove)(zone, record)
    assert is_adding
    assert zone[ORIGIN][dns.rdatatype.SOA][1] == {newest[0].to_text()}


class Copy:
    """A zone to ask."""

    def __init__(self, zone: Zone) -> None:
        self._zone = zone
        self._exists = {ORIGIN}
        for owner in zone:
            name = owner
            while name not in self._exists:
                self._exists.add(name)
                name = name.parent()

    def ask(self, name: dns.name.Name, type_: dns.rdatatype.RdataType) -> set[str] | None:
        """Return the records of a name, none where it has none of the type; None where it does not exist."""
        if name in self._exists:
            return set(self._zone.get(name, {}).get(type_, (0, ()))[1])
        encloser = name.parent()
        while encloser not in self._exists:
            encloser = encloser.parent()
        source = self._zone.get(WILDCARD.concatenate(encloser))
        return None if source is None else set(source.get(type_, (0, ()))[1])
