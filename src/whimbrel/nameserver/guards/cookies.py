"""DNS cookies (RFC 7873, RFC 9018): a client that shows what we sent to its address before has proved that address.

A server cookie is 16 bytes: version 1, three reserved, when it was made (seconds, 32 bits), and SipHash-2-4 under our
secret of client cookie, these eight bytes, and the client's address.  So nothing is kept for any client, and servers
that share their secrets take each other's cookies.  The same, compiled, is in `fast.py`.
"""

import secrets
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whimbrel.errors import ConfigError, StoreError
from whimbrel.nameserver.guards.client import Client
from whimbrel.nameserver.guards.files import private_text
from whimbrel.nameserver.guards.siphash import KEY_BYTES, siphash24
from whimbrel.wire import keyfile

CLIENT_BYTES = 8
SERVER_BYTES = 16
_VERSION = 1
# RFC 9018, section 4.3.
OLDEST_SECONDS = 3600
NEWEST_SECONDS = 300  # the clocks of servers that share a secret differ
RENEW_SECONDS = 1800

Secrets = NDArray[np.uint64]  # a row of two a secret, its bytes little-endian; the first makes cookies, all are taken


class Cookie(NamedTuple):
    """What an answer says back (24 bytes), and whether the query had shown a good server cookie."""

    data: bytes
    is_proved: bool


def judged(data: bytes, client: Client, now: int, known: Secrets) -> Cookie:
    """Return what to make of the cookie in a query (8 bytes, or 16 to 40) that came at `now` (seconds since 1970)."""
    ours, theirs = data[:CLIENT_BYTES], data[CLIENT_BYTES:]
    made_by = _made_by(ours, theirs, client, now, known)
    if made_by is None:
        return Cookie(ours + server_cookie(ours, client, now, secret_bytes(known, 0)), is_proved=False)
    age_seconds = _age_seconds(theirs, now)
    if made_by or age_seconds >= RENEW_SECONDS:
        theirs = server_cookie(ours, client, now, secret_bytes(known, 0))
    return Cookie(ours + theirs, is_proved=True)


def server_cookie(client_cookie: bytes, client: Client, now: int, secret: bytes) -> bytes:
    """Return a server cookie made at `now` (RFC 9018, section 4)."""
    return _signed(client_cookie, struct.pack("!BxxxI", _VERSION, now & 0xFFFFFFFF), client, secret)


def _made_by(ours: bytes, theirs: bytes, client: Client, now: int, known: Secrets) -> int | None:
    """Return by which of our secrets a server cookie was made, if by any and in time."""
    if len(theirs) != SERVER_BYTES or theirs[0] != _VERSION:
        return None
    if not -NEWEST_SECONDS <= _age_seconds(theirs, now) <= OLDEST_SECONDS:
        return None
    for number in range(len(known)):
        # What is reserved is not looked at, but hashed as it came (section 4.2).
        if _signed(ours, theirs[:8], client, secret_bytes(known, number)) == theirs:
            return number
    return None


def _age_seconds(theirs: bytes, now: int) -> int:
    """Return a cookie's age by serial number arithmetic (RFC 1982), good beyond 2106."""
    age = (now - int.from_bytes(theirs[4:8], "big")) & 0xFFFFFFFF
    return age - (1 << 32) if age >> 31 else age


def _signed(client_cookie: bytes, head: bytes, client: Client, secret: bytes) -> bytes:
    return head + siphash24(secret, client_cookie + head + client.packed).to_bytes(8, "little")


# Secrets


def secret_bytes(known: Secrets, number: int) -> bytes:
    """Return a secret as its 16 bytes."""
    return struct.pack("<QQ", *map(int, known[number]))


def secrets_of(keys: list[bytes]) -> Secrets:
    """Return secrets as arrays, from 16 bytes each."""
    return np.frombuffer(b"".join(keys), "<u8").reshape(-1, 2).astype(np.uint64)


def random_secret() -> bytes:
    """Return a new secret, for a server that shares its own with no other."""
    return secrets.token_bytes(KEY_BYTES)


def read_secrets(path: Path) -> Secrets:
    """Return the secrets of a file that servers share: lines `id hex`; the first makes cookies, all are taken.

    Raises ConfigError where the file is no good, or can be read by others.
    """
    text = private_text(path, "the secrets of cookies")
    try:
        lines = keyfile.parse(text, path, least_bytes=KEY_BYTES)
    except StoreError as error:
        raise ConfigError(str(error)) from None
    wrong = next((line.id for line in lines if len(line.secret) != KEY_BYTES), None)
    if wrong is not None:
        raise ConfigError(f"{path}: secret {wrong} is not 16 bytes (32 hexadecimal digits): RFC 9018 takes no other")
    return secrets_of([line.secret for line in lines])
