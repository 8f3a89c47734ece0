"""Counts by what an answer says, times in buckets, and a sketch that finds who asks most."""

import random
from collections import Counter

import numpy as np
import pytest

from whimbrel.nameserver.guards.counts import (
    BUCKETS,
    SKETCH,
    WAYS,
    code_place,
    code_text,
    count_answer,
    counts_of_nothing,
    fade,
    note,
    time_bound,
    time_place,
)

HEADER = bytes.fromhex("1234 8400 0001 0001 0000 0000")
QUESTION = b"\1x\0\0\1\0\1"


def answered(type_: int, data: bytes, *, rcode: int = 0) -> bytes:
    head = bytearray(HEADER)
    head[3] |= rcode
    record = b"\xc0\x0c" + type_.to_bytes(2, "big") + b"\0\1\0\0\0\x3c" + len(data).to_bytes(2, "big") + data
    return bytes(head) + QUESTION + record


@pytest.mark.parametrize("address", ["127.0.0.2", "127.0.1.4", "127.0.3.15", "127.255.255.254"])
def test_an_address_that_is_sent_is_counted_by_what_it_is(address: str) -> None:
    counts = counts_of_nothing()
    count_answer(counts, answered(1, bytes(map(int, address.split(".")))), len(QUESTION))
    (place,) = np.flatnonzero(counts.codes)
    assert code_text(int(place)) == address
    assert counts.rcodes[0] == 1


@pytest.mark.parametrize("response", [answered(16, b"\3abc"), answered(1, b"\x7f\0\0\2", rcode=3), HEADER + QUESTION])
def test_what_sends_no_address_counts_no_code(response: bytes) -> None:
    counts = counts_of_nothing()
    count_answer(counts, response, len(QUESTION))
    assert counts.codes.sum() == 0
    assert counts.rcodes.sum() == 1


def test_every_place_of_a_code_is_its_own() -> None:
    places = [code_place(third, last) for third in range(4) for last in range(256)]
    assert sorted(places) == list(range(1024))


def test_a_time_lies_in_a_bucket_that_is_a_quarter_wide() -> None:
    for nanoseconds in [*range(4, 5000), *(random.Random(1).randrange(10**11) + 5 for _ in range(2000))]:
        place = time_place(nanoseconds)
        bound = time_bound(place) * 1e9
        assert nanoseconds < bound * (1 + 1e-12)
        assert bound <= nanoseconds * 1.26 + 1
    assert time_place(-1) == time_place(0) == 0
    assert time_place(1 << 62) == BUCKETS - 1
    assert [time_bound(place) for place in range(BUCKETS)] == sorted(time_bound(place) for place in range(BUCKETS))


def test_the_sketch_finds_who_asks_most_among_many() -> None:
    chance = random.Random(5)
    heavy = [number << 8 for number in range(1, 11)]
    asked = [each for each in heavy for _ in range(1000)] + [chance.randrange(1 << 40) << 8 for _ in range(20_000)]
    chance.shuffle(asked)
    keys, times = np.zeros(SKETCH, np.uint64), np.zeros(SKETCH, np.int64)
    for prefix in asked:
        note(keys, times, prefix)
    found = [int(keys[at]) for at in np.argsort(times)[::-1][:10]]
    assert set(found) == set(heavy)
    truth = Counter(asked)
    for at in range(SKETCH):
        assert times[at] >= truth[int(keys[at])]  # never too low
        first = at // WAYS * WAYS
        assert times[at] - truth[int(keys[at])] <= times[first : first + WAYS].sum() / WAYS
    before = times.copy()
    fade(times)
    assert (times == before // 2).all()
