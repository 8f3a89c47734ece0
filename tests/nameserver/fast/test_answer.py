"""Whatever is asked of whatever list: the reference's bytes, or handed on."""

import os
from collections.abc import Callable
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Network

import dns.message
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.nameserver.conftest import BORN, MakeListing
from tests.nameserver.fast.conftest import Ask

from whimbrel.model.listing import Code, Listing
from whimbrel.nameserver import answer
from whimbrel.publishing import Entries
from whimbrel.wire.snapshot import Snapshot

PACKETS = int(os.environ.get("WHIMBREL_FUZZ", "100000"))


def test_mutated_packets(ask: Ask, world: Snapshot, now: float, queries: Callable[[int, int], list[bytes]]) -> None:
    answered = set()
    for query in queries(PACKETS, 6):
        given = ask(query, world, int(now))
        if given is not None:
            assert given == answer(query, world, int(now), tcp=False)
            answered.add(given[3] & 0xF)
    assert answered == {0, 3, 5}


def test_python_runs_the_same_source(
    ask: Ask, ask_python: Ask, world: Snapshot, now: float, queries: Callable[[int, int], list[bytes]]
) -> None:
    for query in queries(300, 7):
        assert ask_python(query, world, int(now)) == ask(query, world, int(now))


# Few blocks, so that hosts, networks and questions meet.
addresses = st.builds(
    lambda high, low: IPv4Address(high << 16 | low),
    st.sampled_from([0x0A00, 0x0A01, 0xC000, 0xFFFF]),
    st.integers(0, 600),
)
networks = st.builds(
    lambda address, bits: str(IPv4Network((int(address), bits), strict=False)),
    addresses,
    st.sampled_from([12, 16, 24, 31]),
)
halves = st.integers(0, 40).map(lambda number: 0x2001_0DB8_0000_0000 | number)
wide = st.builds(
    lambda half, bits: str(IPv6Network((half << 64, bits), strict=False)), halves, st.sampled_from([32, 62, 64])
)
targets = st.lists(
    st.tuples(st.one_of(addresses.map(str), networks, wide), st.integers(61, 4000), st.sampled_from(Code))
)


@settings(max_examples=200, deadline=None)
@given(
    listed=targets,
    asked=st.lists(st.one_of(addresses, halves), min_size=1, max_size=20),
    type_=st.sampled_from(["A", "TXT", "AAAA", "ANY"]),
    edns=st.booleans(),
    later=st.integers(0, 5000),
)
def test_any_list(
    listed: list[tuple[str, int, Code]],
    asked: list[IPv4Address | int],
    *,
    type_: str,
    edns: bool,
    later: int,
    ask: Ask,
    listing: MakeListing,
) -> None:
    listings: list[Listing] = [listing(target, code, seconds) for target, seconds, code in listed]
    data = Entries.of(listings).snapshot(zone="Bl.example", serial=9, born=BORN, expires=BORN + timedelta(days=1))
    snapshot, at = Snapshot(data), int(BORN.timestamp()) + later
    for each in asked:
        name = (
            ".".join(reversed(str(each).split(".")))
            if isinstance(each, IPv4Address)
            else ".".join(reversed(f"{each << 64 | 7:032x}"))
        )
        query = dns.message.make_query(f"{name}.bl.EXAMPLE.", type_, use_edns=0 if edns else False).to_wire()
        given = ask(query, snapshot, at)
        expected = answer(query, snapshot, at, tcp=False)
        if given is None:  # only for these reasons
            assert expected is not None
            assert type_ == "TXT" or len(str(each)) == 7
        else:
            assert given == expected
