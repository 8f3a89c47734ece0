"""Archives: members come as the standard library's writers wrote them; damage is damage, never another exception."""

import io
import tarfile
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whimbrel.sensors.archives import is_tar, is_zip, seekable, tar_members, zip_members
from whimbrel.sensors.streams import DamageError, Stream

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
NAMES = st.text(st.sampled_from("abc/é ."), min_size=1, max_size=20).map(lambda name: f"m{name}z")
MEMBERS = st.dictionaries(NAMES, st.binary(max_size=1200), max_size=5)


def _stream(content: bytes) -> Stream:
    file = io.BytesIO(content)
    return Stream(lambda: file.read(700))


def _tar(members: dict[str, bytes], style: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=style) as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def _zip(members: dict[str, bytes], packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", packing) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, packing)
    return out.getvalue()


def _read_tar(content: bytes) -> dict[str, bytes]:
    return {member.name: b"".join(iter(member.stream.read_piece, b"")) for member in tar_members(_stream(content))}


def _read_zip(content: bytes) -> dict[str, bytes]:
    with seekable(_stream(content)) as file:
        return {member.name: b"".join(iter(member.stream.read_piece, b"")) for member in zip_members(file)}


@pytest.mark.parametrize("style", FORMATS)
@given(members=MEMBERS)
def test_tar_members_come_back(style: str, members: dict[str, bytes]) -> None:
    packed = _tar(members, FORMATS[style])
    assert is_tar(packed)
    assert _read_tar(packed) == members


@pytest.mark.parametrize("style", ["gnu", "pax"])
def test_long_names_and_links_and_folders(style: str) -> None:
    out = io.BytesIO()
    name = "folder/" + "n" * 300
    with tarfile.open(fileobj=out, mode="w", format=FORMATS[style]) as tar:
        for kind in (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
            entry = tarfile.TarInfo(f"x{kind!r}" * 60)
            entry.type, entry.linkname = kind, "l" * 200
            tar.addfile(entry)
        entry = tarfile.TarInfo(name)
        entry.size = 3
        tar.addfile(entry, io.BytesIO(b"abc"))
    assert _read_tar(out.getvalue()) == {name: b"abc"}


def test_members_left_unread_are_skipped() -> None:
    packed = _tar({"a": b"x" * 2000, "b": b"y" * 3})
    assert [member.name for member in tar_members(_stream(packed))] == ["a", "b"]


def test_concatenated_tars_are_one() -> None:
    assert _read_tar(_tar({"a": b"1"}) + _tar({"b": b"2"})) == {"a": b"1", "b": b"2"}


@pytest.mark.parametrize("kept_bytes", [512, 600, 1024, 1500, 2048])
def test_a_tar_cut_short_is_damage(kept_bytes: int) -> None:
    packed = _tar({"a": b"x" * 700, "b": b"y"}, tarfile.USTAR_FORMAT)
    with pytest.raises(DamageError, match="ends too early"):
        _read_tar(packed[:kept_bytes])


def test_a_header_with_a_wrong_checksum_is_damage() -> None:
    packed = bytearray(_tar({"a": b"x", "b": b"y"}, tarfile.USTAR_FORMAT))
    packed[1024] ^= 1
    with pytest.raises(DamageError, match="checksum"):
        _read_tar(bytes(packed))


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@given(members=MEMBERS)
def test_zip_members_come_back(packing: int, members: dict[str, bytes]) -> None:
    packed = _zip(members, packing)
    assert is_zip(packed)
    assert _read_zip(packed) == members


def test_an_encrypted_member_is_told() -> None:
    packed = bytearray(_zip({"a": b"secret"}))
    packed[6] |= 1
    packed[packed.index(b"PK\x01\x02") + 8] |= 1
    with seekable(_stream(bytes(packed))) as file:
        assert [member.problem for member in zip_members(file)] == ["encrypted"]


@given(members=MEMBERS, at=st.integers(0, 5000), octet=st.integers(0, 255), cut=st.integers(0, 5000))
def test_damaged_archives_are_content_or_damage(members: dict[str, bytes], at: int, octet: int, cut: int) -> None:
    for pack, read in ((_tar, _read_tar), (_zip, _read_zip)):
        packed = bytearray(pack(members))
        packed[at % len(packed)] = octet
        try:
            read(bytes(packed[: len(packed) - cut % len(packed)]))
        except DamageError:
            continue


@given(st.binary(max_size=1500))
def test_any_bytes_are_content_or_damage(content: bytes) -> None:
    for read in (_read_tar, _read_zip):
        try:
            read(content)
        except DamageError:
            continue
