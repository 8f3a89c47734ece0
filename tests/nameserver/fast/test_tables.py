"""A snapshot's arrays, and what is made beside them."""

from datetime import timedelta
from typing import Any

import numba
import numpy as np
from tests.nameserver.conftest import BORN, MakeListing

from whimbrel.model.listing import Code, FurtherCode
from whimbrel.nameserver.fast.search import (
    ABOVE_ZONE,
    ABSENT,
    HAS_NAMES,
    SHOWS_ALL,
    SHOWS_NO_ADDRESS,
    ipv4_row,
    ipv6_row,
)
from whimbrel.nameserver.fast.tables import lists_of, overlaid
from whimbrel.publishing import Entries
from whimbrel.wire.snapshot import Overlay, Snapshot, Zone
from whimbrel.wire.snapshot.encoder import Reason, encode
from whimbrel.wire.snapshot.rows import Rows


def made(*more: Zone, entries: Entries | None = None, codes: tuple[Code, ...] | None = None) -> Snapshot:
    return Snapshot(
        (entries or Entries())
        .moment()
        .snapshot(
            zone="bl.example", serial=1, born=BORN, expires=BORN + timedelta(days=1), more_zones=more, codes=codes
        )
    )


def zone(name: str, *codes: int) -> Zone:
    return Zone(name=name, servers=("localhost",), mailbox="hostmaster.bl.example", codes=codes)


def test_near_are_the_blocks_in_or_around_which_a_network_lies(listing: MakeListing) -> None:
    entries = Entries.of([listing("192.0.2.0/24"), listing("10.0.0.0/12"), listing("203.0.113.9")])
    near = lists_of(made(entries=entries)).near
    marked = {block for block in range(65_536) if int(near[block >> 6]) >> (block & 63) & 1}
    assert marked == {0xC000, *range(0x0A00, 0x0A10)}


def test_zones_come_innermost_first_with_what_they_show() -> None:
    entries = Entries()
    entries.put_name("spam.net", FurtherCode.SPAMVERTISED, BORN + timedelta(hours=1))
    lists = lists_of(made(zone("auth.bl.example", 20), zone("dbl.example", 0x102), entries=entries, codes=(Code(2),)))
    names = [bytes(lists.name[256 * row : 256 * row + size]) for row, size in enumerate(lists.name_bytes.tolist())]
    assert names == [b"\4auth\2bl\7example\0", b"\2bl\7example\0", b"\3dbl\7example\0"]
    assert lists.flags.tolist() == [0, ABOVE_ZONE, HAS_NAMES | SHOWS_NO_ADDRESS]
    assert lists_of(made()).flags.tolist() == [SHOWS_ALL]


def test_a_zone_that_can_be_an_address_of_another_leaves_all_to_the_reference() -> None:
    assert lists_of(made(zone("7.bl.example", 20), codes=(Code(2),))).zones == 0
    assert lists_of(made(zone("auth.bl.example", 20), codes=(Code(2),))).zones == 2


def overlay_of(base: Snapshot, *targets: str) -> Overlay:
    entries = Entries()
    entries.begin_overlay()
    for target in targets:
        entries.put(target, Code.INFECTED, BORN + timedelta(hours=1))
    return Overlay(entries.overlay(base.base, number=1, born=BORN))


def test_an_overlay_changes_no_type() -> None:
    """Another type would be compiled for anew: seconds in which the thread answers nobody."""
    base = made(entries=Entries.of([]))
    lists = lists_of(base)
    assert overlaid(lists, None) is lists
    type_of: Any = numba.typeof
    assert type_of(overlaid(lists, overlay_of(base, "192.0.2.1"))) == type_of(lists)


def test_a_list_of_any_length_has_the_same_types() -> None:
    """Up to half a million hosts the file's own index by /16 will do; a longer list's cells are made at load."""
    keys = np.arange(600_000, dtype=np.uint64) << np.uint64(12)
    until, hosts = np.full(len(keys), int(BORN.timestamp()) + 3600), np.full(len(keys), 32, np.uint8)
    rows = Rows(keys, hosts, np.zeros(len(keys), np.uint32), until)
    born = int(BORN.timestamp())
    data = encode(
        zone=zone("bl.example"), serial=1, born=born, expires=born + 9999, reasons=[Reason(2, "listed")], ipv4=rows,
        ipv6=rows._replace(key=keys << np.uint64(20), prefix=hosts * np.uint8(2)),
    )  # fmt: skip
    lists, short = lists_of(Snapshot(data)), lists_of(made())
    assert (short.cell_bits, lists.cell_bits) == (16, 15)
    assert (ipv4_row(lists, 4096), ipv4_row(lists, 4097)) == (1, ABSENT)
    assert (ipv6_row(lists, keys[7] << np.uint64(20)), ipv6_row(lists, keys[7])) == (7, ABSENT)
    type_of: Any = numba.typeof
    assert type_of(lists) == type_of(short)


def test_touched_is_where_something_changed() -> None:
    def touched(*targets: str) -> tuple[set[int], set[int]]:
        base = made()
        lists = overlaid(lists_of(base), overlay_of(base, *targets))
        bits = (lists.ipv4.touched, lists.ipv6.touched)
        four, six = ({part for part in range(65_536) if int(each[part >> 6]) >> (part & 63) & 1} for each in bits)
        return four, six

    assert touched() == (set(), set())
    assert touched("192.0.2.1", "10.0.0.0/12", "198.51.100.0/24") == ({0xC000, *range(0x0A00, 0x0A10), 0xC633}, set())
    assert touched("2001:db8:1:2::/64", "2001:db9::/32") == (set(), {0x2001 ^ 0x0DB8, 0x2001 ^ 0x0DB9})
    assert len(touched("2001:d00::/24")[1]) == 65_536
