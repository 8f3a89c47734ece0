"""Turns of the service, one by one, in this process: faults, the slower beat, a single pass."""

import gc
import time
import weakref
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from tests.cli.service import deliver, spam
from tests.pipeline.stores import with_key

from whimbrel.errors import StoreError
from whimbrel.evidence import Evidence
from whimbrel.listings.ledger import Ledger
from whimbrel.pipeline.analyse import analyse
from whimbrel.pipeline.config import Config, Watch
from whimbrel.pipeline.config import settings as tables
from whimbrel.pipeline.places import ledger_place
from whimbrel.pipeline.running import cycle as module
from whimbrel.pipeline.running.cycle import EVERYTHING, Cycle, once
from whimbrel.pipeline.running.metrics import Metrics
from whimbrel.pipeline.running.watching import Changes
from whimbrel.publishing.reading import with_overlay
from whimbrel.wire.snapshot import Snapshot
from whimbrel.wire.snapshot.decoder import compacted

NOTHING = Changes(frozenset(), all_of_them=False)


class Service:
    """A cycle on a maildir, with a clock that can be set."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.maildir = folder / "Maildir"
        for each in ("new", "cur", "tmp"):
            (self.maildir / each).mkdir(parents=True)
        self.data = with_key(folder / "data")
        self.ahead = timedelta(0)
        self.config = Config(
            store=tables.Store(data=str(self.data)),
            watch=(Watch(path=str(self.maildir), sensor="mx1", label="spam", trust=("192.0.2.1",)),),
            policy=tables.Policy(profile="own"),
        )
        self.metrics = Metrics()
        self.cycle = Cycle(self.config, self.clock, self.metrics)

    def clock(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def turn(self, changes: Changes = EVERYTHING) -> float:
        return self.cycle.turn(changes)

    def listed(self) -> set[str]:
        with Ledger.open(ledger_place(self.data)) as ledger:
            return {each.target for each in ledger.listings(self.clock()) if "/" not in each.target}

    def published(self) -> Snapshot:
        path = self.data / "list.snapshot"
        return compacted(with_overlay(Snapshot(path.read_bytes()), path))


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path)
    yield service
    service.cycle.close()


def full(*_: object, **__: object) -> None:
    raise StoreError("the disk is full")


def retried(service: Service) -> None:
    """Turn until no step is at fault any more."""
    due = time.monotonic() + 20
    while service.cycle.fault() is not None:
        assert time.monotonic() < due
        time.sleep(0.05)
        service.turn(NOTHING)


def test_a_turn_takes_in_decides_and_publishes(service: Service) -> None:
    deliver(service.maildir, "1", spam("91.1.1.7"))
    service.turn()
    assert service.listed() == {"91.1.1.7"}
    assert service.published().find((4, 0x5B010107), time.time()) is not None
    assert service.cycle.serial == service.published().serial
    events = service.metrics.sum("events_total")
    service.turn()
    assert service.metrics.sum("events_total") == events
    assert service.metrics.sum("snapshots_published_total") == 1


@pytest.mark.parametrize(
    ("step", "where"),
    [
        ("ingest", "_arriving.take_in"),
        ("decide", "_deciding.decide"),
        ("publish", "_listed.publish"),
        ("expire", "_deciding.expire"),
    ],
)
def test_a_step_that_fails_is_done_later_and_nothing_is_lost(
    service: Service, monkeypatch: pytest.MonkeyPatch, step: str, where: str
) -> None:
    deliver(service.maildir, "1", spam("91.1.1.7"))
    owner, _, name = where.partition(".")
    with monkeypatch.context() as patch:
        patch.setattr(getattr(service.cycle, owner), name, full)
        service.turn(Changes(frozenset({str(service.maildir / "new" / "1")}), all_of_them=False))
    assert service.cycle.fault() == f"{step}: the disk is full"
    deliver(service.maildir, "2", spam("91.1.2.7", number=2))
    service.turn(Changes(frozenset({str(service.maildir / "new" / "2")}), all_of_them=False))
    retried(service)
    time.sleep(0.6)
    service.turn(NOTHING)
    assert service.listed() == {"91.1.1.7", "91.1.2.7"}
    assert service.published().find((4, 0x5B010107), time.time()) is not None
    assert service.published().find((4, 0x5B010207), time.time()) is not None
    assert service.metrics.sum("faults_total") == 1


def test_days_whose_term_is_over_are_deleted_and_what_was_decided_stands(service: Service) -> None:
    deliver(service.maildir, "1", spam("91.1.1.7"))
    service.turn()

    def observed() -> int:
        with Evidence.open(service.data) as store:
            return store.counts().observations.rows

    def after(days: int, keep_days: int) -> None:
        service.cycle.take_up(
            msgspec.structs.replace(service.config, store=tables.Store(data=str(service.data), keep_days=keep_days))
        )
        service.ahead = timedelta(days=days)
        service.cycle._next["forget"] = 0.0
        service.turn(NOTHING)
        assert service.cycle.fault() is None

    after(days=3, keep_days=0)
    after(days=3, keep_days=5)
    assert observed() == 1
    after(days=7, keep_days=5)
    assert observed() == 0
    assert service.listed() == {"91.1.1.7"}
    with Ledger.open(ledger_place(service.data)) as ledger:
        assert ledger.runs()[-1].kind == "forgotten"
    deliver(service.maildir, "2", spam("91.1.2.7", number=2))
    service.turn()
    assert service.listed() == {"91.1.1.7", "91.1.2.7"}


def test_terms_end_by_the_clock_alone(service: Service) -> None:
    deliver(service.maildir, "1", spam("91.1.1.7"))
    service.turn()
    assert service.listed()
    service.ahead = timedelta(days=900)
    service.turn(NOTHING)
    assert not service.listed()
    with Ledger.open(ledger_place(service.data)) as ledger:
        assert ledger.history("91.1.1.7")[-1].change == "expired"


def test_what_a_server_with_a_fast_clock_received_is_decided_when_its_time_comes(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_WAITING_SECONDS", 0.0)
    deliver(service.maildir, "1", spam("91.1.1.7", at=datetime.now(UTC) + timedelta(minutes=5)))
    service.turn()
    assert not service.listed()
    service.ahead = timedelta(minutes=6)
    time.sleep(0.01)
    service.turn(NOTHING)
    assert service.listed() == {"91.1.1.7"}


def test_a_slow_step_takes_a_small_share_of_the_time_at_most(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[float] = []
    original: Callable[[Evidence], object] = analyse

    def slow(store: Evidence) -> object:
        calls.append(time.monotonic())
        time.sleep(0.05)
        return original(store)

    monkeypatch.setattr(module, "analyse", slow)
    service.cycle.config = msgspec.structs.replace(service.config, cycle=tables.Cycle(analyse_seconds=1.0))
    deliver(service.maildir, "1", spam("91.1.1.7"))
    service.turn()
    assert not calls  # it has its beat from the start on
    service.cycle._next["analyse"] = 0.0
    service.turn()
    assert len(calls) == 1
    assert service.cycle._next["analyse"] > calls[0] + 0.05 / module._SLOW_SHARE
    service.cycle._next["analyse"] = 0.0
    service.turn()
    assert len(calls) == 1  # nothing came since


def test_one_pass_leaves_nothing_for_later(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.cycle.close()
    deliver(service.maildir, "1", spam("91.1.1.7"))
    done = once(service.config, service.clock)
    assert (done.messages, done.observations, done.decided, done.fault) == (1, 1, 1, None)
    assert done.in_force > 0
    with Evidence.open(service.data) as store:
        assert store.derived("host_days") is not None
        assert store.derived("chains") is None  # the trust was told
    assert service.published().serial == done.serial


def test_one_pass_tells_what_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(tmp_path)
    service.cycle.close()
    monkeypatch.setattr(module, "analyse", full)
    assert once(service.config, service.clock).fault == "analyse: the disk is full"


def test_other_settings_are_taken_up(service: Service) -> None:
    more = service.folder / "more"
    deliver(more, "1", spam("91.1.1.7"))
    service.turn()
    watch = Watch(path=str(more), sensor="mx2", label="spam", trust=("192.0.2.1",))
    publish = tables.Publish(zone="other.example")
    service.cycle.take_up(
        msgspec.structs.replace(service.config, watch=(*service.config.watch, watch), publish=publish)
    )
    time.sleep(0.6)
    service.turn(NOTHING)
    assert service.listed() == {"91.1.1.7"}
    assert service.published().zone.name == "other.example"


def test_a_store_goes_on_by_the_profile_it_began_with(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    deliver(service.maildir, "1", spam("91.1.1.7"))
    service.turn()
    service.cycle.close()
    service.config = msgspec.structs.replace(service.config, policy=tables.Policy(profile="shared"))
    service.cycle = Cycle(service.config, service.clock, Metrics())
    deliver(service.maildir, "2", spam("91.1.2.7", number=2))
    service.turn()
    assert "91.1.2.7" in service.listed()
    assert "decides by the profile own" in caplog.text


def test_what_ended_in_a_cycle_is_let_go_on_the_beat(service: Service) -> None:
    class Knot:
        def __init__(self) -> None:
            self.itself = self

    gc.disable()  # as good as a threshold of 100,000 objects, in a turn that makes some hundreds
    try:
        left = weakref.ref(Knot())
        service.turn()
        assert left() is not None
        service.cycle._next["compact"] = 0.0
        service.turn()
        assert left() is None
    finally:
        gc.enable()
