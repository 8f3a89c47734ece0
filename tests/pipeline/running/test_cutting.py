"""A snapshot is cut in a thread, and what goes wrong there is told to whoever asks for it."""

from datetime import UTC, datetime, timedelta
from threading import Event, get_ident

import pytest

from whimbrel.errors import ConfigError
from whimbrel.pipeline.running.cutting import Cutting, Of
from whimbrel.publishing import Entries

NOW = datetime(2026, 7, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=1)


def of() -> Of:
    return Of(Entries().moment(), 5, NOW, LATER, 0, 0, is_signed=False)


def test_whoever_began_it_goes_on_meanwhile() -> None:
    gate, threads, what = Event(), list[int](), of()

    def cut() -> bytes:
        assert gate.wait(20)
        threads.append(get_ident())
        return what.moment.snapshot(zone="bl.example", serial=what.serial, born=what.born, expires=what.expires)

    cutting = Cutting(what, cut)
    was_done = cutting.is_done()
    gate.set()
    ready = cutting.result()
    assert (was_done, cutting.is_done()) == (False, True)
    assert (ready.snapshot.serial, len(ready.data) > 0, ready.seconds >= 0) == (5, True, True)
    assert threads != [get_ident()]


def test_its_errors_are_those_of_whoever_waits() -> None:
    def fail() -> bytes:
        raise ConfigError("two zones have one name")

    cutting = Cutting(of(), fail)
    with pytest.raises(ConfigError, match="two zones"):
        cutting.result()
    assert cutting.is_done()
