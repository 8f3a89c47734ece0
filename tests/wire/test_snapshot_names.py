"""Names in the file, and its zones, against lists and loops."""

import hashlib
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whimbrel.errors import SnapshotError
from whimbrel.wire.snapshot import Entry, Snapshot, Zone, layout, nametable
from whimbrel.wire.snapshot import names as reading
from whimbrel.wire.snapshot.decoder import decode
from whimbrel.wire.snapshot.encoder import Reason, encode
from whimbrel.wire.snapshot.names import Labels, wire_of
from whimbrel.wire.snapshot.nametable import NameRows
from whimbrel.wire.snapshot.rows import no_rows

BORN = 1_000_000_000
EXPIRES = BORN + 86_400
SPAMVERTISED, PHISHING, FILE = 0x0102, 0x0104, 0x030A
REASONS = (
    Reason(SPAMVERTISED, "{name} is spamvertised"),
    Reason(PHISHING, "{name} phishes"),
    Reason(FILE, "{name} is a bad file"),
    Reason(layout.EXCLUDED, ""),
)

Row = tuple[Labels, bool, int, int]  # name, wildcard, reason, until


def zone(name: str, codes: tuple[int, ...] | None = None, *, demo: bool = False) -> Zone:
    return Zone(name=name, servers=("localhost",), mailbox="hostmaster.example", codes=codes, demo=demo)


def encoded(rows: list[Row], *zones: Zone) -> bytes:
    return encode(
        zone=zones[0] if zones else zone("bl.example"),
        more_zones=zones[1:],
        serial=5,
        born=BORN,
        expires=EXPIRES,
        reasons=REASONS,
        ipv4=no_rows(),
        ipv6=no_rows(),
        names=NameRows(
            [wire_of(row[0]) for row in rows],
            np.array([row[1] for row in rows], np.bool_),
            np.array([row[2] for row in rows], np.uint32),
            np.array([row[3] for row in rows], np.int64),
        ),
    )


LABELS = st.lists(st.sampled_from([b"a", b"b", b"c", b"ab", b"\x01a"]), min_size=1, max_size=4).map(tuple)
ROWS = st.lists(
    st.builds(lambda *row: (*row[:3], BORN + row[3]), LABELS, st.booleans(), st.integers(0, 3), st.integers(-5, 3000)),
    max_size=25,
)
CODES = st.one_of(
    st.none(), st.lists(st.sampled_from([SPAMVERTISED, PHISHING, FILE]), unique=True, min_size=1).map(tuple)
)


def twin(rows: list[Row], labels: Labels, now: float, shown: set[int]) -> Entry | None:
    """Say the same as `find_name` by looking at every row for every name above: the longest, exact first, low codes."""
    for skip in range(len(labels)):
        for wildcard in (False, True) if skip == 0 else (True,):
            for code in sorted({layout.EXCLUDED, *shown}):
                ends = [
                    until
                    for name, wide, reason, until in rows
                    if (name, wide, REASONS[reason].code) == (labels[skip:], wildcard, code) and until > BORN
                ]
                if max(ends, default=0) > now:
                    (text,) = (reason.text for reason in REASONS if reason.code == code)
                    name = b".".join(labels[skip:]).decode()
                    return Entry(code, max(ends), text.replace("{name}", name)) if code else None
    return None


@settings(max_examples=200, deadline=None)
@given(ROWS, st.lists(LABELS, max_size=20), st.integers(0, 3000), CODES)
def test_names_are_found_as_by_looking_at_each(
    rows: list[Row], others: list[Labels], age: int, codes: tuple[int, ...] | None
) -> None:
    snapshot = Snapshot(encoded(rows))
    now = BORN + age
    shown = {SPAMVERTISED, PHISHING, FILE} if codes is None else set(codes)
    asked_of = None if codes is None else zone("x", codes)
    listed = [row[0] for row in rows]
    for labels in [*listed, *others, *((b"x", *name) for name in listed), *(name[1:] for name in listed if name[1:])]:
        assert snapshot.find_name(labels, now, asked_of) == twin(rows, labels, now, shown), labels
        stands = any(
            len(name) > len(labels) and name[-len(labels) :] == labels for name, *_, until in rows if until > BORN
        )
        within = twin(rows, (b"nobody", *labels), now, shown) is not None
        assert snapshot.reaches_name(labels, now, asked_of) == (stands or within), labels


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_names_of_one_hash_are_told_apart(rows: list[Row]) -> None:
    """All names share one of two hashes here."""

    def poor(wire: bytes, _: int) -> int:
        return len(wire) % 2

    with mock.patch.object(reading, "key_of", poor), mock.patch.object(nametable, "key_of", poor):
        snapshot = Snapshot(encoded(rows))
        for labels in [name for row in rows for name in (row[0], (b"x", *row[0]))]:
            assert snapshot.find_name(labels, BORN) == twin(rows, labels, BORN, {SPAMVERTISED, PHISHING, FILE})


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_what_is_decoded_is_what_was_encoded(rows: list[Row]) -> None:
    snapshot = Snapshot(encoded(rows))
    decoded = decode(snapshot)
    found = {
        (name, wide, decoded.reasons[reason].code): until
        for name, wide, reason, until in zip(
            decoded.names.name, *(column.tolist() for column in decoded.names[1:]), strict=True
        )
    }
    given_rows: dict[tuple[bytes, bool, int], int] = {}
    for name, wide, reason, until in rows:
        if until > BORN:
            at = (wire_of(name), wide, REASONS[reason].code)
            given_rows[at] = max(given_rows.get(at, 0), until)
    assert found == given_rows
    assert len(snapshot) == len(decoded.names.name) == len(given_rows)


@given(
    st.permutations(
        [((b"a", b"b"), True, 0, BORN + 9), ((b"a", b"b"), False, 1, BORN + 9), ((b"b",), False, 2, BORN + 5)]
    )
)
def test_the_same_names_in_any_order_give_the_same_bytes(rows: list[Row]) -> None:
    assert encoded(rows) == encoded(sorted(rows))


def test_another_list_has_another_seed() -> None:
    """So nobody can look for names that share a hash before the list is cut."""
    one, other = (
        Snapshot(encoded([((label, b"example"), False, 0, BORN + 60)])).section("names.seed") for label in (b"a", b"b")
    )
    assert one != other


def test_a_name_has_a_bounded_number_of_labels_and_a_look_up_bounded_steps() -> None:
    deep = (b"a",) * layout.MAX_NAME_LABELS
    snapshot = Snapshot(encoded([(deep, True, 0, BORN + 60)]))
    assert snapshot.find_name(deep, BORN) is not None
    assert snapshot.find_name((b"a",) * 127, BORN) is not None
    with mock.patch.object(reading, "key_of", wraps=reading.key_of) as hashed:
        assert snapshot.find_name((b"b",) * 127, BORN) is None
        assert hashed.call_count == layout.MAX_NAME_LABELS
    with pytest.raises(ValueError, match="more than 16 labels"):
        encoded([((b"a", *deep), True, 0, BORN + 60)])


def test_ends_of_names_are_nearly_exact_and_a_name_takes_few_bytes() -> None:
    """Three codes, 20,000 ends over a week."""
    untils = BORN + np.random.default_rng(5782).integers(1, 7 * 86_400, 20_000)
    rows: list[Row] = [
        (
            (hashlib.sha1(bytes([n >> 8, n & 255]), usedforsecurity=False).hexdigest().encode(), b"_email"),
            False,
            n % 3,
            int(until),
        )
        for n, until in enumerate(untils)
    ]
    data = encoded(rows)
    snapshot = Snapshot(data)
    for labels, _, _, until in rows:
        entry = snapshot.find_name(labels, BORN)
        assert entry is not None
        assert until - (until - BORN) / 100 <= entry.until <= until
    text = sum(len(wire_of(row[0])) for row in rows)
    assert len(data) - len(encoded([])) - text <= 17 * len(rows) + 16 * 4096 + 24 * 900 + 256


def test_the_innermost_zone_has_the_name() -> None:
    main, auth, deep = zone("bl.example", (2,)), zone("Auth.bl.example.", (20,)), zone("a.b.bl.example")
    snapshot = Snapshot(encoded([], main, auth, deep))
    assert snapshot.zones == (main, auth, deep)
    assert snapshot.zone == main
    for name, expected in (
        ("bl.example", (main, 0)),
        ("1.bl.example", (main, 1)),
        ("auth.bl.example", (auth, 0)),
        ("3.2.auth.bl.example", (auth, 2)),
        ("xauth.bl.example", (main, 1)),
        ("b.bl.example", (main, 1)),
        ("x.a.b.bl.example", (deep, 1)),
        ("example", None),
        ("other.example", None),
    ):
        labels = tuple(name.encode().split(b"."))
        found = snapshot.zone_of(labels)
        assert (None if found is None else (found[0], len(found[1]))) == expected
        assert snapshot.is_above_zone(labels) == (name in {"bl.example", "b.bl.example", "example"})
    assert snapshot.zone_of(()) is None


def test_a_zone_whose_name_is_none_is_refused() -> None:
    with pytest.raises(SnapshotError, match="do not hold together"):
        Snapshot(encoded([], zone("bücher.example")))


@pytest.mark.parametrize("other", [zone("BL.example"), zone("auth.bl.example", demo=True)])
def test_zones_that_contradict_each_other_are_refused(other: Zone) -> None:
    with pytest.raises(SnapshotError, match="two zones of one name, or a demo's beside a real one"):
        Snapshot(encoded([], zone("bl.example"), other))
