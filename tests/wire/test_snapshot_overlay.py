"""A snapshot with its overlay says what the snapshot of the changed list would say."""

import random
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whimbrel.errors import SnapshotError
from whimbrel.model.listing import Code, FurtherCode
from whimbrel.publishing import Entries
from whimbrel.publishing.signing import new_key, public_key, signed
from whimbrel.wire.snapshot import Overlay, Snapshot, layout, overlay_path
from whimbrel.wire.snapshot.decoder import compacted, decode
from whimbrel.wire.snapshot.networks import Networks
from whimbrel.wire.snapshot.overlay import BASE, MAX_BYTES, MAX_ROWS

BORN = datetime(2026, 7, 1, tzinfo=UTC)
NOW = BORN.timestamp() + 60

# Few blocks, so that hosts, networks and what changes meet.
hosts = st.builds(
    lambda high, low: str(IPv4Address(high << 16 | low)), st.sampled_from([0x0A00, 0x0A01]), st.integers(0, 40)
)
networks = st.builds(
    lambda host, bits: str(IPv4Network((host, bits), strict=False)), hosts, st.sampled_from([12, 16, 24, 29, 31])
)
wide = st.builds(
    lambda low, bits: str(IPv6Network(((0x2001_0DB8 << 96) | low << 64, bits), strict=False)),
    st.integers(0, 20),
    st.sampled_from([32, 62, 64]),
)
targets = st.one_of(hosts, networks, wide)
# A target, and what becomes of it: a code and for how long it is listed, an exclusion (0), or its end (None).
changes = st.lists(st.tuples(targets, st.one_of(st.none(), st.just(0), st.sampled_from(Code)), st.integers(1, 4000)))

Change = tuple[str, Code | int | None, int]


def apply(entries: Entries, made: list[Change]) -> None:
    for target, code, seconds in made:
        until = BORN + timedelta(seconds=seconds)
        if code is None:
            entries.drop(target)
            entries.drop(target, excluded=True)
        elif code == 0:
            entries.exclude(target, until)
        else:
            entries.put(target, Code(code), until)


def cut(entries: Entries, serial: int = 5) -> Snapshot:
    return Snapshot(
        entries.moment().snapshot(zone="bl.example", serial=serial, born=BORN, expires=BORN + timedelta(days=1))
    )


def changed(before: list[Change], after: list[Change]) -> tuple[Snapshot, Overlay, Entries]:
    entries = Entries()
    apply(entries, before)
    base = cut(entries)
    entries.begin_overlay()
    apply(entries, after)
    return base, Overlay(entries.overlay(base.base, number=1, born=BORN)), entries


def rows_of(snapshot: Snapshot) -> list[tuple[int, ...]]:
    """Return family, key, prefix, code and end of every entry."""
    decoded = decode(snapshot)
    return sorted(
        (family, key, prefix, decoded.reasons[reason].code, until)
        for family, rows in ((4, decoded.ipv4), (6, decoded.ipv6))
        for key, prefix, reason, until in zip(*(column.tolist() for column in rows), strict=True)
    )


@given(changes, changes, st.integers(0, 5000))
def test_it_says_what_the_next_snapshot_would(before: list[Change], after: list[Change], later: int) -> None:
    base, overlay, entries = changed(before, after)
    given, expected = base.overlaid(overlay), cut(entries)
    assert rows_of(compacted(given)) == rows_of(expected)
    at = BORN.timestamp() + later
    for high in (0x0A00, 0x0A01, 0x0A02):
        for low in range(42):
            address = (4, high << 16 | low)
            assert given.find(address, at) == expected.find(address, at)
    for low in range(22):
        address = (6, (0x2001_0DB8 << 96) | low << 64 | 7)
        assert given.find(address, at) == expected.find(address, at)


@given(changes, changes, st.integers(8, 32), st.integers(0, 40))
def test_what_is_listed_is_reached(before: list[Change], after: list[Change], bits: int, low: int) -> None:
    base, overlay, entries = changed(before, after)
    prefix = (0x0A00_0000 | low) >> (32 - bits)
    assert base.overlaid(overlay).reaches(4, prefix, bits) >= cut(entries).reaches(4, prefix, bits)


def test_without_one_nothing_is_different() -> None:
    base, overlay, _ = changed([("192.0.2.1", Code.INFECTED, 3600)], [("192.0.2.1", None, 0)])
    with_it = base.overlaid(overlay)
    assert with_it.find((4, 0xC0000201), NOW) is None
    again = with_it.overlaid(None)
    assert again.overlay is None
    assert again.find((4, 0xC0000201), NOW) == base.find((4, 0xC0000201), NOW) is not None


def test_it_belongs_to_one_snapshot() -> None:
    base, overlay, entries = changed([], [("192.0.2.1", Code.INFECTED, 3600)])
    for other in (cut(entries), cut(Entries(), serial=6)):
        with pytest.raises(SnapshotError, match="it is of snapshot 5"):
            other.overlaid(overlay)
    assert overlay.serial == base.serial
    assert overlay.base == base.checksum


def test_what_it_cannot_say_needs_a_snapshot() -> None:
    entries = Entries()
    base = cut(entries)
    assert entries.changes is None  # not begun
    until = BORN + timedelta(days=1)
    put_name = partial(entries.put_name, "spam.example", FurtherCode.SPAMVERTISED, until)
    put_range = partial(entries.put, "192.0.2.3-192.0.2.9", Code.INFECTED, until)
    for step in (put_name, put_range):
        entries.begin_overlay()
        changes = [entries.changes]
        step()
        assert [*changes, entries.changes] == [0, None]
        with pytest.raises(SnapshotError, match="cut a snapshot"):
            entries.overlay(base.base, number=1, born=BORN)
    entries.begin_overlay()
    changes = [entries.changes]  # a host may be a part of the range
    entries.drop("192.0.2.3-192.0.2.9")
    entries.begin_overlay()
    assert [*changes, entries.changes] == [None, 0]


def test_it_has_a_bound() -> None:
    entries = Entries()
    entries.begin_overlay()
    for number in range(MAX_ROWS):
        entries.put(str(IPv4Address(0x0A000000 + number)), Code.INFECTED, BORN + timedelta(seconds=60 + number))
    data = entries.overlay(cut(Entries()).base, number=1, born=BORN)
    assert len(Overlay(data)) == MAX_ROWS
    assert len(data) < MAX_BYTES / 2
    entries.put("192.0.2.1", Code.INFECTED, BORN)
    assert entries.changes is None


def test_signed_and_verified() -> None:
    base, overlay, entries = changed([], [("192.0.2.1", Code.INFECTED, 3600)])
    data = entries.overlay(base.base, number=1, born=BORN)
    key, other = new_key(), new_key()
    with_signature = signed(data, [key], Overlay)
    assert len(Overlay(with_signature, [public_key(key)])) == len(overlay) == 1
    with pytest.raises(SnapshotError, match="overlay refused: not signed by"):
        Overlay(data, [public_key(key)])
    with pytest.raises(SnapshotError, match="overlay refused: not signed by"):
        Overlay(with_signature, [public_key(other)])
    # A signature of a snapshot is none of an overlay, whatever stands in both.
    sections = Overlay(with_signature).sections()
    moved = layout.assembled(sections, serial=5, born=int(BORN.timestamp()), expires=base.expires + 1,
                             kind=layout.OVERLAY)  # fmt: skip
    with pytest.raises(SnapshotError, match="does not hold"):
        Overlay(moved, [public_key(key)])


def test_damage_is_refused() -> None:
    base, _, entries = changed([], [("192.0.2.1", Code.INFECTED, 3600), ("198.51.100.0/24", Code.NETWORK, 60)])
    data = entries.overlay(base.base, number=1, born=BORN)
    chance = random.Random(7)
    for _ in range(2000):
        damaged = bytearray(data)
        damaged[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        with pytest.raises(SnapshotError):
            Overlay(bytes(damaged))
    for size in range(0, len(data), 7):
        with pytest.raises(SnapshotError):
            Overlay(data[:size])
    with pytest.raises(SnapshotError, match="does not begin as a Whimbrel overlay does"):
        Overlay(entries.moment().snapshot(zone="bl.example", serial=5, born=BORN, expires=BORN + timedelta(days=1)))
    with pytest.raises(SnapshotError, match=f"more than {MAX_BYTES} bytes"):
        Overlay(data + bytes(MAX_BYTES))


def test_tables_that_do_not_hold_together_are_refused() -> None:
    base, overlay, _ = changed([], [("192.0.2.1", Code.INFECTED, 3600), ("192.0.2.9", Code.INFECTED, 3600),
                                    ("198.51.100.0/24", Code.NETWORK, 60)])  # fmt: skip
    good = {name: bytes(content) for name, content in overlay.sections().items()}

    def number(*values: int) -> bytes:
        return b"".join(value.to_bytes(4, "little") for value in values)

    bad = {
        "a class that is none": {"ipv4.class": number(1, 1, 99)},
        "a text that is none": {"classes": bytes(12) + number(0) + bytes(12) + number(99)},
        "half a class": {"classes": good["classes"] + b"\0"},
        "keys in disorder": {"ipv4.key": number(0xC0000209, 0xC0000201, 0xC6336400)},
        "bits beyond the prefix": {"ipv4.key": number(0xC0000201, 0xC0000209, 0xC6336401)},
        "rows of nobody": {"ipv4.group": number(32, 0, 2)},
        "rows of two": {"ipv4.group": number(32, 0, 2, 24, 1, 1)},
        "the shortest first": {"ipv4.group": number(24, 0, 2, 32, 2, 1)},
        "a prefix beyond all bits": {"ipv4.group": number(33, 0, 2, 24, 2, 1)},
        "a prefix of nothing": {"ipv4.group": number(32, 0, 2, 0, 2, 1)},
        "half a group": {"ipv4.group": number(32, 0)},
        "half a key": {"ipv4.key": good["ipv4.key"][:-1]},
        "no base": {"base": b""},
        "no texts": {"texts": b"\xc1"},
    }
    for reason, sections in bad.items():
        data = layout.assembled(good | sections, serial=5, born=0, expires=base.expires, kind=layout.OVERLAY)
        with pytest.raises(SnapshotError, match="do not hold together"):
            pytest.fail(f"{reason} was taken: {len(Overlay(data))} rows")
    assert BASE.unpack(good["base"]) == (base.checksum, 1)
    assert all(isinstance(table, Networks) for table in overlay.tables.values())


def test_where_it_lies(tmp_path: Path) -> None:
    assert overlay_path(tmp_path / "list.snapshot") == tmp_path / "list.snapshot.overlay"
