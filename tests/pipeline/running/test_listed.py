"""The list in memory is the ledger's, change by change; a snapshot is cut when, and only when, one is due."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from threading import Event, Timer
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.listings.rows import a_run, day, seen

from whimbrel.errors import ConfigError, StoreError
from whimbrel.listings.ledger import Ledger
from whimbrel.listings.policy import Decider
from whimbrel.listings.settings import OWN
from whimbrel.model import listing as model
from whimbrel.model.listing import Code
from whimbrel.model.listing import Event as Decided
from whimbrel.pipeline.config.settings import Publish
from whimbrel.pipeline.running.listed import LEAST_SECONDS, Listed
from whimbrel.pipeline.running.metrics import Metrics
from whimbrel.publishing import TEXTS, Entries, write_snapshot
from whimbrel.publishing.building import Moment
from whimbrel.publishing.signing import new_key
from whimbrel.wire.snapshot import Overlay, Snapshot, overlay_path
from whimbrel.wire.snapshot.overlay import MAX_ROWS

SETTINGS = Publish(overlay_seconds=0)
OVERLAYS = Publish(overlay_seconds=60)


class Listing:
    """A ledger, a decider that fills it, and the list in memory that follows."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "list.snapshot"
        self.ledger = Ledger.open(folder / "ledger.sqlite", "write")
        self.decider = Decider(OWN)
        self.metrics = Metrics()
        self.settings = SETTINGS
        self.listed = self.anew()
        self.day = 0.0
        self.monotonic = 100.0
        self.signers = [new_key()][:0]

    def anew(self) -> Listed:
        return Listed(self.ledger, self.path, TEXTS, self.settings, demo=False, metrics=self.metrics)

    @property
    def now(self) -> datetime:
        return day(self.day)

    def see(self, host: str, label: str = "spam", *, times: int = 3) -> None:
        events = [
            event
            for time in range(times)
            for event in self.decider.decide(
                seen(host, label, day=self.day, salt=str(time), rdns="dsl-1-2.isp.example")
            )
        ]
        self.commit(events)

    def expire(self) -> None:
        self.commit(self.decider.expire(self.now))

    def commit(self, events: list[Decided]) -> None:
        self.ledger.commit(a_run(self.day), events, self.decider.dumps())

    def publish(self) -> Snapshot:
        self.listed.publish(self.now, self.monotonic, self.signers)
        return self.published()

    def published(self) -> Snapshot:
        snapshot, place = Snapshot(self.path.read_bytes()), overlay_path(self.path)
        return snapshot.overlaid(Overlay(place.read_bytes())) if place.exists() else snapshot

    def is_due(self) -> bool:
        return self.listed.is_due(self.now, self.monotonic)

    def turn(self, *hosts: str, at_once: bool = False) -> Snapshot:
        """Decide on hosts, and publish if that is due; return what name servers have then."""
        self.monotonic += 1
        self.day += 0.001
        for host in hosts:
            self.see(host)
        self.listed.follow(self.now)
        if self.listed.is_due(self.now, self.monotonic, at_once=at_once):
            self.listed.publish(self.now, self.monotonic, self.signers, at_once=at_once)
        return self.published()


@pytest.fixture
def listing(tmp_path: Path) -> Listing:
    return Listing(tmp_path)


def cut(listings: list[model.Listing], serial: int, now: datetime) -> Snapshot:
    return Snapshot(
        Entries.of(listings)
        .moment()
        .snapshot(
            zone=SETTINGS.zone,
            serial=serial,
            born=now,
            expires=now + timedelta(hours=SETTINGS.valid_hours),
            servers=SETTINGS.servers,
        )
    )


@settings(deadline=None, max_examples=25)  # each example is a database
@given(
    st.lists(
        st.tuples(st.sampled_from(["192.0.2.1", "192.0.2.7", "198.51.100.9"]), st.sampled_from(["spam", "spam", "ham"]),
                  st.floats(0.01, 5), st.booleans()),
        max_size=12,
    )
)  # fmt: skip
def test_whatever_was_decided_the_list_is_the_ledgers(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, float, bool]]
) -> None:
    listing = Listing(tmp_path_factory.mktemp("listed"))
    for host, label, days, follows in steps:
        listing.day += days
        listing.expire()
        listing.see(host, label)
        if follows:
            listing.listed.follow(listing.now)
    listing.listed.follow(listing.now)
    snapshot = listing.publish()
    expected = cut(listing.ledger.listings(listing.now), snapshot.serial, listing.now)
    assert snapshot.checksum == expected.checksum


def test_a_snapshot_is_due_when_the_list_changed_but_not_too_soon(listing: Listing) -> None:
    listing.listed.follow(listing.now)
    assert listing.is_due()  # none was published yet
    assert len(listing.publish()) == len(Code)
    listing.monotonic += LEAST_SECONDS
    listing.listed.follow(listing.now)
    assert not listing.is_due()
    listing.see("192.0.2.1")
    assert listing.listed.follow(listing.now) > 0
    assert listing.is_due()
    serial = listing.publish().serial
    listing.see("198.51.100.9")
    listing.listed.follow(listing.now)
    assert not listing.is_due()  # that was a moment ago
    assert listing.listed.due_seconds(listing.monotonic) == LEAST_SECONDS
    assert listing.listed.is_due(listing.now, listing.monotonic, at_once=True)
    listing.monotonic += LEAST_SECONDS
    assert listing.is_due()
    assert listing.publish().serial > serial


def test_a_snapshot_is_due_half_way_to_its_end_and_when_settings_changed(listing: Listing) -> None:
    listing.listed.follow(listing.now)
    listing.publish()
    listing.monotonic += 10
    listing.day += 0.99
    assert not listing.is_due()
    listing.day += 0.01
    assert listing.is_due()
    listing.publish()
    listing.monotonic += 10
    assert not listing.is_due()
    listing.listed.renew(SETTINGS)
    assert listing.is_due()


@pytest.fixture
def overlaying(listing: Listing) -> Listing:
    """The same, going out in overlays; the first snapshot is cut."""
    listing.settings = OVERLAYS
    listing.listed = listing.anew()
    listing.see("192.0.2.1")
    listing.listed.follow(listing.now)
    listing.publish()
    listing.monotonic += 10
    return listing


def is_listed(snapshot: Snapshot, listing: Listing, *hosts: str) -> list[bool]:
    found = (snapshot.find((4, int(IPv4Address(host))), listing.now.timestamp()) for host in hosts)
    return [each is not None for each in found]


def test_what_changes_goes_out_in_an_overlay_until_a_snapshot_is_cut_of_it(overlaying: Listing) -> None:
    listing, serial = overlaying, overlaying.listed.serial
    assert not listing.is_due()
    for number, host in enumerate(("192.0.2.7", "192.0.2.9"), 1):
        listing.day += 0.01
        listing.see(host)
        listing.listed.follow(listing.now)
        assert listing.is_due()
        published = listing.publish()
        assert (published.serial, published.overlay and published.overlay.number) == (serial, number)
        assert listing.metrics.sum("overlay_targets") == number
        assert not listing.is_due()
        listing.monotonic += 1
    listing.see("192.0.2.1", "ham")
    listing.listed.follow(listing.now)
    assert is_listed(listing.publish(), listing, "192.0.2.1", "192.0.2.7", "192.0.2.9") == [False, True, True]
    listing.monotonic += 60
    assert listing.is_due()
    published = listing.publish()
    assert published.serial != serial
    assert published.overlay is None
    assert is_listed(published, listing, "192.0.2.1", "192.0.2.7", "192.0.2.9") == [False, True, True]
    listing.monotonic += 600
    assert not listing.is_due()  # nothing changed since


def test_what_an_overlay_does_not_do_takes_a_snapshot(overlaying: Listing, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = overlaying

    def publishes_whole() -> bool:
        listing.monotonic += 10
        listing.day += 0.01
        listing.see(f"192.0.2.{10 + int(listing.monotonic)}")
        listing.listed.follow(listing.now)
        return listing.publish().overlay is None

    assert not publishes_whole()
    listing.listed.renew(OVERLAYS)
    assert publishes_whole()
    assert not publishes_whole()
    listing.signers = [new_key()]
    assert publishes_whole()
    assert not publishes_whole()
    monkeypatch.setattr("whimbrel.pipeline.running.listed._OVERLAY_FULL", 1)
    assert publishes_whole()
    assert MAX_ROWS > 1


@settings(deadline=None, max_examples=25)
@given(
    st.lists(
        st.tuples(st.sampled_from(["192.0.2.1", "192.0.2.7", "198.51.100.9"]), st.sampled_from(["spam", "spam", "ham"]),
                  st.floats(0.01, 5), st.floats(0.01, 40)),
        max_size=12,
    )
)  # fmt: skip
def test_whatever_was_decided_snapshot_and_overlay_say_it(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, float, float]]
) -> None:
    listing = Listing(tmp_path_factory.mktemp("listed"))
    listing.settings = OVERLAYS
    listing.listed = listing.anew()
    for host, label, days, seconds in steps:
        listing.day += days
        listing.monotonic += seconds
        listing.expire()
        listing.see(host, label)
        listing.listed.follow(listing.now)
        if listing.is_due():
            published = listing.publish()
            expected = cut(listing.ledger.listings(listing.now), published.serial, listing.now)
            hosts = ("192.0.2.1", "192.0.2.7", "198.51.100.9")
            assert is_listed(published, listing, *hosts) == is_listed(expected, listing, *hosts)


class Gate:
    """Holds up the cutting of snapshots in their thread until it is opened, or makes it fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open, self.began, self.error = Event(), Event(), ""
        cut = Moment.snapshot

        def held_up(moment: Moment, **terms: Any) -> bytes:
            self.began.set()
            assert self.open.wait(20)
            if self.error:
                raise ConfigError(self.error)
            return cut(moment, **terms)

        monkeypatch.setattr("whimbrel.pipeline.running.listed._LONG", 0)
        monkeypatch.setattr(Moment, "snapshot", held_up)


HOSTS = ["192.0.2.1", "198.51.100.2", "203.0.113.3", "93.184.0.4", "94.10.0.5"]  # of a network each


@pytest.fixture
def cutting(overlaying: Listing, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Listing, Gate]]:
    """A long list, with the first two in it, of which a snapshot is being cut."""
    gate = Gate(monkeypatch)
    overlaying.turn(HOSTS[1])
    overlaying.monotonic += 60
    overlaying.turn()
    assert gate.began.wait(20)
    yield overlaying, gate
    gate.open.set()


def test_overlays_of_the_snapshot_before_go_out_while_one_is_cut(cutting: tuple[Listing, Gate]) -> None:
    listing, gate = cutting
    before = listing.published()
    for number, host in enumerate(HOSTS[2:4], 3):
        published = listing.turn(host)
        assert published.serial == before.serial
        assert is_listed(published, listing, *HOSTS[:number]) == [True] * number
    assert listing.listed.due_seconds(listing.monotonic) > 1e9  # nothing new, and it is not ready
    listing.see(HOSTS[0], "ham")
    listing.monotonic += 1
    assert is_listed(listing.turn(), listing, *HOSTS) == [False, True, True, True, False]
    gate.open.set()
    assert listing.listed._cutting is not None
    listing.listed._cutting.result()
    assert listing.listed.due_seconds(listing.monotonic) == 0
    published = listing.turn()
    assert published.serial != before.serial
    assert published.overlay is not None
    assert published.overlay.number == 1
    assert listing.metrics.sum("overlay_targets") == len(published.overlay) > 0
    # Whoever takes up the snapshot finds with it what has changed since.
    assert is_listed(published, listing, *HOSTS) == [False, True, True, True, False]
    assert is_listed(listing.turn(HOSTS[4]), listing, *HOSTS) == [False, True, True, True, True]


def test_the_overlay_of_a_new_snapshot_lies_there_before_it(
    cutting: tuple[Listing, Gate], monkeypatch: pytest.MonkeyPatch
) -> None:
    listing, gate = cutting
    listing.turn(HOSTS[2])
    gate.open.set()
    replaced: list[str] = []
    replace = Path.replace

    def noted(path: Path, target: Path) -> Path:
        replaced.append(target.name)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", noted)
    listing.turn(at_once=True)
    assert replaced == [overlay_path(listing.path).name, listing.path.name]


def test_the_end_waits_for_what_is_being_cut(cutting: tuple[Listing, Gate]) -> None:
    listing, gate = cutting
    before = listing.published()
    Timer(0.1, gate.open.set).start()
    assert listing.turn(at_once=True).serial != before.serial


def test_what_fails_in_the_thread_fails_the_turn_and_is_done_again_while_all_wait(
    cutting: tuple[Listing, Gate],
) -> None:
    listing, gate = cutting
    before, gate.error = listing.published(), "no room"
    gate.open.set()
    for _ in range(2):
        with pytest.raises(ConfigError, match="no room"):
            listing.turn(HOSTS[2], at_once=True)
    gate.error = ""
    published = listing.turn()
    assert (published.serial != before.serial, published.overlay) == (True, None)
    assert is_listed(published, listing, *HOSTS) == [True, True, True, False, False]


def test_a_snapshot_that_cannot_be_put_in_its_place_is_cut_again(
    cutting: tuple[Listing, Gate], monkeypatch: pytest.MonkeyPatch
) -> None:
    listing, gate = cutting
    before = listing.published()
    gate.open.set()

    def full(*_: object) -> None:
        raise StoreError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr("whimbrel.pipeline.running.listed.write_snapshot", full)
        with pytest.raises(StoreError, match="disk full"):
            listing.turn(HOSTS[2], at_once=True)
    published = listing.turn()
    assert (published.serial != before.serial, published.overlay) == (True, None)
    assert is_listed(published, listing, *HOSTS[:3]) == [True, True, True]


@pytest.mark.parametrize("why", ["erased", "settings", "signers"])
def test_what_is_being_cut_is_not_published_once_it_must_not_be(
    cutting: tuple[Listing, Gate], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing, gate = cutting
    abandoned = listing.listed._cutting
    assert abandoned is not None
    if why == "erased":
        event = next(event for event in listing.ledger.history() if event.change == "listed")
        gone = msgspec.structs.replace(event, target="erased 1", change="erased", code=None, role=None, until=None)
        listing.commit([gone])
        left = [each for each in listing.ledger.listings(listing.now) if not each.target.startswith("192.0.2.")]
        monkeypatch.setattr(listing.ledger, "listings", lambda _: left)
    elif why == "settings":
        listing.listed.renew(msgspec.structs.replace(OVERLAYS, zone="other.example"))
    else:
        listing.signers = [new_key()]
    gate.open.set()
    published = listing.turn(at_once=True)
    listing.monotonic += 10
    assert listing.turn().checksum == published.checksum
    assert published.checksum != abandoned.result().snapshot.checksum
    assert is_listed(published, listing, HOSTS[0]) == [why != "erased"]
    assert published.zone.name == ("other.example" if why == "settings" else OVERLAYS.zone)
    assert bool(published.signatures()) == (why == "signers")


def test_without_overlays_a_long_list_goes_out_snapshot_by_snapshot(
    listing: Listing, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing.turn(HOSTS[0])
    gate = Gate(monkeypatch)
    before = listing.turn(HOSTS[1])
    assert is_listed(before, listing, *HOSTS[:2]) == [True, False]
    assert listing.turn(HOSTS[2]).overlay is None
    gate.open.set()
    assert is_listed(listing.turn(at_once=True), listing, *HOSTS[:3]) == [True, True, False]
    assert is_listed(listing.turn(at_once=True), listing, *HOSTS[:3]) == [True, True, True]
    assert not listing.is_due()


def test_a_snapshot_that_others_put_in_its_place_is_followed_by_our_own(listing: Listing) -> None:
    def others(zone: str, serial: int) -> None:
        data = (
            Entries.of([])
            .moment()
            .snapshot(zone=zone, serial=serial, born=listing.now, expires=listing.now + timedelta(hours=1))
        )
        write_snapshot(listing.path, data)

    def is_due() -> bool:
        listing.monotonic += 10
        listing.listed.follow(listing.now)
        return listing.is_due()

    is_due()
    serial = listing.publish().serial
    assert not is_due()
    others("other.example", serial + 1)
    assert is_due()
    ours = listing.publish()
    assert (ours.zone.name, ours.serial) == (SETTINGS.zone, serial + 2)
    others(SETTINGS.zone, ours.serial)  # the same list, signed by hand
    assert not is_due()
    listing.path.unlink()
    assert is_due()
    listing.publish()
    assert not is_due()


def test_an_end_that_was_foretold_needs_no_snapshot_and_one_that_was_not_does(listing: Listing) -> None:
    listing.see("192.0.2.1")
    listing.listed.follow(listing.now)
    assert len(listing.publish()) > len(Code)
    listing.monotonic += 10
    listing.day += 400
    listing.expire()
    assert listing.listed.follow(listing.now) > 0
    assert listing.listed.due_seconds(listing.monotonic) > 1e9
    assert listing.metrics.sum("listings_in_force") == 0

    listing.see("192.0.2.1")
    listing.listed.follow(listing.now)
    listing.publish()
    listing.monotonic += 10
    listing.day += 0.1
    listing.see("192.0.2.1", "ham")
    listing.listed.follow(listing.now)
    assert listing.is_due()
    assert listing.publish().find((4, 0xC0000201), listing.now.timestamp()) is None


def test_what_may_not_be_published_keeps_nothing_else_from_it(
    listing: Listing, caplog: pytest.LogCaptureFixture
) -> None:
    listing.see("192.0.2.1")
    good = next(event for event in listing.ledger.history() if event.change == "listed")
    listing.commit(
        [msgspec.structs.replace(good, target="127.0.0.1"), msgspec.structs.replace(good, target="192.0.2.9")]
    )
    listing.listed.follow(listing.now)
    snapshot = listing.publish()
    assert snapshot.find((4, 0xC0000209), listing.now.timestamp()) is not None
    assert snapshot.find((4, 0x7F000001), listing.now.timestamp()) is None
    assert "left out of the list" in caplog.text
    assert listing.metrics.sum("faults_total") == 1


def test_what_was_erased_is_gone_from_the_list(listing: Listing, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its events name it no more, so the list is taken anew."""
    listing.see("192.0.2.1")
    listing.listed.follow(listing.now)
    listing.publish()
    erased = next(event for event in listing.ledger.history() if event.change == "listed")
    event = msgspec.structs.replace(erased, target="erased 1", change="erased", code=None, role=None, until=None)
    listing.commit([event])
    monkeypatch.setattr(listing.ledger, "listings", lambda _: [])
    listing.listed.follow(listing.now)
    listing.monotonic += 10
    assert listing.is_due()
    assert len(listing.publish()) == len(Code)
