"""Entries kept in columns say what a dictionary of targets would, whatever is changed when."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whimbrel.errors import ConfigError, SnapshotError
from whimbrel.model.listing import Code, FurtherCode
from whimbrel.publishing import Entries
from whimbrel.publishing.entries import _ENDLESS
from whimbrel.wire.snapshot import Overlay, Snapshot
from whimbrel.wire.snapshot.decoder import compacted, decode
from whimbrel.wire.snapshot.layout import EXCLUDED
from whimbrel.wire.snapshot.overlay import MAX_ROWS

BORN = datetime(2026, 7, 1, tzinfo=UTC)

targets = st.sampled_from(
    ["10.0.0.1", "10.0.0.2", "10.0.0.0/24", "10.0.0.0/31", "2001:db8::/64", "2001:db8::/48", "2001:db8:1::/64"]
)
ranges = st.sampled_from(["10.0.0.1-10.0.0.6", "10.0.0.4-10.0.0.9"])
seconds = st.integers(1, 4000)
# A step: a target that is put on, excluded or taken off, and a snapshot that is cut, at once or of a moment ago.
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), targets, st.sampled_from(Code), seconds),
        st.tuples(st.just("put"), st.one_of(targets, ranges), st.just(Code.INFECTED), seconds),
        st.tuples(st.just("exclude"), targets, st.just(None), st.one_of(st.none(), seconds)),
        st.tuples(st.sampled_from(["drop", "include"]), st.one_of(targets, ranges), st.just(None), st.just(None)),
        st.tuples(st.sampled_from(["moment", "begin"]), st.just(""), st.just(None), st.just(None)),
    ),
    max_size=25,
)  # fmt: skip
Step = tuple[str, str, Code | None, int | None]
Twin = dict[tuple[str, bool], tuple[int, int]]  # code and end by target, and whether it is excluded


class Pair:
    """Entries, and the dictionary that they are compared with."""

    def __init__(self) -> None:
        self.entries, self.twin = Entries(), Twin()
        self.at_moment = self.twin.copy()
        self.moment = self.entries.moment()
        self.base: Snapshot | None = None

    def take(self, step: Step) -> None:
        kind, target, code, seconds = step
        until = None if seconds is None else BORN + timedelta(seconds=seconds)
        end = _ENDLESS if until is None else int(until.timestamp())
        if kind == "put":
            assert until is not None
            assert code is not None
            self.entries.put(target, code, until)
            self.twin[target, False] = (int(code), end)
        elif kind == "exclude":
            self.entries.exclude(target, until)
            self.twin[target, True] = (EXCLUDED, end)
        elif kind == "moment":
            self.moment, self.at_moment = self.entries.moment(), self.twin.copy()
        elif kind == "begin":
            self.base = cut(self.moment.snapshot)
            self.entries.begin_overlay(self.moment)
        else:
            is_excluded = kind == "include"
            gone = self.twin.pop((target, is_excluded), None)
            assert self.entries.drop(target, excluded=is_excluded) == (None if gone is None else gone[1])


def cut(snapshot: Callable[..., bytes]) -> Snapshot:
    return Snapshot(snapshot(zone="bl.example", serial=5, born=BORN, expires=BORN + timedelta(days=1)))


def of(twin: Twin) -> Snapshot:
    """Return the snapshot of a dictionary, by entries that were never in columns."""
    entries = Entries()
    for (target, is_excluded), (code, end) in twin.items():
        if is_excluded:
            entries.exclude(target, datetime.fromtimestamp(end, UTC))
        else:
            entries.put(target, Code(code), datetime.fromtimestamp(end, UTC))
    return cut(entries.moment().snapshot)


def rows(snapshot: Snapshot) -> list[tuple[int, ...]]:
    """Return family, key, prefix, code and end of every entry."""
    decoded = decode(snapshot)
    return sorted(
        (family, key, prefix, decoded.reasons[reason].code, until)
        for family, columns in ((4, decoded.ipv4), (6, decoded.ipv6))
        for key, prefix, reason, until in zip(*(column.tolist() for column in columns), strict=True)
    )


@settings(deadline=None)
@given(steps, st.sampled_from([0, 3, 1000]))
def test_whatever_changes_they_say_what_a_dictionary_does(taken: list[Step], most: int) -> None:
    pair = Pair()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("whimbrel.publishing.entries._MOST_CHANGES", most)
        for step in taken:
            pair.take(step)
    assert len(pair.entries) == len(pair.twin)
    assert cut(pair.entries.moment().snapshot).checksum == of(pair.twin).checksum
    assert cut(pair.moment.snapshot).checksum == of(pair.at_moment).checksum
    if pair.entries.changes is not None:
        assert pair.base is not None
        overlaid = pair.base.overlaid(Overlay(pair.entries.overlay(pair.base.base, number=1, born=BORN)))
        assert rows(compacted(overlaid)) == rows(of(pair.twin))


def begun(*listed: str) -> Entries:
    entries = Entries()
    for target in listed:
        entries.put(target, Code.INFECTED, BORN + timedelta(hours=1))
    entries.begin_overlay()
    return entries


def test_what_changed_since_a_moment_is_what_its_overlay_says() -> None:
    entries = begun("192.0.2.1", "192.0.2.2")
    entries.put("192.0.2.3", Code.INFECTED, BORN + timedelta(hours=1))
    moment = entries.moment()
    assert entries.changes == 1
    entries.drop("192.0.2.1")
    entries.put("192.0.2.3", Code.INFECTED, BORN + timedelta(hours=2))
    entries.put("192.0.2.4", Code.INFECTED, BORN + timedelta(hours=2))
    entries.drop("192.0.2.4")
    assert entries.changes == 3
    entries.put("192.0.2.3", Code.INFECTED, BORN + timedelta(hours=1))  # as it was
    entries.begin_overlay(moment)
    assert entries.changes == 2
    assert len(entries) == 2


def test_what_came_between_a_moment_and_its_snapshot_may_be_more_than_an_overlay_says() -> None:
    until = BORN + timedelta(hours=1)
    for name, target in (("spam.example", "192.0.2.9"), (None, "192.0.2.3-192.0.2.9")):
        entries = begun("192.0.2.1")
        moment = entries.moment()
        entries.put(target, Code.INFECTED, until)
        if name is not None:
            entries.put_name(name, FurtherCode.PHISHING, until)
        entries.begin_overlay(moment)
        assert entries.changes is None
        with pytest.raises(SnapshotError, match="cut a snapshot"):
            entries.overlay(cut(moment.snapshot).base, number=1, born=BORN)


def test_many_changes_go_into_the_columns_and_need_a_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whimbrel.publishing.entries._MOST_CHANGES", MAX_ROWS + 8)
    entries = begun("192.0.2.1")
    moment = entries.moment()
    for number in range(MAX_ROWS + 9):
        assert (entries.changes is None) == (number > MAX_ROWS)
        entries.put(str(IPv4Address(0x0A000000 + number)), Code.INFECTED, BORN + timedelta(hours=1))
    counts = []
    for cut_of in (moment, None):  # the first of other columns
        entries.begin_overlay(cut_of)
        counts.append(entries.changes)
    assert counts == [None, 0]
    assert len(entries) == MAX_ROWS + 10
    assert entries.drop("10.0.0.7") == int((BORN + timedelta(hours=1)).timestamp())
    assert entries.changes == 1


def test_two_spellings_are_one_target() -> None:
    entries = begun("192.0.2.1", "2001:db8::/64")
    assert entries.drop("192.0.2.1/32") is not None
    assert entries.drop("2001:0DB8:0::/64") is not None
    assert len(entries) == 0


def test_what_cannot_be_listed_is_not_on() -> None:
    entries = begun("192.0.2.1")
    for target in ("erased 1", "127.0.0.1", "0.0.0.0/0"):
        with pytest.raises(ConfigError):
            entries.put(target, Code.INFECTED, BORN)
        assert entries.drop(target) is None
    assert len(entries) == 1
