"""Rows of the working state say what the state is, and two sets of rows the same where they mean the same."""

import msgspec
import pytest
from tests.listings.rows import seen

from whimbrel.listings import keeping
from whimbrel.listings.policy import Decider
from whimbrel.listings.prior import Tally
from whimbrel.listings.settings import OWN
from whimbrel.listings.state import HostState, NetworkState


def rows() -> dict[str, bytes]:
    decider = Decider(OWN)
    for number in range(3):
        decider.decide(seen(f"192.0.2.{number}", day=number))
    return dict(decider.dumps())


def test_each_row_is_what_it_was_made_of() -> None:
    kinds = {}
    for key, value in rows().items():
        name, state = keeping.kept_in(key, value)
        kinds[key.partition(" ")[0]] = type(state)
        if isinstance(state, HostState | NetworkState):
            assert keeping.row_of(state) == (key, value)
        elif isinstance(state, Tally):
            assert keeping.group_row(name, state) == (key, value)
        else:
            assert keeping.clock_row(state) == (key, value)
    assert kinds == {"host": HostState, "network": NetworkState, "group": Tally, "clock": tuple}


def test_a_damaged_row_is_told() -> None:
    with pytest.raises(msgspec.MsgspecError):
        keeping.kept_in("host 192.0.2.1", b"\xc1")


def test_rows_are_the_same_where_they_mean_the_same() -> None:
    told = rows()
    host = next(key for key in told if key.startswith("host "))
    assert keeping.same_state(told, dict(told))
    # A program of before, which knew fewer fields, wrote the same state shorter.
    shorter = msgspec.msgpack.encode(msgspec.msgpack.decode(told[host])[:-1])
    _, without = keeping.kept_in(host, shorter)
    _, state = keeping.kept_in(host, told[host])
    assert keeping.same_state(told, told | {host: shorter}) == (without == state)
    assert not keeping.same_state(told, told | {host: b"\xc1"})
    assert not keeping.same_state(told, {key: value for key, value in told.items() if key != host})
