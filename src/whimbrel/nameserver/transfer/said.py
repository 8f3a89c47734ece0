"""What the list says of a name, as a stock name server holds it: an A and a TXT record for each class of entries."""

from typing import NamedTuple

import msgspec

from whimbrel.wire import dns, lifetimes
from whimbrel.wire.dns import Type
from whimbrel.wire.snapshot import Entry, Snapshot, layout

ADDRESS = "{address}"
_ANSWER_OCTET = b"\x7f"


class Said(NamedTuple):
    """A code (the low three octets of 127.x.y.z) and a reason: its end is filled in, `{address}` perhaps not."""

    code: int
    text: str

    def of(self, target: str) -> "Said":
        """Return it with its target filled in."""
        return Said(self.code, self.text.replace(ADDRESS, target))

    def a_record(self) -> bytes:
        """Return all of the A record but its owner."""
        return dns.record_tail(Type.A, lifetimes.POSITIVE_SECONDS, _ANSWER_OCTET + self.code.to_bytes(3, "big"))

    def txt_record(self, target: str = "") -> bytes:
        """Return all of the TXT record but its owner, with a target filled in where none is yet."""
        text = dns.text_data(self.text.replace(ADDRESS, target))
        return dns.record_tail(Type.TXT, lifetimes.POSITIVE_SECONDS, text)


class Sayings:
    """What each class of a snapshot says, made when it is first asked for.

    A secondary knows no ends, so what a class says is what it says when the snapshot is cut.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._classes = snapshot.section("classes")
        self._texts = msgspec.msgpack.decode(snapshot.section("texts"), type=list[str])
        self._made: dict[int, Said] = {}

    def __len__(self) -> int:
        """Return the number of classes."""
        return len(self._classes) // layout.CLASS.size

    def __getitem__(self, number: int) -> Said:
        """Return what a class says."""
        said = self._made.get(number)
        if said is None:
            until, code, text = layout.CLASS.unpack_from(self._classes, number * layout.CLASS.size)
            said = Said(code, Entry(code, until, self._texts[text]).reason(ADDRESS))
            self._made[number] = said
        return said
