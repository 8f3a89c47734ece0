"""The key file: made once, secret, several keys, refused when it is not safe."""

import hashlib
import hmac
import stat
from pathlib import Path

import pytest

from whimbrel.errors import StoreError
from whimbrel.evidence.keys import HASH_BYTES, Keys


def test_a_key_is_made_once_and_is_secret(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    first, again = Keys.open(path), Keys.open(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert first.key_id == again.key_id
    assert first.keyed_hash("joe@example.org") == again.keyed_hash("joe@example.org")
    assert len(first.keyed_hash("")) == HASH_BYTES
    assert Keys.open(tmp_path / "b.key").keyed_hash("joe@example.org") != first.keyed_hash("joe@example.org")


def test_the_hash_is_hmac_sha256(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    path.touch(0o600)
    path.write_text(f"# remark\nold {'00' * 32}\n\nnew {'0b' * 32}\n")
    keys = Keys.open(path)
    assert keys.key_id == "new"
    assert keys.keyed_hash("Hi There") == hmac.new(b"\x0b" * 32, b"Hi There", hashlib.sha256).digest()[:16]
    assert keys.keyed_hash("Hi There", "old") == hmac.new(bytes(32), b"Hi There", hashlib.sha256).digest()[:16]
    assert keys.keyed_hash("\udcff")  # not valid Unicode, and no error


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.key"
    Keys.open(path)
    path.chmod(mode)
    with pytest.raises(StoreError, match=r"can be read by others .* chmod 600"):
        Keys.open(path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "holds no key"),
        ("# only remarks\n", "holds no key"),
        ("id zz\n", "line 1 .* is not a key"),
        (f"id {'ab' * 31}\n", "line 1 .* is not a key"),
        (f"id {'ab' * 32}\nid {'cd' * 32}\n", "line 2 .* is not a key"),
    ],
)
def test_a_damaged_key_file_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "a.key"
    path.touch(0o600)
    path.write_text(text)
    with pytest.raises(StoreError, match=reason):
        Keys.open(path)
