"""Signing: the secret keys of whoever publishes, and snapshots signed by them (Ed25519, RFC 8032).

A key file may hold several keys: while mirrors change from an old public key to a new one, snapshots carry the
signatures of both.  What is signed stands in `whimbrel.wire.snapshot`.
"""

import os
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path

from whimbrel.errors import SnapshotError, StoreError
from whimbrel.publishing.writing import write_whole
from whimbrel.wire import keyfile
from whimbrel.wire.keyfile import KeyLine
from whimbrel.wire.snapshot import Overlay, PublicKey, Snapshot, layout, signature

SECRET_BYTES = 32  # RFC 8032, section 5.1.5
_PRIVATE = 0o600
_REMARK = "Keys that sign the list; whoever has this file can sign in your name. Keep it secret, keep it."


def new_key() -> KeyLine:
    """Return a new signing key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415  30 ms

    secret = Ed25519PrivateKey.generate().private_bytes_raw()
    return KeyLine(_public(secret).id, secret)


def public_key(key: KeyLine) -> PublicKey:
    """Return the half of a key that mirrors are given."""
    return _public(key.secret)


def read_keys(path: Path) -> list[KeyLine]:
    """Return the signing keys in a file, oldest first.

    Raises StoreError where there is none, others may read it, or a line is no key or not the key of its id.
    """
    try:
        with path.open("rb") as file:
            keyfile.check_private(path, os.fstat(file.fileno()).st_mode)
            text = file.read().decode("utf-8", "replace")
    except OSError as error:
        raise StoreError(
            f"{path}: the signing key cannot be read: {error.strerror}; whimbrel key new signing"
        ) from None
    keys = keyfile.parse(text, path, least_bytes=SECRET_BYTES)
    for key in keys:
        if len(key.secret) != SECRET_BYTES or _public(key.secret).id != key.id:
            raise StoreError(f"the key {key.id} in the key file {path} is damaged: restore the file from a backup")
    return keys


def write_keys(path: Path, keys: Sequence[KeyLine]) -> None:
    """Write the signing keys so that a crash leaves the old file or the new one; raises StoreError."""
    write_whole(path, (keyfile.written(_REMARK, keys).encode(),), "the key file", mode=_PRIVATE)


def in_use(keys: Collection[KeyLine], now: datetime) -> list[KeyLine]:
    """Return the keys that sign at `now`; raises StoreError where the last one's time has ended, too."""
    found = [key for key in keys if key.until is None or now < key.until]
    if not found:
        raise StoreError("every signing key has ended; make a new one with: whimbrel key rotate signing")
    return found


def check_kept(path: Path, keys: Collection[KeyLine]) -> None:
    """Raise StoreError where an unsigned list would take the place of a signed one, which every mirror would refuse."""
    if keys:
        return
    try:
        signers = Snapshot(path.read_bytes()).signatures()
    except (OSError, SnapshotError):
        return
    if signers:
        raise StoreError(
            f"{path} is signed by {', '.join(signers)}, and there is no signing key any more: put signing.key back, or "
            "remove that list to go on without"
        )


def signed(data: bytes, keys: Collection[KeyLine], kind: type[Snapshot | Overlay] = Snapshot) -> bytes:
    """Return a snapshot's bytes, or an overlay's, with the signatures of these keys added; those of others stay.

    Raises SnapshotError where the bytes are no whole one or would carry too many signatures.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415  30 ms

    unsigned = kind(data)
    message = unsigned.signed_message()
    signatures = unsigned.signatures() | {
        key.id: Ed25519PrivateKey.from_private_bytes(key.secret).sign(message) for key in keys
    }
    return layout.assembled(
        unsigned.sections() | {signature.SECTION: signature.packed(signatures)},
        serial=unsigned.serial,
        born=unsigned.born,
        expires=unsigned.expires,
        version=unsigned.version,
        kind=kind.kind,
    )


def _public(secret: bytes) -> PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415  30 ms

    return PublicKey(Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw())
