"""The encoder's short cuts, for lists of ten million, give the bytes of the long way."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whimbrel.wire.snapshot import Zone, encoder
from whimbrel.wire.snapshot.encoder import Reason, encode
from whimbrel.wire.snapshot.rows import Rows, no_rows, where

BORN = 1_700_000_000
REASONS = [Reason(0, ""), *(Reason(code, f"text {code}") for code in (2, 4, 9))]
ENDLESS = 253_402_300_799


def made(count: int, seed: int, seconds: int) -> Rows:
    """Return rows in order: hosts, a third of them networks; one in ten an exclusion for good."""
    chance = np.random.default_rng(seed)
    places = np.unique(chance.integers(1 << 24, 1 << 31, count))
    prefix = np.where(places % 3 == 0, 24, 32).astype(np.uint8)
    key = np.where(prefix == 24, places & ~255, places).astype(np.uint64)
    order = np.lexsort((prefix, key))
    key, prefix = key[order], prefix[order]
    one = np.ones(len(key), np.bool_)
    one[1:] = (key[1:] != key[:-1]) | (prefix[1:] != prefix[:-1])
    key, prefix = key[one], prefix[one]
    reason = np.where(chance.random(len(key)) < 0.1, 0, chance.integers(1, 4, len(key))).astype(np.uint32)
    until = np.where(reason == 0, ENDLESS, BORN + chance.integers(1, seconds, len(key)))
    return Rows(key, prefix, reason, until)


def encoded(rows: Rows) -> bytes:
    zone = Zone(name="bl.example", servers=("localhost",), mailbox="hostmaster.bl.example")
    return encode(zone=zone, serial=1, born=BORN, expires=BORN + 86_400, reasons=REASONS, ipv4=rows, ipv6=no_rows())


@pytest.mark.parametrize(("count", "seconds"), [(0, 10), (1, 10), (2_000, 50), (60_000, 5_000), (60_000, 604_800)])
def test_the_bytes_are_those_of_sorting_everything(count: int, seconds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = made(count, seed=count + seconds, seconds=seconds)
    given = encoded(rows)
    shuffled = np.random.default_rng(1).permutation(len(rows.key))
    monkeypatch.setattr(encoder, "_is_in_order", lambda *_: False)
    monkeypatch.setattr(encoder, "_SORTED_QUICKLY", 1 << 62)
    monkeypatch.setattr(encoder, "_FEW", 1 << 62)
    assert encoded(where(rows, shuffled)) == given


@given(st.lists(st.tuples(st.integers(0, 9), st.one_of(st.integers(BORN, BORN + 9), st.just(ENDLESS))), min_size=1))
def test_distinct_pairs_are_those_of_sorting(pairs: list[tuple[int, int]]) -> None:
    packed = np.array([reason << 40 | until for reason, until in pairs])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(encoder, "_SORTED_QUICKLY", 0)
        given = encoder._distinct(packed)
    for ours, theirs in zip(given, np.unique(packed, return_inverse=True), strict=True):
        assert ours.tolist() == theirs.tolist()


def test_rows_out_of_order_are_put_in_order() -> None:
    rows = made(300, seed=3, seconds=1000)
    chance = random.Random(5)
    for _ in range(20):
        one, other = chance.sample(range(len(rows.key)), 2)
        order = np.arange(len(rows.key))
        order[[one, other]] = other, one
        assert encoded(where(rows, order)) == encoded(rows)
