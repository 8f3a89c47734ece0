"""Whatever is asked of whatever list: the reference's bytes, or handed on."""

import os
from collections.abc import Callable
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Network

import dns.message
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.nameserver.conftest import BORN
from tests.nameserver.fast.conftest import Ask

from whimbrel.model.listing import Code, FurtherCode
from whimbrel.nameserver import answer
from whimbrel.publishing import Entries
from whimbrel.wire.snapshot import Overlay, Snapshot, Zone

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
    st.tuples(st.one_of(addresses.map(str), networks, wide), st.integers(61, 4000), st.sampled_from([*Code, None]))
)
ZONE_NAMES = ("bl.example", "auth.bl.example", "dbl.example", "abc.dbl.example")


def zone(name: str, codes: tuple[int, ...] | None) -> Zone:
    return Zone(name=name, servers=("localhost",), mailbox="hostmaster.bl.example", codes=codes)


def name_of(asked: IPv4Address | int | str) -> str:
    if isinstance(asked, str):
        return asked
    parts = str(asked).split(".") if isinstance(asked, IPv4Address) else f"{asked << 64 | 7:032x}"
    return ".".join(reversed(parts))


def list_of(listed: list[tuple[str, int, Code | None]], *, many_zones: bool, has_names: bool) -> Snapshot:
    entries = Entries()
    for target, seconds, code in listed:
        until = BORN + timedelta(seconds=seconds)
        if code is None:
            entries.exclude(target, until)
        else:
            entries.put(target, code, until)
    if has_names:
        entries.put_name("spam.net", FurtherCode.SPAMVERTISED, BORN + timedelta(seconds=3000), wildcard=True)
    more = (
        [zone("auth.bl.example", (20,)), zone("dbl.example", (0x102, 0x104)), zone("abc.dbl.example", (4,))]
        if many_zones
        else []
    )
    data = entries.moment().snapshot(
        zone="Bl.example", serial=9, born=BORN, expires=BORN + timedelta(days=1), more_zones=more,
        codes=(Code(2), Code(4), Code(9)) if many_zones else None,
    )  # fmt: skip
    return Snapshot(data)


@settings(max_examples=200, deadline=None)
@given(
    listed=targets,
    asked=st.lists(st.one_of(addresses, halves, st.sampled_from(["x", "a.b.c", "spam.net", "auth", ""]))),
    type_=st.sampled_from(["A", "TXT", "AAAA", "ANY"]),
    edns=st.booleans(),
    later=st.integers(0, 5000),
    many_zones=st.booleans(),
    has_names=st.booleans(),
)
def test_any_list(
    listed: list[tuple[str, int, Code | None]],
    asked: list[IPv4Address | int | str],
    *,
    type_: str,
    edns: bool,
    later: int,
    many_zones: bool,
    has_names: bool,
    ask: Ask,
) -> None:
    snapshot = list_of(listed, many_zones=many_zones, has_names=has_names)
    at = int(BORN.timestamp()) + later
    for each in asked:
        for zone_name in ZONE_NAMES:
            name = f"{name_of(each)}.{zone_name}.".lstrip(".")
            query = dns.message.make_query(name.upper(), type_, use_edns=0 if edns else False).to_wire()
            given = ask(query, snapshot, at)
            assert given is None or given == answer(query, snapshot, at, tcp=False)
            plain = isinstance(each, IPv4Address | int) and type_ != "TXT" and len(str(each)) != 7
            named = has_names or zone_name == "dbl.example"  # its test entry
            assert given is not None or not plain or named  # nothing else may be handed on


@settings(max_examples=200, deadline=None)
@given(
    listed=targets,
    changed=st.lists(
        st.tuples(st.one_of(addresses.map(str), networks, wide), st.integers(1, 4000), st.sampled_from([*Code, None])),
        min_size=1,
    ),
    asked=st.lists(st.one_of(addresses, halves)),
    type_=st.sampled_from(["A", "TXT", "ANY"]),
    later=st.integers(0, 5000),
    many_zones=st.booleans(),
)
def test_any_overlay(
    listed: list[tuple[str, int, Code | None]],
    changed: list[tuple[str, int, Code | None]],
    asked: list[IPv4Address | int],
    *,
    type_: str,
    later: int,
    many_zones: bool,
    ask: Ask,
) -> None:
    entries = Entries()
    base = list_of(listed, many_zones=many_zones, has_names=False)
    entries.begin_overlay()
    for target, seconds, code in changed:
        entries.put(target, code or Code.INFECTED, BORN + timedelta(seconds=seconds))
        if code is None:
            entries.drop(target)
        elif seconds % 5 == 0:
            entries.exclude(target, BORN + timedelta(seconds=seconds))
    snapshot = base.overlaid(Overlay(entries.overlay(base.base, number=1, born=BORN)))
    at = int(BORN.timestamp()) + later
    for each in asked:
        query = dns.message.make_query(f"{name_of(each)}.bl.example.", type_).to_wire()
        given = ask(query, snapshot, at)
        assert given == answer(query, snapshot, at, tcp=False) or (given is None and type_ == "TXT")
