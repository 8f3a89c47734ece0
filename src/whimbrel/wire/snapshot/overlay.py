"""The overlay: what has changed since a snapshot was cut, as a small file beside it.

A target that stands in it is as it says there, whatever the snapshot says of that target: listed with other entries, or
not at all.  What lies around the target and beneath it stays as it was.  So a snapshot with its overlay answers as the
snapshot of the changed list would, but for two things that nobody loses by: the serial in SOA records stays the
snapshot's (secondaries follow snapshots), and where something was taken off, "nothing here, but perhaps beneath" may
still be said.

Its layout is a snapshot's, with another magic (89 "WOVER" 0D 0A), version 1: header, section table, sections, checksum.
`serial` and `expires` are the snapshot's, `born` is when the overlay was cut.  It is written anew as a whole with every
change, and put in place of the old one by renaming, so nobody ever reads half a change.

::

    section          one element is        holds
    base             16 bytes, u64         checksum of the snapshot that it belongs to; the overlay's number: 1, 2, ...
    texts, classes                         as in a snapshot; class 0: taken off
    ipv4.group, ipv4.key, ipv4.class       as `ipv4.net.*` in a snapshot; a host is a network of 32 bits
    ipv6.group, ipv6.key, ipv6.class       as `ipv6.net.*`; a host is a network of 64 bits
    signature                              as in a snapshot, but for the first words of what is signed: "whimbrel
                                           overlay signature, v1"

Its bound keeps it what it is for: it is written, signed, read and verified within milliseconds.  What is more goes into
the next snapshot.
"""

import struct
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from whimbrel.errors import SnapshotError
from whimbrel.wire.snapshot import layout, signature
from whimbrel.wire.snapshot.layout import CLASS, Entry
from whimbrel.wire.snapshot.networks import Networks
from whimbrel.wire.snapshot.signature import PublicKey

# Reading one of so many rows takes 12 ms here, a tenth of the time between two looks without notices.
MAX_ROWS = 16_384
# Far above what so many rows take (16 bytes of class, 12 of key and class, and texts): a bound before anything is read.
MAX_BYTES = 1024 * 1024
BASE = struct.Struct("<16sQ")

Tables = Mapping[int, Networks]


class Base(NamedTuple):
    """Which snapshot an overlay belongs to, and when that expires."""

    checksum: bytes
    serial: int
    expires: int


class Overlay:
    """An overlay over `buffer`, for `Snapshot.overlaid`; `base` is the checksum of the snapshot that it belongs to.

    Raises SnapshotError where the bytes are no whole, undamaged overlay, or no `trusted` key signed (without such keys
    signatures are not looked at).
    """

    kind = layout.OVERLAY

    def __init__(self, buffer: bytes | memoryview, trusted: Collection[PublicKey] = ()) -> None:
        data = memoryview(buffer).cast("B").toreadonly()
        if len(data) > MAX_BYTES:
            raise SnapshotError(f"overlay refused: more than {MAX_BYTES} bytes; publish a snapshot")
        self.checksum, self._sections = layout.verified(data, layout.OVERLAY)
        self.version = int(layout.PREAMBLE.unpack_from(data)[1])
        _, serial, _, born, expires = layout.BODY.unpack_from(data, layout.BODY_AT)
        self.serial, self.born, self.expires = int(serial), int(born), int(expires)
        if trusted:
            signature.demanded(self.signed_message(), self.signatures(), trusted, layout.OVERLAY)
        try:
            base, number = BASE.unpack(self._sections["base"])
            self.base, self.number = bytes(base), int(number)
            self._texts = msgspec.msgpack.decode(self._sections["texts"], type=list[str])
            self.classes = self._sections["classes"]
            self.tables: Tables = {family: Networks.of(self._sections, family, f"ipv{family}") for family in (4, 6)}
        except (KeyError, TypeError, UnicodeError, struct.error, msgspec.DecodeError) as error:
            raise SnapshotError(f"overlay refused: its sections do not hold together ({error})") from None
        if not self._is_sound():
            raise SnapshotError("overlay refused: its tables do not hold together; publish anew")

    def __len__(self) -> int:
        """Return the number of rows: entries, and targets taken off."""
        return sum(len(table.key) for table in self.tables.values())

    def is_of(self, base: Base) -> bool:
        """Tell whether it belongs to a snapshot."""
        return (self.base, self.serial) == (base.checksum, base.serial)

    def signed_message(self) -> bytes:
        """Return what a key signs of it."""
        return signature.message(
            self._sections,
            version=self.version,
            serial=self.serial,
            born=self.born,
            expires=self.expires,
            kind=layout.OVERLAY,
        )

    def signatures(self) -> dict[str, bytes]:
        """Return the signatures that stand in it by the id of the key they claim, whether they hold or not."""
        return signature.unpacked(self._sections.get(signature.SECTION, memoryview(b"")), layout.OVERLAY)

    def sections(self) -> dict[str, memoryview]:
        """Return the bytes of every section by its name, in the file's order."""
        return dict(self._sections)

    def around(self, family: int, key: int) -> dict[int, list[Entry]]:
        """Return what stands here of the networks around a key, by prefix length: its entries; none: taken off."""
        return {
            prefix: [self._entry(number) for number in numbers if number != 0]
            for prefix, numbers in self.tables[family].around(key)
        }

    def reach(self, family: int, first: int, last: int) -> bool:
        """Tell whether anything here lies within, or around, some addresses; what was taken off counts."""
        return self.tables[family].reach(first, last)

    def _entry(self, number: int) -> Entry:
        until, code, text = CLASS.unpack_from(self.classes, number * CLASS.size)
        return Entry(code, until, self._texts[text])

    def _is_sound(self) -> bool:
        count, rest = divmod(len(self.classes), CLASS.size)
        return (
            rest == 0
            and all(text < len(self._texts) for _, _, text in CLASS.iter_unpack(self.classes[CLASS.size :]))
            and all(table.is_whole() for table in self.tables.values())
            and len(self) <= MAX_ROWS
            and all(table.is_sound(count) for table in self.tables.values())
        )


def overlay_path(snapshot: Path) -> Path:
    """Return where the overlay of a snapshot lies: beside it."""
    return snapshot.with_name(f"{snapshot.name}.overlay")
