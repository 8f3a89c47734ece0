"""Files of secret keys, as text: one key a line, `id hex-key [until]`; lines that start with `#` are remarks.

The last key is the newest.  `until` (RFC 3339) is where a key's use ends, if that was stated.
"""

import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from whimbrel.errors import StoreError


class KeyLine(NamedTuple):
    """One key of a file."""

    id: str
    secret: bytes
    until: datetime | None = None


def parse(text: str, where: object, *, least_bytes: int) -> list[KeyLine]:
    """Return the keys of a file at `where`, oldest first.

    Raises StoreError where a line is no key of at least so many bytes, an id comes twice, or there is no key at all.
    """
    keys: dict[str, KeyLine] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        key = _key(line)
        if key is None or len(key.secret) < least_bytes or key.id in keys:
            raise StoreError(f"line {number} of the key file {where} is not a key: restore the file from a backup")
        keys[key.id] = key
    if not keys:
        raise StoreError(f"the key file {where} holds no key: restore it from a backup")
    return list(keys.values())


def written(remark: str, keys: Sequence[KeyLine]) -> str:
    """Return the text of a file of keys under a remark of one line."""
    lines = (f"{key.id} {key.secret.hex()}" + (f" {key.until:%Y-%m-%dT%H:%M:%SZ}" if key.until else "") for key in keys)
    return "".join(f"{line}\n" for line in (f"# {remark}", *lines))


def check_private(where: object, mode: int) -> None:
    """Raise StoreError where a file's mode lets others than its owner read it."""
    mode = stat.S_IMODE(mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise StoreError(f"the key file {where} can be read by others (mode {mode:04o}): run chmod 600 {where}")


def _key(line: str) -> KeyLine | None:
    key_id, _, rest = line.strip().partition(" ")
    digits, _, until = rest.strip().partition(" ")
    try:
        secret = bytes.fromhex(digits)
        ends = datetime.fromisoformat(until.strip()) if until.strip() else None
    except ValueError:
        return None
    return KeyLine(key_id, secret, ends.replace(tzinfo=UTC) if ends and ends.tzinfo is None else ends)
