"""Attachments: type by content, archives listed inside bounds, what a name pretends."""

import gzip
import hashlib
import io
import struct
import tarfile
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whimbrel.messages.archives import MAX_MEMBERS, MAX_UNPACKED_OCTETS
from whimbrel.messages.attachments import inspect
from whimbrel.messages.filetypes import file_type

EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
PE = b"MZ" + b"\0" * 58 + (64).to_bytes(4, "little") + b"PE\0\0"


def _zip(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def _tar(*names: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 3
            archive.addfile(member, io.BytesIO(b"abc"))
    return buffer.getvalue()


def _kinds(filename: str, payload: bytes, declared: str = "application/octet-stream") -> set[str]:
    return {defect.kind for defect in inspect(filename, declared, payload)[1]}


@pytest.mark.parametrize(
    ("payload", "extension", "kind"),
    [
        (b"", "", "application/x-empty"),
        (PE, "", "application/vnd.microsoft.portable-executable"),
        (b"MZ", "", "application/x-dosexec"),
        (b"\x7fELF\x02", "", "application/x-elf"),
        (b"\xca\xfe\xba\xbe\0\0\0\x02", "", "application/x-mach-binary"),
        (b"\xca\xfe\xba\xbe\0\0\0\x34", "", "application/java-vm"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "doc", "application/x-ole-storage"),
        (b"%PDF-1.4", "", "application/pdf"),
        (b"{\\rtf1", "", "application/rtf"),
        (b"Rar!\x1a\x07\x00", "", "application/vnd.rar"),
        (b"\0\0-lh5-", "", "application/x-lzh-compressed"),
        (b"\0" * 257 + b"ustar", "", "application/x-tar"),
        (b"\x89PNG\r\n\x1a\n", "", "image/png"),
        (b"RIFF\0\0\0\0WAVE", "", "audio/vnd.wave"),
        (b"\0\0\0\x18ftypheic", "", "image/heic"),
        (EICAR, "com", "application/x-eicar-test"),
        (b"#!/bin/sh\n", "", "text/x-shellscript"),
        (b"@echo off\r\n", "", "application/x-bat"),
        (b"<html><p>", "", "text/html"),
        (b'Set x = CreateObject("a")\nOn Error Resume Next\n', "", "text/vbscript"),
        (b"x = 1", "vbs", "text/vbscript"),
        (b"\xff\xfex\0 \0=\0", "js", "text/javascript"),
        (b"Received: from a\nFrom: b\n\n", "", "message/rfc822"),
        (b"begin 644 a.exe\nM\n", "", "text/x-uuencode"),
        (b"plain \xe9 text", "", "text/plain"),
        (b"\x01\x02\x03", "", "application/octet-stream"),
    ],
)  # fmt: skip
def test_type_by_content(payload: bytes, extension: str, kind: str) -> None:
    assert file_type(payload, extension) == kind


def test_an_attachment() -> None:
    attachment, defects = inspect("a.png", "image/png", b"\x89PNG\r\n\x1a\n")
    assert attachment.detected_type == "image/png"
    assert attachment.sha256 == hashlib.sha256(b"\x89PNG\r\n\x1a\n").hexdigest()
    assert attachment.size_bytes == 8
    assert not defects


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        (
            ("[Content_Types].xml", "word/document.xml"),
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
        (("META-INF/manifest.xml", "content.xml"), "application/vnd.oasis.opendocument"),
        (("META-INF/MANIFEST.MF", "A.class"), "application/java-archive"),
        (("AndroidManifest.xml", "classes.dex"), "application/vnd.android.package-archive"),
        (("a.txt",), "application/zip"),
    ],
)
def test_kinds_of_zip(members: tuple[str, ...], kind: str) -> None:
    attachment, _ = inspect("x", "", _zip(*((name, b"x") for name in members)))
    assert attachment.detected_type == kind
    assert attachment.members == members


def test_zip_in_zip_one_level() -> None:
    innermost = _zip(("deep.txt", b"x"))
    payload = _zip(("inner.zip", _zip(("virus.exe", b"MZ"), ("more.zip", innermost))), ("a.txt", b"x"))
    attachment, defects = inspect("outer.zip", "application/zip", payload)
    assert attachment.members == ("inner.zip", "a.txt", "inner.zip!virus.exe", "inner.zip!more.zip")
    assert {defect.kind for defect in defects} == {"runnable in archive"}


def test_tar_and_gzip() -> None:
    tar = _tar("a/b.txt", "c")
    assert inspect("a.tar", "", tar)[0].members == ("a/b.txt", "c")
    assert inspect("a.tgz", "", gzip.compress(tar))[0].members == ("a/b.txt", "c")
    named = io.BytesIO()
    with gzip.GzipFile("report.txt", "wb", fileobj=named) as packed:
        packed.write(b"x")
    assert inspect("report.gz", "", named.getvalue())[0].members == ("report.txt",)


def test_path_tricks() -> None:
    assert "archive path trick" in _kinds("a.zip", _zip(("../../etc/passwd", b"x")))
    assert "archive path trick" in _kinds("a.tar", _tar("/etc/passwd"))
    assert "archive path trick" in _kinds("a.zip", _zip(("C:\\boot.ini", b"x")))


def test_bombs() -> None:
    bomb = gzip.compress(b"\0" * (MAX_UNPACKED_OCTETS + 1))
    assert _kinds("a.gz", bomb) == {"archive bomb"}
    assert _kinds("a.gz", gzip.compress(b"\0" * 1_000)) == set()
    stating = bytearray(_zip(("a", b"x" * 100)))
    at = stating.rfind(b"PK\x01\x02")
    stating[at + 24 : at + 28] = struct.pack("<L", 0xFFFFFFF0)
    assert _kinds("a.zip", bytes(stating)) == {"archive bomb"}


def test_overlapping_members() -> None:
    payload = bytearray(_zip(("a", b"x" * 100), ("b", b"y" * 100)))
    second = payload.rfind(b"PK\x01\x02")
    payload[second + 42 : second + 46] = struct.pack("<L", 0)
    assert _kinds("a.zip", bytes(payload)) == {"archive overlapping"}


def test_encrypted_member() -> None:
    payload = bytearray(_zip(("a", b"x")))
    payload[payload.rfind(b"PK\x01\x02") + 8] |= 1
    assert _kinds("a.zip", bytes(payload)) == {"archive encrypted"}


def test_too_many_members() -> None:
    attachment, defects = inspect("a.zip", "", _zip(*((f"m{index}", b"") for index in range(MAX_MEMBERS + 1))))
    assert len(attachment.members) == MAX_MEMBERS
    assert "archive with too many members" in {defect.kind for defect in defects}


def test_zip_without_directory() -> None:
    payload = _zip(("a.txt", b"x"), ("b.txt", b"y"))
    cut = payload[: payload.find(b"PK\x01\x02")]
    attachment, defects = inspect("a.zip", "", cut)
    assert attachment.members == ("a.txt", "b.txt")
    assert [defect.kind for defect in defects] == ["archive without directory"]


def test_self_extractor_shifts_offsets() -> None:
    assert _kinds("a.zip", b"PK\x03\x04 program " + _zip(("a", b"x"), ("b", b"y"))) == set()


@pytest.mark.parametrize(
    ("filename", "declared", "payload", "kind"),
    [
        ("letter.txt.exe", "application/octet-stream", PE, "double extension"),
        ("letter.doc      .pif", "application/octet-stream", PE, "double extension"),
        ("photo.jpg", "image/jpeg", PE, "type mismatch"),
        ("photo.exe", "image/jpeg", PE, "type mismatch"),
        ("x.scr", "audio/x-wav", b"MZ", "type mismatch"),
        ("photo.jpg", "image/jpeg", b"<html>", "type mismatch"),
        ("a\u202egpj.exe", "application/octet-stream", PE, "turned file name"),
        ("a" * 300, "text/plain", b"x", "long file name"),
        ("a.zip", "application/zip", _zip(("readme.txt.pif", b"MZ")), "runnable in archive"),
    ],
)
def test_pretences(filename: str, declared: str, payload: bytes, kind: str) -> None:
    assert kind in _kinds(filename, payload, declared)


@pytest.mark.parametrize(
    ("filename", "declared", "payload"),
    [
        ("setup.exe", "application/octet-stream", PE),
        ("setup.exe", "application/x-msdownload", PE),
        ("photo.jpg", "image/jpeg", b"\xff\xd8\xff"),
        ("photo.png", "image/png", b"\xff\xd8\xff"),
        ("archive.tar.gz", "application/gzip", gzip.compress(b"x", mtime=0)),
        ("v1.2.txt", "text/plain", b"x"),
    ],
)
def test_honest_files(filename: str, declared: str, payload: bytes) -> None:
    assert _kinds(filename, payload, declared) == set()


SEEDS = [
    _zip(("a.zip", _zip(("b", b"x"))), ("../c", b"y")),
    _tar("a", "b"),
    gzip.compress(_tar("a"), mtime=0),
    zlib.compress(b"x"),
    PE,
]


@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 4_000), st.integers(0, 255))), st.integers(0, 6_000))
def test_damaged_files_never_raise(seed: bytes, changes: list[tuple[int, int]], length: int) -> None:
    payload = bytearray(seed)
    for at, octet in changes:
        payload[at % len(payload)] = octet
    inspect("a.zip", "application/zip", bytes(payload[:length]))


@given(st.text(), st.text(), st.binary())
def test_never_raises(filename: str, declared: str, payload: bytes) -> None:
    attachment, _ = inspect(filename, declared, payload)
    assert attachment.size_bytes == len(payload)
