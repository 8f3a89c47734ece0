"""What an archive holds, told without unpacking it.

A zip file's directory is read, not its data; one zip inside a zip is read as well, up to a bound.  Tar and gzip have
no directory: as much of them is unpacked as the bounds allow, into memory, once.  Every number that a file states
about itself is only compared, never believed: no buffer is made by it.
"""

import re
import struct
import zlib
from typing import NamedTuple

from whimbrel.model.facts import Defect, DefectKind

# A choice: a member is a name kept as evidence, and mail seldom carries archives of many.
MAX_MEMBERS = 1_000
_MAX_NAME_CHARACTERS = 255

# Unpacked for looking, for one attachment in all; a choice, as was measured to stop 500 MB in 29 ms.
MAX_UNPACKED_OCTETS = 10 * 1024 * 1024

# Deflate cannot shrink by more than 1,032 (zlib's technical notes); honest files of a mail rarely by over 100.
_BOMB_RATIO = 200
_BOMB_OCTETS = 100 * 1024 * 1024

# The end record is at most a comment of 65,535 octets from the end (APPNOTE.TXT 4.3.16).
_END = struct.Struct("<4s4H2LH")
_END_SEARCHED_OCTETS = _END.size + 65_535
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")

_ENCRYPTED_FLAG = 0x1
_UTF8_FLAG = 0x800
_STORED, _DEFLATED = 0, 8
_TAR_BLOCK_OCTETS = 512

_TRICK = re.compile(r"(?:^|[/\\])\.\.(?:[/\\]|$)|^[/\\]|^[A-Za-z]:|[\x00-\x1f\u202a-\u202e\u2066-\u2069]")


class Contents(NamedTuple):
    """The names of an archive's members (those of an archive inside it as `outer!inner`), and what is wrong."""

    members: tuple[str, ...]
    defects: tuple[Defect, ...]


class _Entry(NamedTuple):
    name: str
    flags: int
    method: int
    packed: int
    unpacked: int
    offset: int


def zip_contents(payload: bytes, where: str = "", *, nested: bool = False) -> Contents:
    """Return the members of a zip file by its directory; where that is damaged, by the members' own headers."""
    entries, kinds = _directory(payload)
    if not entries:
        entries, kinds = _local_headers(payload), {"archive without directory"}
    kinds |= _zip_defects(entries, len(payload))
    members = [entry.name for entry in entries]
    defects = [Defect(kind, where) for kind in sorted(kinds)]
    if not nested:
        _look_inside(payload, entries, members, defects, where)
    return Contents(tuple(members[:MAX_MEMBERS]), tuple(defects))


def _directory(payload: bytes) -> tuple[list[_Entry], set[DefectKind]]:
    kinds: set[DefectKind] = set()
    begin = payload.rfind(b"PK\x05\x06", max(0, len(payload) - _END_SEARCHED_OCTETS))
    if begin < 0 or begin + _END.size > len(payload):
        return [], kinds
    _, _, _, _, _, size, stated, _ = _END.unpack_from(payload, begin)
    # What stands before the archive (a self-extractor's program) shifts all its offsets alike.
    at = begin - size
    shift = at - stated
    if at < 0:
        return [], {"archive damaged"}
    entries: list[_Entry] = []
    while at + _ENTRY.size <= begin and payload.startswith(b"PK\x01\x02", at):
        if len(entries) >= MAX_MEMBERS:
            kinds.add("archive with too many members")
            break
        _, _, _, flags, method, _, _, _, packed, unpacked, name, extra, comment, _, _, _, offset = _ENTRY.unpack_from(
            payload, at
        )
        written = payload[at + _ENTRY.size : at + _ENTRY.size + min(name, _MAX_NAME_CHARACTERS)]
        entries.append(_Entry(_name(written, flags), flags, method, packed, unpacked, offset + shift))
        at += _ENTRY.size + name + extra + comment
    return entries, kinds


def _local_headers(payload: bytes) -> list[_Entry]:
    """Find members by their own headers, as a reader that streams does."""
    entries: list[_Entry] = []
    at = payload.find(b"PK\x03\x04")
    while 0 <= at <= len(payload) - _LOCAL.size and len(entries) < MAX_MEMBERS:
        _, _, flags, method, _, _, _, packed, unpacked, name, _ = _LOCAL.unpack_from(payload, at)
        written = payload[at + _LOCAL.size : at + _LOCAL.size + min(name, _MAX_NAME_CHARACTERS)]
        entries.append(_Entry(_name(written, flags), flags, method, packed, unpacked, at))
        at = payload.find(b"PK\x03\x04", at + _LOCAL.size)
    return entries


def _name(written: bytes, flags: int) -> str:
    if flags & _UTF8_FLAG or written.isascii():
        return written.decode("utf-8", "replace")
    return written.decode("cp437")


def _zip_defects(entries: list[_Entry], size_bytes: int) -> set[DefectKind]:
    kinds: set[DefectKind] = set()
    if any(entry.flags & _ENCRYPTED_FLAG for entry in entries):
        kinds.add("archive encrypted")
    if any(_TRICK.search(entry.name) for entry in entries):
        kinds.add("archive path trick")
    unpacked = sum(entry.unpacked for entry in entries)
    if unpacked > _BOMB_OCTETS and unpacked > _BOMB_RATIO * size_bytes:
        kinds.add("archive bomb")
    end = 0
    for entry in sorted(entries, key=lambda entry: entry.offset):
        if entry.offset < end:
            kinds.add("archive overlapping")
        end = max(end, entry.offset + _LOCAL.size + entry.packed)
    return kinds


def _look_inside(payload: bytes, entries: list[_Entry], members: list[str], defects: list[Defect], where: str) -> None:
    left = MAX_UNPACKED_OCTETS
    for entry in entries:
        if left <= 0 or not entry.name.lower().endswith(".zip") or entry.flags & _ENCRYPTED_FLAG:
            continue
        packed = _packed(payload, entry, left)
        inner = packed if entry.method == _STORED else _inflated(packed, -zlib.MAX_WBITS, left)[0]
        left -= len(packed) + len(
            inner
        )  # what was read counts too, or overlapping entries would read it a thousand times
        if inner.startswith(b"PK"):
            contents = zip_contents(inner, f"{where}!{entry.name}", nested=True)
            members.extend(f"{entry.name}!{name}" for name in contents.members)
            defects.extend(contents.defects)


def _packed(payload: bytes, entry: _Entry, most: int) -> bytes:
    at = entry.offset
    if entry.method not in (_STORED, _DEFLATED) or at < 0 or not payload.startswith(b"PK\x03\x04", at):
        return b""
    if at + _LOCAL.size > len(payload):
        return b""
    name, extra = _LOCAL.unpack_from(payload, at)[9:11]
    begin = at + _LOCAL.size + name + extra
    return payload[begin : begin + min(entry.packed, most)]


def _inflated(packed: bytes, wbits: int, most: int) -> tuple[bytes, bool]:
    """Return at most `most` octets of what is packed, and whether there would have been more."""
    inflater = zlib.decompressobj(wbits)
    try:
        inflated = inflater.decompress(packed, most)
    except zlib.error:
        return b"", False
    return inflated, bool(inflater.unconsumed_tail)


def gzip_contents(payload: bytes, where: str = "") -> Contents:
    """Return the members of a gzip file: those of the tar file in it, or the one name that its header gives."""
    inflated, more = _inflated(payload, zlib.MAX_WBITS | 16, MAX_UNPACKED_OCTETS)
    defects: tuple[Defect, ...] = (
        (Defect("archive bomb", where),) if more and len(inflated) > _BOMB_RATIO * len(payload) else ()
    )
    if inflated.startswith(b"ustar", 257):
        contents = tar_contents(inflated, where)
        return Contents(contents.members, contents.defects + defects)
    name = _gzip_name(payload)
    if name and _TRICK.search(name):
        defects += (Defect("archive path trick", where),)
    return Contents((name,) if name else (), defects)


def _gzip_name(payload: bytes) -> str:
    """Return the file name of RFC 1952, section 2.3.1, or nothing."""
    if len(payload) < 10 or not payload[3] & 0x08:
        return ""
    at = 10
    if payload[3] & 0x04:
        at += 2 + int.from_bytes(payload[at : at + 2], "little")
    end = payload.find(b"\0", at, at + _MAX_NAME_CHARACTERS)
    return payload[at:end].decode("latin-1") if end > at else ""


def tar_contents(payload: bytes, where: str = "") -> Contents:
    """Return the members of a tar file (POSIX.1-1988 ustar headers; longer names of later forms are cut)."""
    members: list[str] = []
    kinds: set[DefectKind] = set()
    at = 0
    while payload.startswith(b"ustar", at + 257):
        if len(members) >= MAX_MEMBERS:
            kinds.add("archive with too many members")
            break
        header = payload[at : at + _TAR_BLOCK_OCTETS]
        name = "/".join(filter(None, (_tar_text(header[345:500]), _tar_text(header[:100]))))
        if header[156:157] not in b"xgLK":  # headers that only describe the next one
            members.append(name)
            if _TRICK.search(name):
                kinds.add("archive path trick")
        at += _TAR_BLOCK_OCTETS * (1 + -(-_tar_size(header[124:136]) // _TAR_BLOCK_OCTETS))
    return Contents(tuple(members), tuple(Defect(kind, where) for kind in sorted(kinds)))


def _tar_text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "replace")


def _tar_size(field: bytes) -> int:
    digits = field.strip(b" \0")
    return int(digits, 8) if digits and re.fullmatch(rb"[0-7]+", digits) else 0
