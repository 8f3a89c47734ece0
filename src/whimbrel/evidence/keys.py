"""The store's own secret: keyed hashes, so that who received a message can be counted and not named.

A plain digest of an address can be undone by hashing every likely address.  With a key of 256 random bits (HMAC,
RFC 2104, over SHA-256) this needs the key file, which therefore is readable by its owner alone.  Each key has an id and
rows carry the id, so that a new key can be added later and old hashes still be told apart.  The last key is in use.

The file, one key a line: `id hex-key`, lines starting with `#` are remarks.
"""

import hmac
import secrets
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from whimbrel.evidence.files import storing, sync_folder, write_bytes
from whimbrel.wire import keyfile
from whimbrel.wire.keyfile import KeyLine

KEY_FILE = "recipients.key"
HASH_BYTES = 16  # the width of facts.recipients; 128 bits keep chance collisions out of any store's reach
_KEY_BYTES = 32  # RFC 2104, section 3: at least as long as the hash's output
_ID_BYTES = 4
_REMARK = "Keys for hashing recipients; whoever reads this file can test guesses at them. Keep it secret, keep it."


def new_key() -> KeyLine:
    """Return a new key for hashing recipients."""
    return KeyLine(secrets.token_hex(_ID_BYTES), secrets.token_bytes(_KEY_BYTES))


def read_keys(path: Path) -> list[KeyLine]:
    """Return the keys in a file, oldest first; raises StoreError as `Keys.open` does."""
    with storing(path, "read"):
        keyfile.check_private(path, path.stat().st_mode)
        text = path.read_text(encoding="utf-8", errors="replace")
    return keyfile.parse(text, path, least_bytes=_KEY_BYTES)


def write_keys(path: Path, keys: Sequence[KeyLine]) -> None:
    """Write the keys beside the file and rename them into place, so that a crash leaves no half of a key."""
    with storing(path):
        draft = path.with_name(path.name + ".new")
        draft.unlink(missing_ok=True)
        write_bytes(draft, keyfile.written(_REMARK, keys).encode())
        draft.rename(path)
        sync_folder(path.parent)


class Keys:
    """The keys on file; hashes are made with the last."""

    def __init__(self, keys: dict[str, bytes]) -> None:
        self._keys = keys
        self.key_id, self._key = next(reversed(keys.items()))

    @classmethod
    def open(cls, path: Path) -> "Keys":
        """Read the key file, made with one new key where there is none.

        Raises StoreError where others than the owner may read it, or where a line is no key.
        """
        with storing(path):
            if not path.exists():
                write_keys(path, [new_key()])
        return cls({key.id: key.secret for key in read_keys(path)})

    def keyed_hash(self, text: str, key_id: str | None = None) -> bytes:
        """Return the HMAC-SHA-256 of `text`, cut to 16 bytes, under the key in use or the one named."""
        key = self._key if key_id is None else self._keys[key_id]
        return _keyed_hash(key, text)

    def hashes(self, text: str) -> list[bytes]:
        """Return the hashes of `text` under every key that was ever in use."""
        return [_keyed_hash(key, text) for key in self._keys.values()]


# Recipients of a site repeat; 16 Ki texts stay under 4 MB.
@lru_cache(maxsize=16_384)
def _keyed_hash(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode("utf-8", "replace"), "sha256")[:HASH_BYTES]
