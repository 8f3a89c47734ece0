"""Reading a snapshot: a view over its bytes, which are never copied.

`find` and `reaches` are the reference: each says in a few lines what any faster build must answer.
"""

import copy
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, Self

import msgspec

from whimbrel.errors import SnapshotError
from whimbrel.wire.snapshot import layout, signature
from whimbrel.wire.snapshot.layout import Entry, Zone
from whimbrel.wire.snapshot.names import Labels, Names
from whimbrel.wire.snapshot.networks import Networks, any_between
from whimbrel.wire.snapshot.overlay import Base, Overlay
from whimbrel.wire.snapshot.signature import PublicKey

Address = tuple[int, int]  # (family 4 or 6, the address as a number)


class _Table(NamedTuple):
    """One family's arrays, as the package's docstring names them."""

    value: memoryview
    side_key: memoryview
    side_class: memoryview
    networks: Networks


class Snapshot:
    """A list to answer from, over `buffer` (bytes, or a memory map, which must stay unchanged while this lives).

    Where public keys are `trusted`, one of them must have signed it; that is looked at before anything it says is
    believed, and `signer` is that key.  Without them `signer` is None, and signatures are not looked at.

    Raises SnapshotError where the bytes are not a whole, undamaged snapshot of this version, or no trusted key signed.
    """

    kind = layout.SNAPSHOT
    overlay: Overlay | None = None

    def __init__(self, buffer: bytes | memoryview, trusted: Collection[PublicKey] = ()) -> None:
        data = memoryview(buffer).cast("B").toreadonly()
        self.checksum, sections = layout.verified(data)
        self._sections = sections
        self.version = int(layout.PREAMBLE.unpack_from(data)[1])
        _, serial, _, born, expires = layout.BODY.unpack_from(data, layout.BODY_AT)
        self.serial, self.born, self.expires = int(serial), int(born), int(expires)
        self.signer = signature.demanded(self.signed_message(), self.signatures(), trusted) if trusted else None
        try:
            self.zone = msgspec.msgpack.decode(sections["zone"], type=Zone)
            # Version 1 had one zone and no names; what it was given under these names by others, readers skipped.
            more = [] if self.version == 1 else msgspec.msgpack.decode(sections["zone.more"], type=list[Zone])
            self.zones = (self.zone, *more)
            self._zone_of = {_labels(zone.name): zone for zone in self.zones}
            self._names = Names(None if self.version == 1 else sections)
            self._texts = msgspec.msgpack.decode(sections["texts"], type=list[str])
            self._classes = sections["classes"]
            self._index = sections["ipv4.index"].cast("I")
            self._suffix = sections["ipv4.suffix"].cast("H")
            self._key = sections["ipv6.key"].cast("Q")
            self._tables = {family: _table(sections, family) for family in (4, 6)}
        except (KeyError, TypeError, UnicodeError, msgspec.DecodeError) as error:
            raise SnapshotError(
                f"snapshot refused: its sections do not hold together ({error}); publish anew"
            ) from None
        self._check_shape()
        if len(self._zone_of) < len(self.zones) or any(zone.demo != self.zone.demo for zone in more):
            raise SnapshotError("snapshot refused: two zones of one name, or a demo's beside a real one; publish anew")
        self._zone_lengths = sorted({len(labels) for labels in self._zone_of}, reverse=True)
        self._above_zones = {labels[skip:] for labels in self._zone_of for skip in range(1, len(labels))}

    @classmethod
    def open(
        cls,
        buffer: bytes | memoryview,
        *,
        now: float,
        in_force: int | None = None,
        trusted: Collection[PublicKey] = (),
    ) -> Self:
        """Return the snapshot to serve from `now` (seconds since 1970) on.

        Raises SnapshotError also where it has expired, or is not newer than the serial `in_force`.
        """
        snapshot = cls(buffer, trusted)
        snapshot.check_time(now=now, in_force=in_force)
        return snapshot

    def check_time(self, *, now: float, in_force: int | None = None) -> None:
        """Raise SnapshotError where it has expired at `now`, or is not newer than the serial `in_force`."""
        if now >= self.expires:
            expired = datetime.fromtimestamp(self.expires, UTC)
            raise SnapshotError(f"snapshot {self.serial} refused: it expired at {expired:%Y-%m-%d %H:%M:%S} UTC")
        if in_force is not None and not layout.is_newer(self.serial, in_force):
            raise SnapshotError(f"snapshot {self.serial} refused: {in_force} is in force and is not older")

    @property
    def base(self) -> Base:
        """What its overlays name it by."""
        return Base(self.checksum, self.serial, self.expires)

    def overlaid(self, overlay: Overlay | None) -> Self:
        """Return the same list with what has changed since it was cut (None: nothing).

        Raises SnapshotError where the overlay belongs to another one.
        """
        if overlay is not None and not overlay.is_of(self.base):
            raise SnapshotError(f"overlay refused: it is of snapshot {overlay.serial}, and {self.serial} is in force")
        changed = copy.copy(self)
        changed.overlay = overlay
        return changed

    def signed_message(self) -> bytes:
        """Return what a key signs of it."""
        return signature.message(
            self._sections, version=self.version, serial=self.serial, born=self.born, expires=self.expires
        )

    def signatures(self) -> dict[str, bytes]:
        """Return the signatures that stand in it by the id of the key they claim, whether they hold or not."""
        return signature.unpacked(self._sections.get(signature.SECTION, memoryview(b"")))

    def __len__(self) -> int:
        """Return the number of entries when it was cut: hosts, networks and names, exclusions among them."""
        rows = sum(len(table.value) + len(table.networks.key) for table in self._tables.values())
        return rows + len(self._names)

    def section(self, name: str) -> memoryview:
        """Return the bytes of a section, by the name that the package's docstring gives it."""
        return self._sections[name]

    def sections(self) -> dict[str, memoryview]:
        """Return the bytes of every section by its name, those of later versions too, in the file's order."""
        return dict(self._sections)

    def zone_of(self, labels: Labels) -> tuple[Zone, Labels] | None:
        """Return the zone that a name (its labels in lower case) lies in, and the labels in front of the zone's name.

        Of zones that lie in each other it is the innermost; None where the name is outside all of them.
        """
        for length in self._zone_lengths:
            split = len(labels) - length
            zone = self._zone_of.get(labels[split:]) if split >= 0 else None
            if zone is not None:
                return zone, labels[:split]
        return None

    def is_above_zone(self, labels: Labels) -> bool:
        """Tell whether a zone's name lies beneath a name."""
        return labels in self._above_zones

    def find(self, address: Address, now: float, zone: Zone | None = None) -> Entry | None:
        """Return the most specific entry that covers an address, has not ended and that a zone shows, or None.

        None, too, where an exclusion comes before any such entry.  Without a zone every code is shown.
        """
        return layout.decisive(self.covering(address), now, zone)

    def find_name(self, labels: Labels, now: float, zone: Zone | None = None) -> Entry | None:
        """Return the entry that decides about a name, its labels in lower case, as `find` does of an address."""
        if not self._names.are_there:  # nearly every list: a miss then costs the reference a third less
            return None
        return layout.decisive(self.covering_name(labels), now, zone)

    def reaches_name(self, labels: Labels, now: float, zone: Zone | None = None) -> bool:
        """Tell whether any name beneath one may be listed; entries that have ended count, as in `reaches`."""
        # What no entry is named after says whether what lies around is listed.
        return self._names.are_there and (
            self._names.is_above(labels) or self.find_name((b"*", *labels), now, zone) is not None
        )

    def covering_name(self, labels: Labels) -> Iterator[Entry]:
        """Yield every entry that covers a name, ended or not, the most specific first, of one name the lowest code."""
        for number, name in self._names.covering(labels):
            entry = self._entry(number)
            yield entry._replace(text=entry.text.replace("{name}", name))

    def covering(self, address: Address) -> Iterator[Entry]:
        """Yield every entry that covers an address, ended or not: the host's, then its networks', narrowest first.

        Of one target the lowest code comes first, so an exclusion.
        """
        family, number = address
        key = number if family == 4 else number >> 64
        if self.overlay is None:
            for _, numbers in self._around(family, key):
                yield from map(self._entry, numbers)
            return
        entries: dict[int, list[Entry]] = {}
        for prefix, numbers in self._around(family, key):
            entries.setdefault(prefix, []).extend(map(self._entry, numbers))
        entries |= self.overlay.around(family, key)
        for prefix in sorted(entries, reverse=True):
            yield from entries[prefix]

    def reaches(self, family: int, prefix_value: int, prefix_bits: int) -> bool:
        """Tell whether any listed address lies within a prefix, whose bits are the low `prefix_bits` of `prefix_value`.

        Entries that have ended count until the next snapshot: telling would take a walk over all of them, and to
        say "nothing here, but perhaps beneath" of an empty branch costs one more query and hides nothing.
        """
        table = self._tables[family]
        bits = table.networks.bits
        if prefix_bits > bits:  # within one IPv6 /64, which is listed as a whole or not at all
            prefix_value >>= prefix_bits - bits
            prefix_bits = bits
        first = prefix_value << (bits - prefix_bits)
        last = first | ((1 << (bits - prefix_bits)) - 1)
        return (
            self._hosts_between(family, first, last)
            or table.networks.reach(first, last)
            or (self.overlay is not None and self.overlay.reach(family, first, last))
        )

    def _around(self, family: int, key: int) -> Iterator[tuple[int, Sequence[int]]]:
        """Yield prefix length and classes of what is around a key: the host, then networks, the narrowest first."""
        networks = self._tables[family].networks
        host = self._host_class(family, key)
        if host is not None:
            yield networks.bits, (host,)
        yield from networks.around(key)

    def _host_class(self, family: int, key: int) -> int | None:
        if family == 4:
            end = self._index[(key >> 16) + 1]
            row = bisect_left(self._suffix, key & 0xFFFF, self._index[key >> 16], end)
            listed = row < end and self._suffix[row] == key & 0xFFFF
        else:
            row = bisect_left(self._key, key)
            listed = row < len(self._key) and self._key[row] == key
        if not listed:
            return None
        table = self._tables[family]
        if table.value[row] != layout.IN_SIDE_TABLE:
            return int(table.value[row])
        return int(table.side_class[bisect_left(table.side_key, key)])

    def _hosts_between(self, family: int, first: int, last: int) -> bool:
        if family == 6:
            return any_between(self._key, first, last, 0, len(self._key))
        if first >> 16 != last >> 16:  # whole /16s
            return bool(self._index[first >> 16] < self._index[(last >> 16) + 1])
        start, end = self._index[first >> 16], self._index[(first >> 16) + 1]
        return any_between(self._suffix, first & 0xFFFF, last & 0xFFFF, start, end)

    def _entry(self, number: int) -> Entry:
        until, code, text = layout.CLASS.unpack_from(self._classes, number * layout.CLASS.size)
        return Entry(code, until, self._texts[text])

    def _check_shape(self) -> None:
        hosts = {4: len(self._suffix), 6: len(self._key)}
        whole = (
            len(self._classes) % layout.CLASS.size == 0
            and len(self._index) == layout.BLOCKS + 1
            and self._index[layout.BLOCKS] == hosts[4]
        )
        for family, table in self._tables.items():
            whole = (
                whole
                and len(table.value) == hosts[family]
                and len(table.side_key) == len(table.side_class)
                and table.networks.is_whole()
            )
        if not whole:
            raise SnapshotError("snapshot refused: the lengths of its tables do not agree; publish anew")


def _labels(name: str) -> Labels:
    return tuple(label.encode("ascii").lower() for label in name.rstrip(".").split("."))


def _table(sections: dict[str, memoryview], family: int) -> _Table:
    side_key = sections[f"ipv{family}.side.key"]
    return _Table(
        value=sections[f"ipv{family}.value"],
        side_key=side_key.cast("I") if family == 4 else side_key.cast("Q"),
        side_class=sections[f"ipv{family}.side.class"].cast("I"),
        networks=Networks.of(sections, family, f"ipv{family}.net"),
    )
