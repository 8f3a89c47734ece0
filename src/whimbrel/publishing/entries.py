"""What is listed, kept change by change: a snapshot or an overlay of it then costs no parsing of targets."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Self

from whimbrel.errors import ConfigError, SnapshotError
from whimbrel.model.listing import Code, Listing
from whimbrel.publishing.building import (
    EXCLUDED_PLACE,
    PLACE,
    Moment,
    NameKey,
    RangeKey,
    Row,
    Standing,
    Target,
    columns_of,
    reasons_of,
    rows_of,
)
from whimbrel.publishing.targets import name_of, prefixes_of
from whimbrel.publishing.testentries import AnyCode
from whimbrel.publishing.texts import FURTHER_TEXTS, TEXTS
from whimbrel.wire.snapshot.encoder import TAKEN_OFF, encode_overlay
from whimbrel.wire.snapshot.layout import NAME_CODES
from whimbrel.wire.snapshot.overlay import MAX_ROWS, Base
from whimbrel.wire.snapshot.rows import Rows, found, no_rows

_ENDLESS = int(datetime.max.replace(microsecond=0, tzinfo=UTC).timestamp())  # still a time, for whoever writes it out

# A changed target takes some 400 bytes, one in columns 21: so many take 50 MB; merging them into 10 million: 0.5 s.
_MOST_CHANGES = 131_072


class Entries:
    """Addresses, networks and ranges, names, and of all these what is excluded: not listed, though what is around is.

    Hosts and networks stand in columns, as they were when an overlay was begun last; what has changed since stands
    beside them.  Two spellings of one network are one target.
    """

    def __init__(self) -> None:
        self._columns: Mapping[int, Rows] = {4: no_rows(), 6: no_rows()}  # never changed, but replaced
        self._changes: dict[Target, Standing] = {}  # since the columns
        self._ranges: dict[RangeKey, Row] = {}
        self._names: dict[NameKey, Row] = {}
        self._count = 0  # of hosts and networks
        self._is_overlay_enough = False  # whether an overlay was begun, and can say what has changed but for its bound

    @classmethod
    def of(cls, listings: Iterable[Listing]) -> Self:
        """Return these listings as entries; raises ConfigError as `put` does."""
        entries = cls()
        for listing in listings:
            entries.put(listing.target, listing.code, listing.until)
        return entries

    def __len__(self) -> int:
        """Return the number of targets and names, excluded ones too."""
        return self._count + len(self._ranges) + len(self._names)

    def put(self, target: str, code: AnyCode, until: datetime) -> None:
        """List a host, a network or a range of IPv4 addresses, or change its listing.

        Raises ConfigError where it cannot be listed (none of these, too wide, loopback, a code of names).
        """
        if code >= NAME_CODES:
            raise ConfigError(f"listing of {target!r}: code {code:#x} is of names; it is not published")
        self._put(target, (PLACE[code], int(until.timestamp())), excluded=False)

    def exclude(self, target: str, until: datetime | None = None) -> None:
        """Leave a target unlisted (None: for good) where what lies around is listed; raises ConfigError as `put`."""
        self._put(target, (EXCLUDED_PLACE, _seconds(until)), excluded=True)

    def put_name(self, name: str, code: AnyCode, until: datetime, *, wildcard: bool = False) -> None:
        """List a name, or change its listing; `wildcard`: with all names beneath it.

        Raises ConfigError where it cannot be listed (no name, all of a top-level domain, a code of addresses).
        """
        if code < NAME_CODES:
            raise ConfigError(f"listing of {name!r}: code {code} is of addresses; it is not published")
        self._put_name((name_of(name, wildcard=wildcard), wildcard, False), (PLACE[code], int(until.timestamp())))

    def exclude_name(self, name: str, until: datetime | None = None, *, wildcard: bool = False) -> None:
        """Leave a name unlisted where a name above it is listed; raises ConfigError as `put_name` does."""
        self._put_name((name_of(name, wildcard=wildcard), wildcard, True), (EXCLUDED_PLACE, _seconds(until)))

    def drop(self, target: str, *, excluded: bool = False) -> int | None:
        """Take a target off; return when its listing would have ended (seconds since 1970), None if it is not on.

        `excluded`: take off its exclusion instead.
        """
        try:
            old = self._put(target, None, excluded=excluded)
        except ConfigError:  # such a one was never put on
            return None
        return None if old is None else old[1]

    def drop_name(self, name: str, *, wildcard: bool = False, excluded: bool = False) -> int | None:
        """Take a name off, as `drop` does a target."""
        self._is_overlay_enough = False
        row = self._names.pop((name_of(name, wildcard=wildcard), wildcard, excluded), None)
        return None if row is None else row[1]

    def _put_name(self, name: NameKey, row: Row) -> None:
        self._is_overlay_enough = False
        self._names[name] = row

    def _put(self, target: str, row: Row | None, *, excluded: bool) -> Row | None:
        """Say something else of a target, or nothing any more (None); return what was said before."""
        family, prefixes = prefixes_of(target)
        if len(prefixes) > 1:
            self._is_overlay_enough = False
            return _replaced(self._ranges, (tuple(prefixes), excluded), row)
        key, prefix = prefixes[0]
        place = Target(family, key, prefix)
        standing = self._standing(place)
        old = standing.excluded if excluded else standing.listed
        if row is not None or old is not None:
            self._changes[place] = standing._replace(excluded=row) if excluded else standing._replace(listed=row)
            self._count += (row is not None) - (old is not None)
            if len(self._changes) > _MOST_CHANGES:
                self._columns, self._changes = self.moment().columns, {}
                self._is_overlay_enough = False
        return old

    def _standing(self, target: Target) -> Standing:
        changed = self._changes.get(target)
        if changed is not None:
            return changed
        rows = found(self._columns[target.family], target.key, target.prefix)
        by_kind = {row[0] == EXCLUDED_PLACE: row for row in rows}
        return Standing(excluded=by_kind.get(True), listed=by_kind.get(False))

    def moment(self) -> Moment:
        """Return what is listed now, for a snapshot to be cut of it, whatever is changed here later."""
        return Moment(self._columns, dict(self._changes), dict(self._ranges), dict(self._names))

    def begin_overlay(self, cut: Moment | None = None) -> None:
        """Count what has changed since a snapshot was cut, of that moment or of now."""
        cut = cut or self.moment()
        since = {target: standing for target, standing in self._changes.items() if cut.changes.get(target) != standing}
        self._is_overlay_enough = (
            cut.before is self._columns and cut.names == self._names and not cut.ranges and not self._ranges
        )
        if cut.before is self._columns:
            self._columns, self._changes = cut.columns, since

    @property
    def changes(self) -> int | None:
        """How many targets have changed since an overlay was begun; None: more than one can say.

        It can say nothing of names, nor of any target where a range is listed, and no more than MAX_ROWS targets.
        """
        return len(self._changes) if self._is_overlay_enough and len(self._changes) <= MAX_ROWS else None

    def overlay(self, base: Base, *, number: int, born: datetime, texts: Mapping[Code, str] = TEXTS) -> bytes:
        """Return the overlay of the snapshot after which it was begun, with what has changed since.

        Raises SnapshotError where that is more than an overlay can say.
        """
        if self.changes is None:
            raise SnapshotError("what changed is more than an overlay can say; cut a snapshot")
        rows = {}
        for family in (4, 6):
            changed = {target: standing for target, standing in self._changes.items() if target.family == family}
            off = [
                (target.key, target.prefix, 0, TAKEN_OFF) for target, standing in changed.items() if not any(standing)
            ]
            rows[family] = columns_of([*rows_of(changed), *off])
        return encode_overlay(
            base,
            number=number,
            born=int(born.timestamp()),
            reasons=reasons_of(texts, FURTHER_TEXTS),
            ipv4=rows[4],
            ipv6=rows[6],
        )


def _replaced(rows: dict[RangeKey, Row], key: RangeKey, row: Row | None) -> Row | None:
    """Put a row in its place, or take it away; return what was there."""
    old = rows.pop(key, None)
    if row is not None:
        rows[key] = row
    return old


def _seconds(until: datetime | None) -> int:
    return _ENDLESS if until is None else int(until.timestamp())
