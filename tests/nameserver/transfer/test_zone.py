"""A transferred zone says of each address what we say, to whoever asks it as stock name servers answer."""

import struct
from ipaddress import IPv4Address, IPv6Address, ip_network

import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.reversename
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.nameserver.transfer.asking import answer_of, records_of
from tests.nameserver.transfer.copies import ORIGIN, Copy, changed, zone_of
from tests.nameserver.transfer.some_lists import Targets, ipv4_keys, ipv6_keys, lists, snapshot_of

from whimbrel.model.listing import Code
from whimbrel.nameserver import answer
from whimbrel.nameserver.transfer import zone
from whimbrel.nameserver.transfer.differences import History
from whimbrel.wire.dns import CLASS_IN, HEADER
from whimbrel.wire.snapshot import Snapshot, Zone
from whimbrel.wire.snapshot.encoder import Reason, encode
from whimbrel.wire.snapshot.rows import Rows, no_rows

Address = IPv4Address | IPv6Address

A, TXT = dns.rdatatype.A, dns.rdatatype.TXT


def name_of(address: Address) -> dns.name.Name:
    labels = dns.reversename.from_address(str(address)).labels[: 4 if address.version == 4 else 32]
    return dns.name.Name(labels).concatenate(ORIGIN)


def ours(snapshot: Snapshot, name: dns.name.Name, type_: dns.rdatatype.RdataType) -> set[str] | None:
    """Return what our own name server says when the list is cut; None where it says that there is no such name."""
    packet = HEADER.pack(7, 0, 1, 0, 0, 0) + name.to_digestable() + struct.pack("!2H", type_, CLASS_IN)
    given = answer(packet, snapshot, snapshot.born, tcp=True)
    assert given is not None
    if given[3] & 0xF == dns.rcode.NXDOMAIN:
        return None
    response = dns.message.from_wire(given)
    assert response.rcode() == dns.rcode.NOERROR
    return {record.to_text() for rrset in response.answer for record in rrset}


def edges(target: str) -> list[Address]:
    """Return the addresses at a target's ends, and beside them."""
    network = ip_network(target)
    numbers = {int(network[0]) - 1, int(network[0]), int(network[-1]), int(network[-1]) + 1}
    return [type(network[0])(number) for number in numbers]


def listed_alike(snapshot: Snapshot, copy: Copy, address: Address) -> None:
    name = name_of(address)
    said = ours(snapshot, name, A)
    assert (copy.ask(name, A) or None) == (said or None), name
    (text,) = copy.ask(name, TXT) or {""}
    (our_text,) = ours(snapshot, name, TXT) or {""}
    # A wildcard's text names the network that is listed, ours the address.
    written = str(address)
    assert text == our_text or (
        text.partition(" is ")[2].partition(";")[0] == our_text.partition(" is ")[2].partition(";")[0]
    )
    if text != our_text:
        assert address in ip_network(text.strip('"').partition(" ")[0]), (written, text)


@settings(max_examples=60, deadline=None)
@given(lists, st.lists(ipv4_keys, max_size=10), st.lists(ipv6_keys, max_size=10))
@example({"2.0.0.0/24": (Code.NETWORK, 3600)}, [], [0x2001_0DB8_0000_0000])
@example({"2.0.0.0/15": (Code.NETWORK, 3600)}, [0x02000001, 0x020A0001], [0x2001_0DB8_0000_0000])
@example({"192.0.0.0/16": (Code.NETWORK, 3600), "192.0.2.1": (Code.INFECTED, 3600)}, [0xC0000209], [])
def test_a_copy_lists_what_we_list(targets: Targets, ipv4: list[int], ipv6: list[int]) -> None:
    snapshot = snapshot_of(targets)
    copy = Copy(zone_of(answer_of(zone.whole(snapshot))))
    asked: list[Address] = [IPv4Address(key) for key in ipv4] + [IPv6Address(key << 64 | 5) for key in ipv6]
    for address in {*asked, *(edge for target in targets for edge in edges(target))}:
        listed_alike(snapshot, copy, address)


def test_test_entries_are_there_in_both_forms_and_localhost_is_not() -> None:
    copy = Copy(zone_of(answer_of(zone.whole(snapshot_of({})))))
    mapped = ".".join("f" * 4 + "0" * 20)
    for code in Code:
        assert copy.ask(dns.name.from_text(f"{code.value}.0.0.127", ORIGIN), A) == {f"127.0.0.{code.value}"}
        assert copy.ask(dns.name.from_text(f"{code.value:x}.0.0.0.0.0.f.7.{mapped}", ORIGIN), A) == {
            f"127.0.0.{code.value}"
        }
    assert copy.ask(dns.name.from_text("1.0.0.127", ORIGIN), A) is None
    assert copy.ask(dns.name.from_text(f"1.0.0.0.0.0.f.7.{mapped}", ORIGIN), A) is None


@pytest.mark.parametrize("network", ["127.0.0.0/8", "127.0.0.0/29", "126.0.0.0/7"])
def test_no_wildcard_lists_localhost(network: str) -> None:
    """Nobody publishes such a network; where it is in a list all the same, it is not 127.0.0.1 that is listed."""
    listed = ip_network(network)
    rows = Rows(
        np.array([int(listed[0])], np.uint64),
        np.array([listed.prefixlen], np.uint8),
        np.zeros(1, np.uint32),
        np.full(1, 2**32, np.int64),
    )
    owner = Zone(name="bl.example", servers=("localhost",), mailbox="hostmaster.bl.example")
    made = encode(
        zone=owner, serial=1, born=1, expires=2**32, reasons=[Reason(9, "{address}")], ipv4=rows, ipv6=no_rows()
    )
    copy = Copy(zone_of(answer_of(zone.whole(Snapshot(made)))))
    assert not copy.ask(name_of(IPv4Address("127.0.0.1")), A)
    assert copy.ask(name_of(IPv4Address("127.0.0.7")), A) == {"127.0.0.9"}


def test_the_apex_is_ours() -> None:
    snapshot = snapshot_of({})
    copy = Copy(zone_of(answer_of(zone.whole(snapshot))))
    for type_ in (dns.rdatatype.SOA, dns.rdatatype.NS):
        assert copy.ask(ORIGIN, type_) == ours(snapshot, ORIGIN, type_)


@st.composite
def successions(draw: st.DrawFn) -> list[Snapshot]:
    """Draw lists that follow each other, most of one in the next, with serials that pass the end of their numbers."""
    targets: Targets = {}
    found: list[Snapshot] = []
    for number in range(draw(st.integers(2, 4))):
        gone = draw(st.sets(st.sampled_from(sorted(targets)), max_size=3)) if targets else set()
        targets = {target: said for target, said in targets.items() if target not in gone} | draw(lists)
        found.append(snapshot_of(targets, serial=(2**32 - 2 + number) % 2**32))
    return found


@settings(max_examples=100, deadline=None)
@given(successions())
def test_differences_make_of_each_old_zone_the_new_one(snapshots: list[Snapshot]) -> None:
    history = History(snapshots[0])
    for snapshot in snapshots[1:]:
        history.take(history.step_to(snapshot))
    newest = zone_of(records_of(zone.whole(snapshots[-1])))
    for snapshot in snapshots[:-1]:
        steps = history.since(snapshot.serial)
        if steps is not None:
            copy = zone_of(records_of(zone.whole(snapshot)))
            changed(copy, records_of(zone.changed(snapshots[-1], steps)))
            assert copy == newest
