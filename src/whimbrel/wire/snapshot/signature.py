"""Signatures on a snapshot or an overlay: what a key signs, and whether one that is trusted did (Ed25519, RFC 8032).

The package's docstring has the layout.  Making signatures takes a secret and is `publishing.signing`'s business.
"""

import base64
import binascii
import hashlib
import struct
from collections.abc import Collection, Mapping
from typing import NamedTuple, Self

from whimbrel.errors import ConfigError, SnapshotError
from whimbrel.wire.snapshot.layout import SNAPSHOT, Kind

SECTION = "signature"
PUBLIC_KEY_BYTES = 32  # RFC 8032, section 5.1.5
SIGNATURE_BYTES = 64  # RFC 8032, section 5.1.6
ID_BYTES = 8  # a name for people and for finding the key; trust rests on the whole key
# Two stand there while a key is exchanged for another; the bound keeps a hostile file from asking for much work.
MAX_SIGNATURES = 16

# No signature of this key for another purpose, or for another layout of the message, can be taken for one of these.
_CONTEXT = "whimbrel {} signature, v1"
_HEAD = struct.Struct("<32sIIqqI")  # context, version, serial, born, expires, number of sections
_SECTION = struct.Struct("<16sQ64s")  # name, length, SHA-512 of the content
_SIGNATURE = struct.Struct(f"<{ID_BYTES}s{SIGNATURE_BYTES}s")

_WORD = "whimbrel-ed25519"


class PublicKey(NamedTuple):
    """The public half of a signing key: what a mirror trusts.  Written as `whimbrel-ed25519 ID BASE64`."""

    raw: bytes

    @property
    def id(self) -> str:
        """The key's name: the first 8 bytes of its SHA-256, in hexadecimal digits."""
        return hashlib.sha256(self.raw).digest()[:ID_BYTES].hex()

    def line(self) -> str:
        """Return the key as one line of text."""
        return f"{_WORD} {self.id} {base64.b64encode(self.raw).decode()}"

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read a key from its line; raises ConfigError where it is none, or where id and key do not fit."""
        word, _, rest = line.strip().partition(" ")
        key_id, _, text = rest.partition(" ")
        try:
            raw = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if word != _WORD or len(raw) != PUBLIC_KEY_BYTES:
            # What was given instead may be a secret key, and errors end up in logs: so it is not shown.
            raise ConfigError(f"this is no public key; it is one line, `{_WORD} ID BASE64`: whimbrel key export")
        key = cls(raw)
        if key.id != key_id:
            raise ConfigError(
                f"the public key {key_id} was changed on its way: its id should be {key.id}; copy it anew"
            )
        return key


def message(
    sections: Mapping[str, memoryview], *, version: int, serial: int, born: int, expires: int, kind: Kind = SNAPSHOT
) -> bytes:
    """Return the bytes that a key signs of a file with these sections."""
    signed = {name: content for name, content in sections.items() if name != SECTION}
    head = _HEAD.pack(_CONTEXT.format(kind.word).encode("ascii"), version, serial, born, expires, len(signed))
    rows = (
        _SECTION.pack(name.encode("ascii"), len(content), hashlib.sha512(content).digest())
        for name, content in signed.items()
    )
    return head + b"".join(rows)


def packed(signatures: Mapping[str, bytes]) -> bytes:
    """Return the section's content for signatures by key id."""
    return b"".join(_SIGNATURE.pack(bytes.fromhex(key_id), each) for key_id, each in signatures.items())


def unpacked(content: memoryview, kind: Kind = SNAPSHOT) -> dict[str, bytes]:
    """Return the signatures in a section's content by key id; raises SnapshotError where it is of no such form."""
    if len(content) % _SIGNATURE.size or len(content) > MAX_SIGNATURES * _SIGNATURE.size:
        raise SnapshotError(f"{kind.word} refused: its signatures are garbled; publish anew")
    return {key_id.hex(): each for key_id, each in _SIGNATURE.iter_unpack(content)}


def demanded(
    signed: bytes, signatures: Mapping[str, bytes], trusted: Collection[PublicKey], kind: Kind = SNAPSHOT
) -> PublicKey:
    """Return the trusted key that signed the message; raises SnapshotError where none did."""
    for key in trusted:
        if key.id in signatures and _holds(key, signatures[key.id], signed):
            return key
    whom = " or ".join(key.id for key in trusted)
    found = f"only by {', '.join(signatures)}" if signatures else "by nobody"
    if any(key.id in signatures for key in trusted):
        raise SnapshotError(
            f"{kind.word} refused: the signature of {whom} does not hold: it was changed since it was signed"
        )
    raise SnapshotError(
        f"{kind.word} refused: not signed by {whom}, {found}; publish with that key, or trust the new one"
    )


def _holds(key: PublicKey, signature: bytes, signed: bytes) -> bool:
    # 30 ms that only those who were given a key should wait for.
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    try:
        Ed25519PublicKey.from_public_bytes(key.raw).verify(signature, signed)
    except (InvalidSignature, ValueError):
        return False
    return True
