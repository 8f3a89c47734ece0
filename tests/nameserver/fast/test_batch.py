"""Many at once are answered as each alone."""

from collections.abc import Callable

import dns.message
import numpy as np
import pytest
from tests.nameserver.fast.conftest import Ask

from whimbrel.nameserver.fast.batch import Searches, answer_all, searches
from whimbrel.nameserver.fast.insides import compiled
from whimbrel.nameserver.fast.search import Array, Lists
from whimbrel.nameserver.fast.tables import lists_of
from whimbrel.wire.snapshot import Snapshot

_SIZE = 64


@compiled
def _all(rows: Array, sizes: Array, count: int, lists: Lists, under_way: Searches, now: int) -> None:
    answer_all(rows, sizes, count, lists, under_way, now, now)


@pytest.mark.parametrize("size", [1, 3, _SIZE])
def test_as_each_alone(
    size: int, ask: Ask, world: Snapshot, now: float, queries: Callable[[int, int], list[bytes]]
) -> None:
    _same(queries(50 * size, 8), size, ask, world, int(now))


def test_a_batch_of_nothing_but_ipv6(ask: Ask, world: Snapshot, now: float) -> None:
    listed = ".".join("2000000000000000200010008bd01002")
    names = [f"{digit}{listed[1:-1]}{last}" for digit in "0123456789abcdef" for last in "1234"]
    asked = [dns.message.make_query(f"{name}.bl.example.", "A").to_wire() for name in names]
    assert len(asked) == _SIZE
    _same(asked * 2, _SIZE, ask, world, int(now))


def _same(asked: list[bytes], size: int, ask: Ask, world: Snapshot, at: int) -> None:
    lists, under_way = lists_of(world), searches(_SIZE)
    rows, sizes = np.zeros((_SIZE, 1024), np.uint8), np.zeros(_SIZE, np.int64)
    for first in range(0, len(asked), size):
        batch = asked[first : first + size]
        for row, query in enumerate(batch):
            rows[row, : len(query)] = np.frombuffer(query[:1024], np.uint8)
            sizes[row] = len(query)
        _all(rows, sizes, len(batch), lists, under_way, at)
        for row, query in enumerate(batch):
            assert (rows[row, : sizes[row]].tobytes() or None) == ask(query, world, at)
