"""What the reader and the writer of snapshots share: the header, the section table, the checksum.

The package's docstring is the format's description; this is its transcript.
"""

import struct
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
import xxhash

from whimbrel.errors import SnapshotError

PREAMBLE = struct.Struct("<8sII")  # magic, version, number of sections
CHECKSUM = slice(16, 32)
BODY = struct.Struct("<QIIqq")  # length, serial, zero, born, expires
BODY_AT = 32
HEADER_BYTES = 64
SECTION = struct.Struct("<16sQQ")  # name, offset, length
CLASS = struct.Struct("<qII")  # until, code, text
GROUP_COLUMNS = 3  # prefix length, first row, number of rows

ALIGNMENT_BYTES = 64  # a cache line; also enough for any element
# Far above what is used (27); keeps a damaged count from being believed before the checksum has been looked at.
MAX_SECTIONS = 1024

EXCLUDED = 0  # the code of an entry that says "not listed", whatever is listed around it
NAME_CODES = 256  # codes from here on are of names (127.0.1.x and above), those below of addresses (127.0.0.x)
# Kinds of a name's row, as bits: it stands for itself; for all beneath it, too; further rows stand beneath it.
ENTRY, WILDCARD, ABOVE = 1, 2, 4
# A domain that is registered has two or three labels and its hosts few more; a hash has two.  It bounds a look-up.
MAX_NAME_LABELS = 16

VALUE_CLASSES = 255  # what one byte can name, 0 left out
IN_SIDE_TABLE = 0
BLOCKS = 65_536  # the /16s of IPv4

SERIAL_MODULUS = 1 << 32  # RFC 1982, section 3, with SERIAL_BITS 32
_SERIAL_HALF = 1 << 31


class Kind(NamedTuple):
    """A kind of file: its name in messages, the bytes that it begins with, the versions that are read, oldest first."""

    word: str
    magic: bytes
    readable: tuple[int, ...]


SNAPSHOT = Kind("snapshot", b"\x89WSNAP\r\n", (1, 2))
OVERLAY = Kind("overlay", b"\x89WOVER\r\n", (1,))


class Zone(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whose list this is: the zone's name, its name servers and the mailbox of who runs it, as dotted names.

    `demo` marks a list made of old mail, whose addresses belong to others now: it is served on loopback only.  `codes`
    are those that the zone shows; None: every one.
    """

    name: str
    servers: tuple[str, ...]
    mailbox: str
    demo: bool = False
    codes: tuple[int, ...] | None = None

    def shows(self, code: int) -> bool:
        """Tell whether what is listed with a code is listed in this zone."""
        return self.codes is None or code in self.codes

    @property
    def has_addresses(self) -> bool:
        """Whether the zone shows any code of addresses."""
        return self.codes is None or any(code < NAME_CODES for code in self.codes)

    @property
    def has_names(self) -> bool:
        """Whether the zone shows any code of names."""
        return self.codes is None or any(code >= NAME_CODES for code in self.codes)


class Entry(NamedTuple):
    """What the list says of an address or a name.

    `code` is the low three octets of the answer 127.x.y.z (0: it is excluded), `until` seconds since 1970, `text` the
    template of the reason with `{address}` and `{until}` still in it; the `{name}` that is listed is filled in.
    """

    code: int
    until: int
    text: str

    def reason(self, target: str) -> str:
        """Return the reason as people read it, of a target as it is written."""
        until = datetime.fromtimestamp(self.until, UTC).strftime("%Y-%m-%d %H:%M UTC")
        return self.text.replace("{address}", target).replace("{name}", target).replace("{until}", until)


def decisive(entries: Iterable[Entry], now: float, zone: Zone | None) -> Entry | None:
    """Return the first entry that runs at `now` and that a zone shows (None: any), or None where that excludes."""
    for entry in entries:
        if entry.until > now and (entry.code == EXCLUDED or zone is None or zone.shows(entry.code)):
            return None if entry.code == EXCLUDED else entry
    return None


def is_newer(serial: int, than: int) -> bool:
    """Tell whether a serial follows another (RFC 1982, section 3.2)."""
    return 0 < (serial - than) % SERIAL_MODULUS < _SERIAL_HALF


def checksum(data: memoryview) -> bytes:
    """Return the checksum of a whole file: of everything but the place where the checksum stands."""
    digest = xxhash.xxh3_128(data[: CHECKSUM.start])
    digest.update(data[CHECKSUM.stop :])
    return digest.digest()


def assembled(
    sections: Mapping[str, bytes | memoryview],
    *,
    serial: int,
    born: int,
    expires: int,
    version: int | None = None,
    kind: Kind = SNAPSHOT,
) -> bytes:
    """Return the bytes of a whole file: header, section table, sections in the order given, checksum.

    Without a `version` it is the newest.
    """
    at = _aligned(HEADER_BYTES + len(sections) * SECTION.size)
    table = bytearray()
    places: list[tuple[int, bytes | memoryview]] = []
    for name, content in sections.items():
        table += SECTION.pack(name.encode("ascii"), at, len(content))
        places.append((at, content))
        at = _aligned(at + len(content))
    data = bytearray(at)
    PREAMBLE.pack_into(data, 0, kind.magic, version or kind.readable[-1], len(sections))
    BODY.pack_into(data, BODY_AT, at, serial, 0, born, expires)
    data[HEADER_BYTES : HEADER_BYTES + len(table)] = table
    for place, content in places:
        data[place : place + len(content)] = content
    data[CHECKSUM] = checksum(memoryview(data))
    return bytes(data)


def verified(data: memoryview, kind: Kind = SNAPSHOT) -> tuple[bytes, dict[str, memoryview]]:
    """Return the checksum and the sections by name, once everything that can be damaged has been looked at."""
    problem = _problem(data, kind)
    if problem is None:
        found = checksum(data)
        if found == data[CHECKSUM]:
            return found, _sections(data, kind)
        problem = "its checksum does not fit, it is damaged; publish anew"
    raise SnapshotError(f"{kind.word} refused: {problem}")


def _problem(data: memoryview, kind: Kind) -> str | None:
    """Return what is wrong with a file before its checksum is looked at."""
    if sys.byteorder != "little":
        return f"this machine is big-endian, {kind.word}s are little-endian"
    if len(data) < HEADER_BYTES:
        return f"{len(data)} bytes are no {kind.word}; publish anew"
    magic, version, _ = PREAMBLE.unpack_from(data)
    if magic != kind.magic:
        return f"the file does not begin as a Whimbrel {kind.word} does"
    if version not in kind.readable:
        versions = " and ".join(map(str, kind.readable))
        return f"version {version}, and this Whimbrel reads version{'s' * (len(kind.readable) > 1)} {versions}"
    length = BODY.unpack_from(data, BODY_AT)[0]
    if length != len(data):
        return f"{len(data)} bytes of {length}; it was cut or torn, publish anew"
    return None


def _sections(data: memoryview, kind: Kind) -> dict[str, memoryview]:
    count = PREAMBLE.unpack_from(data)[2]
    if count > MAX_SECTIONS or HEADER_BYTES + count * SECTION.size > len(data):
        raise SnapshotError(f"{kind.word} refused: {count} sections do not fit it")
    sections: dict[str, memoryview] = {}
    for row in range(count):
        raw, offset, length = SECTION.unpack_from(data, HEADER_BYTES + row * SECTION.size)
        name = raw.rstrip(b"\0").decode("ascii", "replace")
        if offset + length > len(data):
            raise SnapshotError(f"{kind.word} refused: a section reaches beyond its end; publish anew")
        # Else what was signed under a name need not be what is read under it.
        if name in sections or not name.isascii():
            raise SnapshotError(f"{kind.word} refused: two sections of one name, or a name not in ASCII; publish anew")
        sections[name] = data[offset : offset + length]
    return sections


def _aligned(at: int) -> int:
    return -(-at // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
