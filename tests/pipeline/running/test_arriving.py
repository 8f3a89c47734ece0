"""From places to evidence: read once, kept only when it is safe, and told where it could not be read."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import pytest
from tests.cli.service import deliver, spam
from tests.pipeline.mail import message, received
from tests.pipeline.stores import with_key

from whimbrel.errors import StoreError
from whimbrel.evidence import Evidence
from whimbrel.pipeline.config import Watch
from whimbrel.pipeline.running import arriving as module
from whimbrel.pipeline.running.arriving import Arriving, watched
from whimbrel.pipeline.running.cycle import EVERYTHING
from whimbrel.pipeline.running.metrics import Metrics

RELAY = "62.1.2.3"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Evidence]:
    with Evidence.open(with_key(tmp_path / "data"), write=True) as store:
        yield store


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    path = tmp_path / "Maildir"
    for each in ("new", "cur", "tmp"):
        (path / each).mkdir(parents=True)
    return path


class Taking:
    """Takes in from places, as the service does."""

    def __init__(self, store: Evidence, *watches: Watch) -> None:
        self.store = store
        self.metrics = Metrics()
        self.arriving = Arriving(store, watched(watches, store), 1, self.metrics)

    def __enter__(self) -> Self:
        self.arriving.trust()
        return self

    def __exit__(self, *_: object) -> None:
        self.arriving.close()

    def take(self) -> int:
        settled = self.arriving.take_in(EVERYTHING, time.monotonic())
        return 0 if settled is None else settled.observed


def watch_of(maildir: Path, *, sensor: str = "mx1", trust: tuple[str, ...] = (RELAY,)) -> Watch:
    return Watch(path=str(maildir), sensor=sensor, label="spam", trust=trust)


def hosts(store: Evidence) -> list[str]:
    return sorted(store.observations(columns=["host"])["host"].to_pylist())


def test_what_arrives_becomes_observations_once(store: Evidence, maildir: Path) -> None:
    with Taking(store, watch_of(maildir)) as taking:
        assert taking.take() == 0
        deliver(maildir, "1", spam("24.1.2.3"))
        deliver(maildir, "2", spam("24.1.2.4", number=2))
        assert taking.take() == 2
        assert taking.take() == 0
        assert taking.metrics.sum("messages_total") == 2
    with Taking(store, watch_of(maildir)) as taking:  # a restart
        assert taking.take() == 0
        assert taking.metrics.sum("messages_total") == 0
        deliver(maildir, "3", spam("24.1.2.5", number=3))
        assert taking.take() == 1
    assert hosts(store) == ["24.1.2.3", "24.1.2.4", "24.1.2.5"]


def test_two_places_with_sensors_of_their_own(store: Evidence, tmp_path: Path) -> None:
    content = spam("24.1.2.3")
    for name in ("a", "b"):
        deliver(tmp_path / name, "1", content)
    with Taking(store, watch_of(tmp_path / "a", sensor="a"), watch_of(tmp_path / "b", sensor="b")) as taking:
        assert taking.take() == 2
    assert sorted(store.observations(columns=["sensor"])["sensor"].to_pylist()) == ["a", "b"]


def test_after_a_fault_in_settling_nothing_is_lost_and_nothing_read_again(
    store: Evidence, maildir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(maildir, "1", spam("24.1.2.3"))

    def full(*_: object, **__: object) -> None:
        raise StoreError("the disk is full")

    with Taking(store, watch_of(maildir)) as taking:
        with monkeypatch.context() as patch:
            patch.setattr(module, "settle", full)
            with pytest.raises(StoreError):
                taking.take()
        deliver(maildir, "2", spam("24.1.2.4", number=2))
        assert taking.take() == 2
        assert taking.metrics.sum("messages_total") <= 3  # the piece is cut anew with the second message
        assert taking.take() == 0
    assert hosts(store) == ["24.1.2.3", "24.1.2.4"]


def test_after_a_fault_in_staging_the_readers_go_on(
    store: Evidence, maildir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(maildir, "1", spam("24.1.2.3"))

    def full(*_: object) -> None:
        raise StoreError("the disk is full")

    with Taking(store, watch_of(maildir)) as taking:
        with monkeypatch.context() as patch:
            patch.setattr(store, "stage", full)
            with pytest.raises(StoreError):
                taking.take()
        assert taking.take() == 1


def test_what_an_interrupted_run_staged_is_settled(store: Evidence, maildir: Path) -> None:
    deliver(maildir, "1", spam("24.1.2.3"))

    def stopped(*_: object, **__: object) -> None:
        raise StoreError("stopped")

    with Taking(store, watch_of(maildir, trust=())) as taking, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "settle", stopped)
        with pytest.raises(StoreError):
            taking.take()
    (maildir / "new" / "1").unlink()  # somebody read it and threw it away
    with Taking(store, watch_of(maildir, trust=())) as taking:
        assert taking.take() == 1
    assert hosts(store) == ["24.1.2.3"]


def test_told_trust_holds_and_corrects_when_it_changes(store: Evidence, maildir: Path) -> None:
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    deliver(
        maildir, "1", message(received(RELAY, at, name="relay.example"), received("24.1.2.3", at, by="relay.example"))
    )
    with Taking(store, watch_of(maildir, trust=("192.0.2.1",))) as taking:
        assert taking.take() == 1
    assert hosts(store) == [RELAY]
    taking = Taking(store, watch_of(maildir))
    assert taking.arriving.trust()
    assert not taking.arriving.trust()
    assert hosts(store) == ["24.1.2.3"]


def test_a_place_that_cannot_be_read_is_told_once_and_the_others_go_on(
    store: Evidence, maildir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    deliver(maildir, "1", spam("24.1.2.3"))
    deliver(maildir, "2", b"\x1f\x8b\x08 cut off")
    with Taking(store, watch_of(tmp_path / "none"), watch_of(maildir)) as taking:
        assert taking.take() == 1
        assert taking.take() == 0
        assert taking.metrics.sum("faults_total") == 2
    assert sum("none" in text for text in caplog.messages) == 1
    assert sum("gzip" in text for text in caplog.messages) == 1


def test_problems_of_files_that_are_gone_are_forgotten(store: Evidence, maildir: Path) -> None:
    with Taking(store, watch_of(maildir)) as taking:
        for number in range(3):
            deliver(maildir, str(number), b"\x1f\x8b\x08 cut off")
            taking.take()
            (maildir / "new" / str(number)).unlink()
        taking.take()
        assert taking.metrics.sum("faults_total") == 3
        assert not taking.arriving._told
