"""Subscribers: the key in a name (`2.0.0.127.KEY.bl.example`), so many queries a day, and the errors of RFC 5782's kin.

A key is 26 letters and digits of base32 (128 bits), directly in front of the zone; no octet, digit, domain or hash of
a blocklist looks so.  Resolvers see it, so it grants its quota and nothing else.  Once the file is read a key is known
by a keyed hash alone, and to people by its subscriber's name: no answer's text, log line or metric can show it.  A day
is UTC's; a restart begins its count anew, and each server counts for itself.  The same, compiled, is in `fast.py`.
"""

import re
import secrets
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whimbrel.errors import ConfigError
from whimbrel.nameserver.guards.files import private_text
from whimbrel.nameserver.guards.siphash import KEY_BYTES, siphash24

LABEL_BYTES = 26
_KEY = re.compile(rb"[a-z2-7]{26}")
# A limit that a day of one resolver cannot reach, and 64 bits hold many times.
_MOST_QUERIES = 10**12


class Failure(IntEnum):
    """Why a query gets an error for an answer: the last octet of 127.255.255.x, as mail filters know it."""

    MISTYPED = 252
    PUBLIC = 254
    EXCESS = 255  # more than the quota, or a key that nobody has


FAILURE_NET = bytes((127, 255, 255))
REASONS = {
    Failure.MISTYPED: "error, not a listing: the name of the list is mistyped",
    Failure.PUBLIC: "error, not a listing: public resolvers are not answered; ask by way of a resolver of your own",
    Failure.EXCESS: "error, not a listing: too many queries, or an unknown key",
}


class Quotas(NamedTuple):
    """Subscribers by number: hashes of keys (ascending), queries a day, those used on a day; our secret."""

    ids: NDArray[np.uint64]
    limits: NDArray[np.int64]
    used: NDArray[np.int64]
    days: NDArray[np.int64]
    secret: NDArray[np.uint64]
    names: tuple[str, ...]


UNKNOWN = -1  # looks like a key, and is none
NO_KEY = -2


def subscriber(quotas: Quotas, label: bytes) -> int:
    """Return the number of the subscriber whose key a label is, or UNKNOWN, or NO_KEY."""
    label = label.lower()
    if not _KEY.fullmatch(label):
        return NO_KEY
    hashed = _hashed(label, quotas.secret)
    at = int(np.searchsorted(quotas.ids, np.uint64(hashed)))
    return at if at < len(quotas.ids) and int(quotas.ids[at]) == hashed else UNKNOWN


def spend(quotas: Quotas, number: int, day: int) -> bool:
    """Count a subscriber's query on a day (days since 1970); False where it is more than his quota."""
    if quotas.days[number] != day:
        quotas.days[number] = day
        quotas.used[number] = 0
    quotas.used[number] += 1
    return bool(quotas.used[number] <= quotas.limits[number])


def begin_day(quotas: Quotas, day: int) -> None:
    """Let nobody have used anything on a new day, whether he asks or not."""
    is_past = quotas.days != day
    quotas.used[is_past] = 0
    quotas.days[is_past] = day


def quotas_of(subscribers: list[tuple[str, bytes, int]], before: Quotas | None = None) -> Quotas:
    """Return quotas from names, keys and queries a day; what was used `before` stays used."""
    secret = np.frombuffer(secrets.token_bytes(KEY_BYTES), np.uint64) if before is None else before.secret
    rows = sorted((_hashed(key, secret), name, limit) for name, key, limit in subscribers)
    quotas = Quotas(
        ids=np.array([row[0] for row in rows], np.uint64),
        limits=np.array([row[2] for row in rows], np.int64),
        used=np.zeros(len(rows), np.int64),
        days=np.zeros(len(rows), np.int64),
        secret=secret,
        names=tuple(row[1] for row in rows),
    )
    for number, name in enumerate(quotas.names):
        if before is not None and name in before.names:
            old = before.names.index(name)
            quotas.used[number], quotas.days[number] = before.used[old], before.days[old]
    return quotas


def read_quotas(path: Path, before: Quotas | None = None) -> Quotas:
    """Return the quotas of a file, lines `NAME KEY QUERIES-A-DAY`.

    Raises ConfigError, which never quotes a line, where the file is no good, or can be read by others.
    """
    found: list[tuple[str, bytes, int]] = []
    for number, line in enumerate(private_text(path, "the keys of subscribers").splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            found.append(_subscriber_in(line, f"{path}: line {number}"))
    for column, what in ((0, "name"), (1, "key")):
        if len({row[column] for row in found}) < len(found):
            raise ConfigError(f"{path}: a {what} stands there twice; give each subscriber his own")
    return quotas_of(found, before)


def _subscriber_in(line: str, where: str) -> tuple[str, bytes, int]:
    words = line.split()
    if len(words) != 3 or not words[2].isdecimal() or not 0 < int(words[2]) <= _MOST_QUERIES:
        raise ConfigError(f"{where} is no subscriber; write NAME KEY QUERIES-A-DAY")
    key = words[1].lower().encode(errors="replace")
    if not _KEY.fullmatch(key):
        raise ConfigError(f"{where}: the key is not 26 letters and digits of base32 (a to z, 2 to 7)")
    return words[0], key, int(words[2])


def _hashed(label: bytes, secret: NDArray[np.uint64]) -> int:
    return siphash24(secret.tobytes(), label)
