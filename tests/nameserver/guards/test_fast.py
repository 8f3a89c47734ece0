"""Each twin does what its reference does, on any input, and leaves the same state behind."""

import random
import struct
import subprocess
import sys
from ipaddress import IPv4Network, IPv6Network
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whimbrel.nameserver.guards import access, cookies, counts, fast, limits, quota
from whimbrel.nameserver.guards.client import Client, client_at

U = np.uint64
HALVES = st.integers(0, 2**64 - 1)
CLIENTS = st.one_of(
    st.builds(Client, HALVES, HALVES),
    st.builds(lambda low: Client(0, 0xFFFF << 32 | low), st.integers(0, 2**32 - 1)),
    st.builds(Client, st.just(0), st.integers(0, 2**50)),
)
NOW = st.integers(0, 2**33)

untimed = settings(deadline=None)  # the first call compiles


def array(data: bytes) -> Any:
    return np.frombuffer(bytes(data), np.uint8).copy()


def halves(client: Client) -> tuple[Any, Any]:
    return U(client.high), U(client.low)


@untimed
@given(CLIENTS)
def test_clients(client: Client) -> None:
    if client.is_ipv4:
        raw = struct.pack("=H", 2) + b"\0\x35" + client.packed + bytes(20)
    else:
        raw = struct.pack("=H", 10) + b"\0\x35" + bytes(4) + client.packed + bytes(4)
    assert fast.client_of(array(raw)) == halves(client)
    assert fast.is_ipv4(*halves(client)) == client.is_ipv4
    assert int(fast.prefix_of(*halves(client))) == client.prefix


@untimed
@given(
    client=CLIENTS,
    ours=st.binary(min_size=8, max_size=8),
    made_by=st.integers(0, 2),
    made=NOW,
    age=st.one_of(st.integers(-400, 4000), st.sampled_from([-301, -300, 1799, 1800, 3600, 3601]), NOW),
    broken=st.one_of(st.none(), st.integers(0, 23)),
    reserved=st.binary(min_size=3, max_size=3),
    cut=st.sampled_from([0, 0, 0, 1, 8, 16]),
    at=st.integers(0, 9),
)
def test_cookies(
    client: Client,
    ours: bytes,
    made_by: int,
    made: int,
    age: int,
    broken: int | None,
    reserved: bytes,
    cut: int,
    at: int,
) -> None:
    keys = [bytes([number]) * 16 for number in range(3)]
    known = cookies.secrets_of(keys[:2])
    head = b"\1" + reserved + (made & 0xFFFFFFFF).to_bytes(4, "big")
    shown = bytearray(ours + cookies._signed(ours, head, client, keys[made_by]))
    if broken is not None:
        shown[broken] ^= 0x10
    data, now = bytes(shown[: 24 - cut]), max(made + age, 0)
    expected = cookies.judged(data, client, now, known)
    out = np.zeros(24, np.uint8)
    packet = array(bytes(at) + data + bytes(16))
    is_proved = fast.judge_cookie(packet, at, len(data), *halves(client), now, known, out)
    assert (out.tobytes(), is_proved) == expected


@untimed
@given(
    seed=HALVES,
    rate=st.sampled_from([0, 1, 5, 200]),
    slip=st.integers(0, 3),
    asked=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2), st.integers(-5, 30_000)), max_size=120),
)
def test_limits(seed: int, rate: int, slip: int, asked: list[tuple[int, int, int]]) -> None:
    """Two sets only, so that accounts push each other out."""
    clear, compiled = (limits.limits_of(rate, slip, sets=2, seed=seed) for _ in range(2))
    now_ms = 0
    for network, kind, step in asked:
        now_ms += step if network % 3 else 0
        prefix = network << 8
        expected = limits.judge(clear, prefix, kind, now_ms)
        assert fast.judge_answer(*compiled, U(prefix), kind, now_ms) == expected
    for one, other in zip(clear, compiled, strict=True):
        assert (one == other).all()


@untimed
@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 20_000)), min_size=4, max_size=20))
def test_limits_of_one_network_that_floods(bursts: list[tuple[int, int]]) -> None:
    clear, compiled = (limits.limits_of(1, 2, sets=2, seed=7) for _ in range(2))
    now_ms = 0
    for count, pause_ms in bursts:
        for _ in range(count):
            expected = limits.judge(clear, 256, 0, now_ms)
            assert fast.judge_answer(*compiled, U(256), 0, now_ms) == expected
        now_ms += pause_ms
    assert (clear.accounts == compiled.accounts).all()


@untimed
@given(CLIENTS, st.integers(0, 1), st.integers(-310, 3610))
def test_cookies_of_ours_at_any_age(client: Client, made_by: int, age: int) -> None:
    keys = [b"a" * 16, b"b" * 16]
    known, now = cookies.secrets_of(keys), 1 << 31
    shown = b"12345678" + cookies.server_cookie(b"12345678", client, now - age, keys[made_by])
    out = np.zeros(24, np.uint8)
    is_proved = fast.judge_cookie(array(shown), 0, 24, *halves(client), now, known, out)
    assert (out.tobytes(), is_proved) == cookies.judged(shown, client, now, known)


NETWORKS = st.lists(
    st.one_of(
        st.builds(
            lambda at, bits: IPv4Network((at >> (32 - bits) << (32 - bits), bits)),
            st.integers(0, 2**32 - 1),
            st.integers(0, 32),
        ),
        st.builds(
            lambda at, bits: IPv6Network((at >> (128 - bits) << (128 - bits), bits)),
            st.integers(0, 2**128 - 1),
            st.integers(0, 128),
        ),
    ),
    max_size=6,
)


@untimed
@given(NETWORKS, NETWORKS, NETWORKS, NETWORKS, CLIENTS)
def test_access(allow: Any, deny: Any, exempt: Any, public: Any, client: Client) -> None:
    made = access.access_list(allow, deny, exempt, public)
    edges = [Client(int(high), int(low)) for high, low in zip(made.high, made.low, strict=True)]
    for each in (client, *edges):
        assert fast.access_of(*made, *halves(each)) == access.access_of(made, each)


KEYS = [bytes(random.Random(number).choices(b"abcdefghijklmnopqrstuvwxyz234567", k=26)) for number in range(5)]


@untimed
@given(
    st.one_of(
        st.sampled_from(KEYS),
        st.sampled_from([key.upper() for key in KEYS]),
        st.binary(max_size=63),
        st.text("abz27AZ19-", min_size=26, max_size=26).map(str.encode),
    ),
    st.integers(0, 5),
)
def test_quotas(label: bytes, at: int) -> None:
    quotas = quota.quotas_of([(f"s{number}", key, 3) for number, key in enumerate(KEYS[:4])])
    packet = array(bytes(at) + bytes([len(label)]) + label)
    assert fast.subscriber_at(packet, at, quotas.ids, quotas.secret) == quota.subscriber(quotas, label)


@untimed
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=60))
def test_what_is_spent(asked: list[tuple[int, int]]) -> None:
    clear = quota.quotas_of([(f"s{number}", key, 3) for number, key in enumerate(KEYS[:3])])
    compiled = clear._replace(used=clear.used.copy(), days=clear.days.copy())
    for number, day in asked:
        granted = fast.spend(compiled.limits, compiled.used, compiled.days, number, day)
        assert granted == quota.spend(clear, number, day)
    assert (clear.used == compiled.used).all()


@untimed
@given(st.integers(0, 200), st.binary(min_size=12, max_size=300))
def test_counted_answers(question_bytes: int, response: bytes) -> None:
    clear, compiled = counts.counts_of_nothing(), counts.counts_of_nothing()
    padded = bytearray(response)
    if len(padded) >= question_bytes + 28:  # make A records likely
        padded[3] &= 0xF0
        padded[7] = 1
        padded[12 + question_bytes + 2 : 12 + question_bytes + 4] = b"\0\1"
    response = bytes(padded)
    counts.count_answer(clear, response, question_bytes)
    fast.count_answer(compiled.rcodes, compiled.codes, array(response), len(response), question_bytes)
    for one, other in zip(clear, compiled, strict=True):
        assert (one == other).all()


@untimed
@given(st.integers(-5, 2**62))
def test_times(nanoseconds: int) -> None:
    assert fast.time_place(nanoseconds) == counts.time_place(nanoseconds)


@untimed
@given(st.lists(st.integers(0, 30).map(lambda number: number << 8), max_size=200))
def test_sketches(prefixes: list[int]) -> None:
    clear, compiled = ((np.zeros(16, np.uint64), np.zeros(16, np.int64)) for _ in range(2))
    for prefix in prefixes:
        counts.note(*clear, prefix)
        fast.note(*compiled, U(prefix))
    assert (clear[0] == compiled[0]).all()
    assert (clear[1] == compiled[1]).all()


def test_the_reference_does_not_load_numba() -> None:
    program = "import sys, whimbrel.nameserver; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "fe80::1%eth0"])
def test_what_a_socket_names(address: str) -> None:
    assert client_at(address).is_ipv4 == ("192" in address)
