"""Whatever mail does to a reader, all other mail is read."""

import hashlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

import pytest
from tests.pipeline.mail import DAY_0, message, received
from tests.pipeline.readers import beginning, misbehaving

from whimbrel.errors import WhimbrelError
from whimbrel.model.reading import Reading
from whimbrel.pipeline.pool import Chunk, Pool, read_chunks
from whimbrel.pipeline.reading import read_work
from whimbrel.pipeline.work import Work


def work(name: str, body: str = "") -> Work:
    content = message(received("24.1.2.3", DAY_0), subject=name, body=body)
    return Work(name, "spam", "given", None, content)


def chunk(name: str, *bodies: str) -> Chunk:
    return Chunk(name, tuple(work(f"{name}{number}", body) for number, body in enumerate(bodies)))


def read(chunks: list[Chunk], jobs: int = 2, **limits: Any) -> dict[str, list[Reading]]:
    return {chunk.key: readings for chunk, readings in read_chunks(chunks, jobs, **limits)}


@pytest.mark.parametrize("jobs", [1, 3])
def test_each_chunk_is_read_once_in_its_own_order(jobs: int) -> None:
    chunks = [chunk(f"c{number}", *("text",) * (number + 1)) for number in range(7)]
    drawn = 0

    def source() -> Iterator[Chunk]:
        nonlocal drawn
        for each in chunks:
            drawn += 1
            yield each

    done = {}
    for each, readings in read_chunks(source(), jobs):
        done[each.key] = readings
        assert drawn <= len(done) + jobs  # no more is held than the readers are on
    assert done.keys() == {each.key for each in chunks}
    for each in chunks:
        assert done[each.key] == [read_work(work) for work in each.works]


def test_nothing_to_read() -> None:
    assert read([]) == {}
    assert read([Chunk("empty", ())]) == {"empty": []}


def test_readers_begin_with_the_suffix_list_loaded() -> None:
    chunks = [chunk("a", "text"), chunk("b", "text")]
    done = read(chunks, read=beginning)
    assert [reading.location for readings in done.values() for reading in readings] == ["loaded: True"] * 2


@pytest.mark.parametrize("fault", ["hang", "die", "eat"])
def test_one_bad_message_is_abandoned_and_the_others_are_read(fault: str, capfd: pytest.CaptureFixture[str]) -> None:
    chunks = [chunk("a", "text", fault, "text"), chunk("b", "text", "text"), chunk("c", fault)]
    began = time.monotonic()
    done = read(chunks, 2, message_seconds=2.0, chunk_seconds=2.0, read=misbehaving)
    assert time.monotonic() - began < 30
    for each in chunks:
        for given, reading in zip(each.works, done[each.key], strict=True):
            if fault.encode() not in given.content:
                assert reading == read_work(given)
                continue
            assert reading.defects == ("abandoned",)
            assert reading.content_sha256 == hashlib.sha256(given.content).digest()
            assert (reading.location, reading.label, reading.size_bytes) == (given.location, "spam", len(given.content))
            assert (reading.hops, reading.recipients, reading.url_domains) == ((), (), ())


def test_a_message_that_makes_a_parser_raise_is_abandoned() -> None:
    done = read([chunk("a", "text", "raise", "text")], 1, read=misbehaving)
    assert [reading.defects == ("abandoned",) for reading in done["a"]] == [False, True, False]


@pytest.mark.parametrize("fault", ["eat", "raise"])
def test_an_abandoned_message_prints_no_traceback(fault: str, capfd: pytest.CaptureFixture[str]) -> None:
    read([chunk("a", fault)], 1, read=misbehaving)
    assert capfd.readouterr().err == ""


def test_readers_that_cannot_start_end_the_run(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """No memory, no process to be had, a program replaced meanwhile: no message is at fault, none may be given up."""
    module = ModuleType("not_there")
    reader = FunctionType(misbehaving.__code__, misbehaving.__globals__, "reader")
    reader.__module__, reader.__qualname__ = "not_there", "reader"
    vars(module)["reader"] = reader
    monkeypatch.setitem(sys.modules, "not_there", module)  # here, but in no reader
    with pytest.raises(WhimbrelError):
        read([chunk("a", "text", "text")], 1, read=reader)


def test_what_is_left_unread_ends_its_readers() -> None:
    """As when the parent is interrupted: the generator is closed, and nobody goes on."""
    chunks = read_chunks([chunk("a", "text"), chunk("b", "hang")], 2, read=misbehaving)
    key, readings = next(chunks)
    assert (key.key, len(readings)) == ("a", 1)
    began = time.monotonic()
    chunks.close()  # type: ignore[attr-defined]  # a generator
    assert time.monotonic() - began < 10


def test_a_pool_reads_again_and_again_with_the_same_readers() -> None:
    with Pool(1) as pool:
        pids = [reader._process.pid for reader in pool._readers]
        for number in range(3):
            ((_, readings),) = pool.read([chunk(f"c{number}", "text")])
            assert len(readings) == 1
        assert list(pool.read([])) == []
        assert [reader._process.pid for reader in pool._readers] == pids


def test_a_pool_reads_on_after_it_was_left_in_the_middle() -> None:
    with Pool(2, read=misbehaving) as pool:
        left = pool.read([chunk("a", "text"), chunk("b", "hang"), chunk("c", "text")])
        next(left)
        left.close()  # type: ignore[attr-defined]  # a generator
        assert [key.key for key, _ in pool.read([chunk("d", "text")])] == ["d"]


def test_a_reader_that_died_between_two_messages_costs_none() -> None:
    with Pool(1) as pool:
        assert len(list(pool.read([chunk("a", "text")]))) == 1
        pool._readers[0]._process.kill()
        pool._readers[0]._process.join()
        ((_, readings),) = pool.read([chunk("b", "text", "text")])
        assert [reading.defects for reading in readings] == [(), ()]


def test_a_reader_leaves_signals_to_its_parent() -> None:
    """A terminal or a service manager may tell a whole group to end: no message is given up for that."""
    with Pool(1) as pool:
        list(pool.read([chunk("a", "text")]))
        pid = pool._readers[0]._process.pid
        assert pid is not None
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(pid, number)
        ((_, readings),) = pool.read([chunk("b", "text")])
        assert (pool._readers[0]._process.pid, readings[0].defects) == (pid, ())
