"""The file, against dictionaries."""

import lzma
import subprocess
import sys
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whimbrel.errors import SnapshotError
from whimbrel.wire.snapshot import Entry, Snapshot, Zone, is_newer, layout
from whimbrel.wire.snapshot.decoder import decode
from whimbrel.wire.snapshot.encoder import NEAR_END_SECONDS, Reason, encode
from whimbrel.wire.snapshot.rows import Rows, no_rows

BORN = 1_000_000_000
EXPIRES = BORN + 86_400
ZONE = Zone(name="bl.example", servers=("localhost",), mailbox="hostmaster.bl.example")
REASONS = (
    Reason(2, "spam {address}"),
    Reason(4, "worm {address}"),
    Reason(9, "spam {address}"),
    Reason(layout.EXCLUDED, ""),
)
FIRST_VERSION = Path(__file__).resolve().parents[1] / "golden" / "snapshot" / "version-1.xz"

Row = tuple[int, int, int, int]  # key, prefix length, reason, until


def rows_of(rows: list[Row]) -> Rows:
    table = np.array(rows, np.uint64).reshape(-1, 4)
    return Rows(table[:, 0], table[:, 1].astype(np.uint8), table[:, 2].astype(np.uint32), table[:, 3].astype(np.int64))


def encoded(ipv4: list[Row] | None = None, ipv6: list[Row] | None = None, serial: int = 5, born: int = BORN) -> bytes:
    return encode(
        zone=ZONE,
        serial=serial,
        born=born,
        expires=EXPIRES,
        reasons=REASONS,
        ipv4=rows_of(ipv4) if ipv4 else no_rows(),
        ipv6=rows_of(ipv6) if ipv6 else no_rows(),
    )


WORLD = encoded(
    [(0xC0000201, 32, 0, BORN + 60), (0xC0000207, 32, 1, BORN + 90), (0xC6336400, 24, 2, BORN + 90)],
    [(0x20010DB8_00010002, 64, 0, BORN + 60), (0x20010DB8_FFFF0000, 48, 2, BORN + 60)],
)


def key_rows(bits: int, keys: st.SearchStrategy[int]) -> st.SearchStrategy[list[Row]]:
    """Rows of hosts and networks whose keys are close to each other, ended and running ones."""

    def row(key: int, prefix: int, reason: int, until: int) -> Row:
        return key >> (bits - prefix) << (bits - prefix), prefix, reason, BORN + until

    prefix = st.one_of(st.just(bits), st.integers(8, bits))
    return st.lists(st.builds(row, keys, prefix, st.integers(0, 3), st.integers(-5, 3000)), max_size=30)


IPV4_KEYS = st.one_of(st.integers(0, 2**32 - 1), st.integers(0xC000FFF0, 0xC0010010))
IPV6_KEYS = st.one_of(st.integers(0, 2**64 - 1), st.integers(0x20010DB8_0000FFF0, 0x20010DB8_00010010))


def twin(rows: list[Row], bits: int, key: int, now: float, shown: set[int]) -> Entry | None:
    """Say the same as `find` from a dictionary: of the targets that cover a key and run, the narrowest."""
    targets: dict[tuple[int, int, int], int] = {}
    for target, prefix, reason, until in rows:
        if until > BORN:
            at = (prefix, target, REASONS[reason].code)
            targets[at] = max(targets.get(at, 0), until)
    for prefix in range(bits, -1, -1):
        for code in sorted({layout.EXCLUDED, *shown}):
            until = targets.get((prefix, key >> (bits - prefix) << (bits - prefix), code), 0)
            if until > now:
                (text,) = (reason.text for reason in REASONS if reason.code == code)
                return None if code == layout.EXCLUDED else Entry(code, until, text)
    return None


ZONES = st.one_of(st.none(), st.lists(st.sampled_from([2, 4, 9]), unique=True).map(tuple))


@settings(max_examples=100, deadline=None)
@given(key_rows(32, IPV4_KEYS), key_rows(64, IPV6_KEYS), st.lists(IPV4_KEYS, max_size=20), st.integers(0, 3000), ZONES)
def test_find_says_what_a_dictionary_says(
    ipv4: list[Row], ipv6: list[Row], others: list[int], age: int, codes: tuple[int, ...] | None
) -> None:
    snapshot = Snapshot(encoded(ipv4, ipv6))
    now = BORN + age
    zone = None if codes is None else Zone(name="x", servers=("y",), mailbox="z", codes=codes)
    shown = {2, 4, 9} if codes is None else set(codes)
    for key in [*others, *(key for key, *_ in ipv4), *(min(key + 1, 2**32 - 1) for key, *_ in ipv4)]:
        assert snapshot.find((4, key), now, zone) == twin(ipv4, 32, key, now, shown)
    for key in [*(key for key, *_ in ipv6), *(min(key + 1, 2**64 - 1) for key, *_ in ipv6)]:
        assert snapshot.find((6, key << 64 | 25), now, zone) == twin(ipv6, 64, key, now, shown)


@settings(max_examples=60, deadline=None)
@given(key_rows(32, IPV4_KEYS), key_rows(64, IPV6_KEYS), st.data())
def test_reaches_says_what_overlapping_networks_say(ipv4: list[Row], ipv6: list[Row], data: st.DataObject) -> None:
    snapshot = Snapshot(encoded(ipv4, ipv6))
    for family, rows, bits, keys in ((4, ipv4, 32, IPV4_KEYS), (6, ipv6, 64, IPV6_KEYS)):
        width, network_type = (32, IPv4Network) if family == 4 else (128, IPv6Network)
        listed = [network_type((key << (width - bits), prefix)) for key, prefix, _, until in rows if until > BORN]
        for _ in range(5):
            key = data.draw(st.one_of(keys, st.sampled_from(rows).map(lambda row: row[0]) if rows else keys))
            length = data.draw(st.integers(0, width))
            value = key << (width - bits) >> (width - length)
            asked = network_type((value << (width - length), length))
            assert snapshot.reaches(family, value, length) == any(asked.overlaps(network) for network in listed)


def test_ends_are_rounded_down_and_near_ones_kept_when_classes_run_out() -> None:
    chance = np.random.default_rng(5782)
    untils = BORN + chance.integers(1, 7 * 86_400, 5_000)
    rows = [(int(key), 32, int(key) % 3, int(until)) for key, until in enumerate(untils, 1 << 24)]
    data = encoded(rows)
    snapshot = Snapshot(data)
    for key, _, reason, until in rows:
        entry = snapshot.find((4, key), BORN)
        assert entry is not None
        assert entry.code == REASONS[reason].code
        assert entry.until <= until
        if until - BORN <= NEAR_END_SECONDS:
            assert entry.until == until
        assert until - entry.until < (until - BORN) / 6  # 3 codes, 10 doublings: at least 6 steps in each
    # 3 bytes each, the index once, 16 bytes for each class, 24 for each of the near ones (16 of them its class).
    near = sum(until - BORN <= NEAR_END_SECONDS for *_, until in rows)
    assert len(data) < 3 * len(rows) + 4 * 65_537 + 16 * 256 + 24 * near + 4_096


def test_most_ends_are_the_same_in_the_next_snapshot() -> None:
    """Else every reason would change with each list, and an incremental transfer would be as long as a whole one."""
    chance = np.random.default_rng(5782)
    untils = BORN + chance.integers(2 * NEAR_END_SECONDS, 7 * 86_400, 5_000)
    rows = [(int(key), 32, int(key) % 3, int(until)) for key, until in enumerate(untils, 1 << 24)]
    first, next_ = (Snapshot(encoded(rows, born=born)) for born in (BORN, BORN + 300))
    ends = [[snapshot.find((4, key), BORN + 300) for key, *_ in rows] for snapshot in (first, next_)]
    assert sum(before != after for before, after in zip(*ends, strict=True)) < len(rows) / 50


def test_too_many_reasons_for_a_byte_lose_nothing() -> None:
    reasons = [Reason(2, f"text {number}") for number in range(400)]
    hosts = [(0xC0000000 + n, 32, n, BORN + 1_000 + n * 500) for n in range(400)]
    ipv6 = [(0x20010DB8 << 32 | n, 64, n, BORN + 1_000 + n * 500) for n in range(400)]
    snapshot = Snapshot(
        encode(
            zone=ZONE, serial=1, born=BORN, expires=EXPIRES, reasons=reasons, ipv4=rows_of(hosts), ipv6=rows_of(ipv6)
        )
    )
    for family, rows, shift in ((4, hosts, 0), (6, ipv6, 64)):
        for key, _, reason, until in rows:
            entry = snapshot.find((family, key << shift), BORN)
            assert entry is not None
            assert entry.text == reasons[reason].text
            assert BORN + (until - BORN) // 2 <= entry.until <= until


def test_the_end_of_an_exclusion_is_never_rounded() -> None:
    untils = BORN + np.random.default_rng(5782).integers(1, 7 * 86_400, 5_000)
    rows = [(int(key), 32, 3 * (int(key) % 2), int(until)) for key, until in enumerate(untils, 1 << 24)]
    snapshot = Snapshot(encoded(rows))
    found = [next(snapshot.covering((4, key))).until for key, *_ in rows]
    assert all(until == row[3] for until, row in zip(found, rows, strict=True) if row[2] == 3)
    assert any(until < row[3] for until, row in zip(found, rows, strict=True))


@given(st.permutations([(0xC0000201, 32, 0, BORN + 9), (0xC0000201, 32, 1, BORN + 9), (0x0A000000, 8, 2, BORN + 5)]))
def test_the_same_rows_in_any_order_give_the_same_bytes(rows: list[Row]) -> None:
    assert encoded(rows) == encoded(sorted(rows))


def test_what_the_file_says_of_itself() -> None:
    snapshot = Snapshot(WORLD)
    assert (snapshot.zone, snapshot.serial, snapshot.born, snapshot.expires) == (ZONE, 5, BORN, EXPIRES)
    assert len(snapshot) == 5
    assert len(Snapshot(encoded())) == 0
    assert Snapshot(encoded()).find((4, 0), BORN) is None


@given(st.integers(0, len(WORLD) * 8 - 1))
def test_any_flipped_bit_is_refused(bit: int) -> None:
    damaged = bytearray(WORLD)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SnapshotError, match=r"^snapshot refused: .+$"):
        Snapshot(bytes(damaged))


@given(st.one_of(st.integers(0, len(WORLD) - 1), st.integers(0, 200)))
def test_any_cut_is_refused(length: int) -> None:
    with pytest.raises(SnapshotError):
        Snapshot(WORLD[:length])


@given(st.integers(1, len(WORLD) // 4096), st.integers(1, 40))
def test_a_torn_file_is_refused(page: int, number: int) -> None:
    """Its first pages are of one list, the rest of another, as after a crash in the midst of writing in place."""
    other = encoded([(0xC0000201 + number, 32, 1, BORN + 60)] * 1, serial=6)
    torn = other[: page * 4096] + WORLD[page * 4096 :]
    if torn not in (WORLD, other):
        with pytest.raises(SnapshotError):
            Snapshot(torn)


@given(st.binary(max_size=300))
def test_other_files_are_refused(data: bytes) -> None:
    for file in (data, layout.SNAPSHOT.magic + data):
        with pytest.raises(SnapshotError):
            Snapshot(file)


def resealed(data: bytearray) -> bytes:
    data[layout.CHECKSUM] = layout.checksum(memoryview(data))
    return bytes(data)


def test_another_version_is_refused_by_name() -> None:
    data = bytearray(WORLD)
    data[8] = 3
    with pytest.raises(SnapshotError, match="version 3, and this Whimbrel reads versions 1 and 2"):
        Snapshot(resealed(data))


def test_the_first_version_is_still_read() -> None:
    """A file that was written before there were exclusions, further zones and names, bytes as they were."""
    data = lzma.decompress(FIRST_VERSION.read_bytes())
    first, now = Snapshot(data), Snapshot(WORLD)
    assert (first.version, now.version) == (1, 2)
    assert (first.zones, first.serial, first.born, first.expires) == ((ZONE,), 5, BORN, EXPIRES)
    assert len(first) == len(now) == 5
    for address in ((4, 0xC0000201), (4, 0xC6336409), (6, 0x20010DB8_00010002 << 64), (4, 1)):
        assert list(first.covering(address)) == list(now.covering(address))
    assert first.find_name((b"example",), BORN) is None
    assert not first.reaches_name((b"example",), BORN)
    again = layout.assembled(first.sections(), serial=5, born=BORN, expires=EXPIRES, version=first.version)
    assert again == data
    decoded = decode(first)
    assert len(decoded.ipv4.key) + len(decoded.ipv6.key) == 5
    assert decoded.names.name == []


def test_unknown_sections_are_skipped() -> None:
    sections = {
        name.rstrip(b"\0").decode(): WORLD[offset : offset + length]
        for name, offset, length in (
            layout.SECTION.unpack_from(WORLD, layout.HEADER_BYTES + row * layout.SECTION.size)
            for row in range(layout.PREAMBLE.unpack_from(WORLD)[2])
        )
    }
    assert layout.assembled(sections, serial=5, born=BORN, expires=EXPIRES) == WORLD
    more = {"domains": b"of later", **sections, "keys": b""}
    later = Snapshot(layout.assembled(more, serial=5, born=BORN, expires=EXPIRES))
    assert later.find((4, 0xC0000201), BORN) == Snapshot(WORLD).find((4, 0xC0000201), BORN) is not None


def test_well_sealed_nonsense_is_refused() -> None:
    """A checksum is no proof of sense: sections missing, out of bounds or of the wrong length are refused, too."""
    count = layout.PREAMBLE.unpack_from(WORLD)[2]
    for row in range(count):
        at = layout.HEADER_BYTES + row * layout.SECTION.size
        name, offset, length = layout.SECTION.unpack_from(WORLD, at)
        for changed in ((b"other", offset, length), (name, len(WORLD), 64), (name, offset, length + 1)):
            data = bytearray(WORLD)
            layout.SECTION.pack_into(data, at, *changed)
            with pytest.raises(SnapshotError):
                Snapshot(resealed(data))


def test_out_of_its_time_or_older_than_the_one_in_force() -> None:
    assert Snapshot.open(WORLD, now=EXPIRES - 1, in_force=4).serial == 5
    with pytest.raises(SnapshotError, match="expired at 2001-09-10 01:46:40 UTC"):
        Snapshot.open(WORLD, now=EXPIRES)
    for in_force in (5, 6, 4 + (1 << 31)):
        with pytest.raises(SnapshotError, match=f"{in_force} is in force"):
            Snapshot.open(WORLD, now=BORN, in_force=in_force)


@given(st.integers(0, 2**32 - 1), st.integers(1, 2**31 - 1))
def test_serials_wrap(serial: int, step: int) -> None:
    assert is_newer((serial + step) % 2**32, serial)
    assert not is_newer(serial, (serial + step) % 2**32)
    assert not is_newer(serial, serial)


def test_a_name_server_that_starts_waits_for_no_compiler() -> None:
    code = "import sys, whimbrel.nameserver; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@settings(max_examples=60, deadline=None)
@given(key_rows(32, IPV4_KEYS), key_rows(64, IPV6_KEYS))
def test_what_is_decoded_is_what_was_encoded(ipv4: list[Row], ipv6: list[Row]) -> None:
    snapshot = Snapshot(encoded(ipv4, ipv6))
    decoded = decode(snapshot)
    assert len(decoded.ipv4.key) + len(decoded.ipv6.key) == len(snapshot)
    for given_rows, rows, bits, family in ((ipv4, decoded.ipv4, 32, 4), (ipv6, decoded.ipv6, 64, 6)):
        targets = {(key, prefix, REASONS[reason].code) for key, prefix, reason, until in given_rows if until > BORN}
        found = list(zip(*(column.tolist() for column in rows), strict=True))
        assert {(key, prefix, decoded.reasons[reason].code) for key, prefix, reason, _ in found} == targets
        assert len(found) == len(targets)
        for key, prefix, reason, until in found:
            entry = Entry(decoded.reasons[reason].code, until, decoded.reasons[reason].text)
            covering = list(snapshot.covering((family, key if family == 4 else key << 64)))
            assert entry in (covering[: len(REASONS)] if prefix == bits else covering)


def test_rounded_and_exact_ends_are_decoded() -> None:
    untils = np.random.default_rng(5782).integers(1, 7 * 86_400, 5_000)
    snapshot = Snapshot(
        encoded([(int(key), 32, int(key) % 3, BORN + int(end)) for key, end in enumerate(untils, 1 << 24)])
    )
    rows = decode(snapshot).ipv4
    for key, until in zip(rows.key.tolist(), rows.until.tolist(), strict=True):
        entry = snapshot.find((4, key), BORN)
        assert entry is not None
        assert entry.until == until
