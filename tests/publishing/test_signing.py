"""Whose list it is: signed, verified, and refused whatever else was done to the file."""

import lzma
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from tests.listed import listing

from whimbrel.errors import SnapshotError, StoreError
from whimbrel.model.listing import Code
from whimbrel.publishing import Entries
from whimbrel.publishing.signing import check_kept, in_use, new_key, public_key, read_keys, signed, write_keys
from whimbrel.wire.keyfile import KeyLine
from whimbrel.wire.snapshot import PublicKey, Snapshot, layout

NOW = datetime(2002, 7, 27, 12, tzinfo=UTC)
OLD, NEW, STRANGER = new_key(), new_key(), new_key()
PLAIN = (
    Entries.of([listing("192.0.2.1", Code.INFECTED, NOW, 60)])
    .moment()
    .snapshot(zone="bl.example", serial=7, born=NOW, expires=NOW.replace(hour=18))
)
SIGNED = signed(PLAIN, [OLD])


def trusting(*keys: KeyLine) -> Sequence[PublicKey]:
    return [public_key(key) for key in keys]


def resealed(data: bytearray) -> bytes:
    data[layout.CHECKSUM] = layout.checksum(memoryview(data))
    return bytes(data)


def test_a_trusted_key_must_have_signed() -> None:
    assert Snapshot(SIGNED, trusting(OLD)).signer == public_key(OLD)
    assert Snapshot(SIGNED, trusting(STRANGER, OLD)).signer == public_key(OLD)
    for data, keys, reason in (
        (SIGNED, [STRANGER], f"not signed by {STRANGER.id}, only by {OLD.id}"),
        (PLAIN, [OLD, NEW], f"not signed by {OLD.id} or {NEW.id}, by nobody"),
    ):
        with pytest.raises(SnapshotError, match=reason):
            Snapshot(data, trusting(*keys))


def test_who_has_no_key_reads_on_as_before() -> None:
    """A reader of before skips the section: all it looks up is the same, signed or not."""
    plain, seen = Snapshot(PLAIN), Snapshot(SIGNED)
    assert seen.signer is None
    assert {name: bytes(content) for name, content in seen.sections().items() if name != "signature"} == {
        name: bytes(content) for name, content in plain.sections().items()
    }
    assert seen.find((4, 0xC0000201), NOW.timestamp()) == plain.find((4, 0xC0000201), NOW.timestamp()) is not None


def test_an_unsigned_list_does_not_take_the_place_of_a_signed_one(tmp_path: Path) -> None:
    path = tmp_path / "list.snapshot"
    check_kept(path, [])
    path.write_bytes(PLAIN)
    check_kept(path, [])
    path.write_bytes(SIGNED)
    check_kept(path, [NEW])
    with pytest.raises(StoreError, match=f"signed by {OLD.id}, .* put signing.key back"):
        check_kept(path, [])


def test_while_keys_change_either_is_enough() -> None:
    both = signed(PLAIN, [OLD, NEW])
    for key in (OLD, NEW):
        assert Snapshot(both, trusting(key)).signer == public_key(key)
    assert signed(SIGNED, [NEW]) == both  # off-line, one after the other
    assert signed(both, [OLD]) == both
    assert Snapshot(both).signed_message() == Snapshot(PLAIN).signed_message()


@given(st.integers(layout.HEADER_BYTES, len(SIGNED) - 1), st.integers(0, 7))
def test_a_change_that_is_well_sealed_is_refused_or_says_nothing(at: int, bit: int) -> None:
    data = bytearray(SIGNED)
    data[at] ^= 1 << bit
    try:
        changed = Snapshot(resealed(data), trusting(OLD))
    except SnapshotError:
        return
    assert changed.signed_message() == Snapshot(SIGNED).signed_message()  # padding, or where a section lies


@pytest.mark.parametrize("at", range(36, layout.HEADER_BYTES))
def test_serial_birth_and_expiry_are_signed(at: int) -> None:
    data = bytearray(SIGNED)
    data[at] ^= 1
    if 44 <= at < 48:  # zeros that nobody reads
        assert Snapshot(resealed(data), trusting(OLD)).serial == 7
        return
    with pytest.raises(SnapshotError, match=r"does not hold|of .*; it was cut"):
        Snapshot(resealed(data), trusting(OLD))


@pytest.mark.parametrize("name", [name for name in Snapshot(SIGNED).sections() if name != "signature"])
def test_no_section_can_be_taken_away_added_to_renamed_or_exchanged(name: str) -> None:
    sections = Snapshot(SIGNED).sections()
    for changed in (
        {each: content for each, content in sections.items() if each != name},
        sections | {name: bytes(sections[name]) + b"\0"},
        sections | {"more": b""},
        {("other" if each == name else each): content for each, content in sections.items()},
        {each: sections["zone" if each == "texts" else "texts" if each == "zone" else each] for each in sections},
    ):
        data = layout.assembled(changed, serial=7, born=int(NOW.timestamp()), expires=Snapshot(SIGNED).expires)
        with pytest.raises(SnapshotError, match="does not hold"):
            Snapshot(data, trusting(OLD))


def test_two_sections_of_one_name_are_refused() -> None:
    data = bytearray(SIGNED)
    names = list(Snapshot(SIGNED).sections())
    at = layout.HEADER_BYTES + names.index("texts") * layout.SECTION.size
    for name in (b"zone", b"text\xff"):
        data[at : at + 16] = name.ljust(16, b"\0")
        with pytest.raises(SnapshotError, match="two sections of one name"):
            Snapshot(resealed(data))


def test_verification_comes_before_anything_is_believed() -> None:
    sections = Snapshot(SIGNED).sections() | {"zone": b"\xc1 no msgpack"}
    data = layout.assembled(sections, serial=7, born=0, expires=1)
    with pytest.raises(SnapshotError, match="do not hold together"):
        Snapshot(data)
    with pytest.raises(SnapshotError, match="signature"):
        Snapshot.open(data, now=NOW.timestamp(), in_force=9, trusted=trusting(OLD))


def test_garbled_and_too_many_signatures_are_refused() -> None:
    for content in (b"x" * 71, bytes(72 * 17)):
        data = layout.assembled(Snapshot(PLAIN).sections() | {"signature": content}, serial=7, born=0, expires=1)
        with pytest.raises(SnapshotError, match="garbled"):
            Snapshot(data, trusting(OLD))
    many = signed(PLAIN, [new_key() for _ in range(16)])
    assert len(Snapshot(many).signatures()) == 16


def test_a_stranger_verifies_with_a_few_lines() -> None:
    """The format's description, done by hand."""
    import hashlib  # noqa: PLC0415
    import struct  # noqa: PLC0415

    count = struct.unpack_from("<I", SIGNED, 12)[0]
    serial, born, expires = (
        struct.unpack_from(kind, SIGNED, at)[0] for kind, at in (("<I", 40), ("<q", 48), ("<q", 56))
    )
    rows = [struct.unpack_from("<16sQQ", SIGNED, 64 + 32 * row) for row in range(count)]
    message = struct.pack("<32sIIqqI", b"whimbrel snapshot signature, v1", 2, serial, born, expires, count - 1)
    for name, offset, length in rows:
        content = SIGNED[offset : offset + length]
        if name.rstrip(b"\0") == b"signature":
            assert content[:8] == hashlib.sha256(public_key(OLD).raw).digest()[:8]
            signature = content[8:]
        else:
            message += name + struct.pack("<Q", length) + hashlib.sha512(content).digest()
    Ed25519PublicKey.from_public_bytes(public_key(OLD).raw).verify(signature, message)


def test_a_list_of_the_first_version_is_signed_as_such() -> None:
    file = Path(__file__).resolve().parents[1] / "golden" / "snapshot" / "version-1.xz"
    snapshot = Snapshot(signed(lzma.decompress(file.read_bytes()), [OLD]), trusting(OLD))
    assert (snapshot.version, snapshot.signer) == (1, public_key(OLD))


def test_keys_are_kept_secret_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    write_keys(path, [OLD, NEW._replace(until=NOW)])
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_keys(path) == [OLD, NEW._replace(until=NOW)]
    path.chmod(0o640)
    with pytest.raises(StoreError, match="can be read by others"):
        read_keys(path)
    path.chmod(0o600)
    path.write_text(f"{OLD.id} {NEW.secret.hex()}\n")
    with pytest.raises(StoreError, match="damaged"):
        read_keys(path)
    with pytest.raises(StoreError, match="whimbrel key new signing"):
        read_keys(tmp_path / "none")


def test_a_key_signs_until_its_end() -> None:
    ending = OLD._replace(until=NOW)
    assert in_use([ending, NEW], NOW - timedelta(seconds=1)) == [ending, NEW]
    assert in_use([ending, NEW], NOW) == [NEW]
    with pytest.raises(StoreError, match="has ended"):
        in_use([ending], NOW)
