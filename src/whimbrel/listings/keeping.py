"""The working state as rows of key and value, as the ledger keeps them: one a host, a network and a group of the prior.

A key is the kind (`host`, `network`, `group`) and the name; the row `clock` says up to when the state has come, and
since when.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

from whimbrel.listings.prior import Tally
from whimbrel.listings.state import HostState, NetworkState

CLOCK: Final = "clock"

Clock = tuple[datetime, datetime | None]  # up to when, and since when
Kept = HostState | NetworkState | Tally | Clock

_ENCODE: Final = msgspec.msgpack.Encoder().encode
_DECODERS: Final = {
    "host": msgspec.msgpack.Decoder(HostState).decode,
    "network": msgspec.msgpack.Decoder(NetworkState).decode,
    "group": msgspec.msgpack.Decoder(Tally).decode,
    CLOCK: msgspec.msgpack.Decoder(Clock).decode,
}


def row_of(state: HostState | NetworkState) -> tuple[str, bytes]:
    """Return the row of a host or a network."""
    key = f"host {state.host}" if isinstance(state, HostState) else f"network {state.network}"
    return key, _ENCODE(state)


def group_row(group: str, tally: Tally) -> tuple[str, bytes]:
    """Return the row of a group of the prior."""
    return f"group {group}", _ENCODE(tally)


def clock_row(clock: Clock) -> tuple[str, bytes]:
    """Return the row of the clock."""
    return CLOCK, _ENCODE(clock)


def kept_in(key: str, value: bytes) -> tuple[str, Kept]:
    """Return the name in a row's key, and what its value is; raises msgspec.MsgspecError where it is damaged."""
    kind, _, name = key.partition(" ")
    return name, _DECODERS.get(kind, _DECODERS[CLOCK])(value)


def same_state(one: Mapping[str, bytes], other: Mapping[str, bytes]) -> bool:
    """Tell whether rows say the same, though a program of another version may have written some."""
    return one.keys() == other.keys() and all(
        value == other[key] or _said(key, value) == _said(key, other[key]) for key, value in one.items()
    )


def _said(key: str, value: bytes) -> object:
    try:
        return kept_in(key, value)
    except msgspec.MsgspecError:
        return value
