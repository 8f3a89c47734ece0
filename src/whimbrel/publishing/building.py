"""From what is listed at a moment to the bytes of a snapshot, with the test entries that every list must have."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

import numpy as np

from whimbrel.errors import ConfigError
from whimbrel.model.listing import Code, FurtherCode
from whimbrel.publishing import testentries
from whimbrel.publishing.targets import Prefix
from whimbrel.publishing.testentries import AnyCode
from whimbrel.publishing.texts import DEMO_FURTHER_TEXTS, FURTHER_TEXTS, NAME_TEST_TEXT, TEST_TEXT, TEXTS
from whimbrel.wire import dns
from whimbrel.wire.snapshot import Zone
from whimbrel.wire.snapshot.encoder import Reason, encode
from whimbrel.wire.snapshot.layout import EXCLUDED, NAME_CODES
from whimbrel.wire.snapshot.nametable import NameRows
from whimbrel.wire.snapshot.rows import Rows, inserted, without

# For a zone that is not delegated (a demo, a list asked inside one house) the conventional name of "this machine".
LOCAL_SERVERS = ("localhost",)

_CODES: tuple[AnyCode, ...] = (*Code, *FurtherCode)
# Rows of the reasons: what is listed, then the test entries, then the one reason of all exclusions.
PLACE = {code: row for row, code in enumerate(_CODES)}
_TEST_PLACE = {code: len(_CODES) + row for code, row in PLACE.items()}
EXCLUDED_PLACE = 2 * len(_CODES)
_REASONS = EXCLUDED_PLACE + 1

Row = tuple[int, int]  # reason, until
_FlatRow = tuple[int, int, int, int]  # key, prefix length, reason, until
_NameRow = tuple[bytes, bool, int, int]  # name in wire form, whether all beneath is meant, reason, until
NameKey = tuple[bytes, bool, bool]  # name in wire form, whether all beneath is meant, whether it is excluded
RangeKey = tuple[tuple[Prefix, ...], bool]  # prefixes, and whether they are excluded


class Target(NamedTuple):
    """A host or a network."""

    family: int
    key: int
    prefix: int


class Standing(NamedTuple):
    """All that is said of a target: its exclusion and its listing, or neither."""

    excluded: Row | None = None
    listed: Row | None = None


class Moment:
    """What is listed at one moment: it never changes, so a snapshot may be cut of it in another thread.

    Hosts and networks stand in columns as they were at an earlier moment, `before`, with `changes` since: a snapshot
    merges them, and sorts nothing but the few.
    """

    def __init__(
        self,
        before: Mapping[int, Rows],
        changes: Mapping[Target, Standing],
        ranges: Mapping[RangeKey, Row],
        names: Mapping[NameKey, Row],
    ) -> None:
        """`before` has rows in order of their targets, by family; `ranges` and `names` are all there are."""
        self.before, self.changes, self.ranges, self.names = before, changes, ranges, names

    @cached_property
    def columns(self) -> Mapping[int, Rows]:
        """Hosts and networks, by family, in order of their targets; without ranges."""
        return {family: self._changed(family) for family in (4, 6)}

    def _changed(self, family: int) -> Rows:
        changes = {target: standing for target, standing in self.changes.items() if target.family == family}
        targets = columns_of([(target.key, target.prefix, 0, 0) for target in changes])
        return inserted(without(self.before[family], targets.key, targets.prefix), columns_of(rows_of(changes)))

    def snapshot(
        self,
        *,
        zone: str,
        serial: int,
        born: datetime,
        expires: datetime,
        texts: Mapping[Code, str] = TEXTS,
        servers: tuple[str, ...] = LOCAL_SERVERS,
        mailbox: str | None = None,
        demo: bool = False,
        codes: Collection[AnyCode] | None = None,
        more_zones: Sequence[Zone] = (),
    ) -> bytes:
        """Return the snapshot of what still runs at `born`, with the test entries of its zones.

        `zone` is the main one, `servers` its name servers, `mailbox` the address of who runs it as a domain name,
        `codes` those it shows (None: all); `demo` marks a list of old mail, which servers serve on loopback only.
        Further zones come from `zone_of`.  Raises ConfigError where a name is none, or zones contradict each other.
        """
        zones = [zone_of(zone, servers, mailbox, demo=demo, codes=codes), *more_zones]
        end = int(expires.timestamp())
        of_ranges = [(*prefix, *row) for (prefixes, _), row in self.ranges.items() for prefix in prefixes]
        ipv4 = inserted(self.columns[4], columns_of([*of_ranges, *_test_addresses(zones, end)]))
        ipv6 = self.columns[6]
        counts = sum(np.bincount(rows.reason, minlength=_REASONS)[: len(_CODES)] for rows in (ipv4, ipv6))
        _check(zones, [_CODES[place] for place in np.flatnonzero(counts)])
        names = [(name, wildcard, *row) for (name, wildcard, _), row in self.names.items()]
        return encode(
            zone=zones[0],
            more_zones=zones[1:],
            serial=serial,
            born=int(born.timestamp()),
            expires=end,
            reasons=reasons_of(texts, DEMO_FURTHER_TEXTS if demo else FURTHER_TEXTS),
            ipv4=ipv4,
            ipv6=ipv6,
            names=_name_columns([*names, *_test_names(zones, end, has_names=bool(names))]),
        )


def zone_of(
    name: str,
    servers: tuple[str, ...],
    mailbox: str | None,
    *,
    demo: bool = False,
    codes: Collection[AnyCode] | None = None,
) -> Zone:
    """Return a zone, as `Entries.snapshot` takes it; raises ConfigError where a name is none, or it shows nothing."""
    lower = name.rstrip(".").lower()
    zone = Zone(
        name=lower,
        servers=servers,
        mailbox=mailbox or f"hostmaster.{lower}",
        demo=demo,
        codes=None if codes is None else tuple(sorted(map(int, codes))),
    )
    try:
        for written in (zone.name, *zone.servers, zone.mailbox):
            dns.write_name(written)
    except UnicodeError:
        raise ConfigError(f"zone: {written!r} is not in ASCII; write the name in its IDNA form (xn--...)") from None
    except ValueError as error:
        raise ConfigError(f"zone: {written!r} is no name for DNS: {error}") from None
    if not zone.name or not zone.servers:
        raise ConfigError("a zone needs a name and at least one name server")
    if zone.codes == ():
        raise ConfigError(f"zone {zone.name}: it shows no code, so nothing; name one at least")
    return zone


def _check(zones: Sequence[Zone], listed: Collection[AnyCode]) -> None:
    """Raise ConfigError where zones cannot stand in one list, of which `listed` are the codes of addresses."""
    if len({zone.name for zone in zones}) < len(zones):
        raise ConfigError("two zones have one name; give each its own")
    if len({zone.demo for zone in zones}) > 1:
        raise ConfigError("zones of old mail (demo) and others cannot stand in one list; publish two")
    quiet = FurtherCode.COMPROMISED_ACCOUNT
    for zone in zones:
        shown = listed if zone.codes is None else zone.codes
        if quiet in shown and any(zone.shows(code) for code in Code):
            raise ConfigError(
                f"zone {zone.name}: mail servers block what it lists, and 127.0.0.{quiet.value} must not be blocked; "
                "show it in a zone of its own, and name the codes of this one"
            )


def reasons_of(texts: Mapping[Code, str], further: Mapping[FurtherCode, str]) -> list[Reason]:
    """Return the reasons in the order of their places."""
    return [
        *(Reason(code, texts[code]) for code in Code),
        *(Reason(code, further[code]) for code in FurtherCode),
        *(Reason(code, TEST_TEXT if code < NAME_CODES else NAME_TEST_TEXT) for code in _CODES),
        Reason(EXCLUDED, ""),
    ]


def rows_of(standings: Mapping[Target, Standing]) -> list[_FlatRow]:
    """Return the rows of some targets; of each the exclusion first, whose code is the lowest."""
    return [
        (target.key, target.prefix, *row)
        for target, standing in standings.items()
        for row in standing
        if row is not None
    ]


def _test_addresses(zones: Iterable[Zone], until: int) -> Iterable[_FlatRow]:
    return ((key, 32, _TEST_PLACE[code], until) for key, code in testentries.addresses(zones))


def _test_names(zones: Iterable[Zone], until: int, *, has_names: bool) -> Iterable[_NameRow]:
    found = testentries.names(zones, has_names=has_names)
    return ((name, False, _TEST_PLACE[code], until) for name, code in found)


def columns_of(rows: Sequence[_FlatRow]) -> Rows:
    """Return rows as columns, in order of their targets."""
    table = np.array(rows, np.uint64).reshape(-1, 4)
    table = table[np.lexsort((table[:, 1], table[:, 0]))]
    return Rows(table[:, 0], table[:, 1].astype(np.uint8), table[:, 2].astype(np.uint32), table[:, 3].astype(np.int64))


def _name_columns(rows: list[_NameRow]) -> NameRows:
    return NameRows(
        [row[0] for row in rows],
        np.array([row[1] for row in rows], np.bool_),
        np.array([row[2] for row in rows], np.uint32),
        np.array([row[3] for row in rows], np.int64),
    )
