"""AS and prefix tables from an operator's file: text of several kinds, or MMDB, told apart by content.

A line of text names addresses and, where it is known, their AS; further fields (country, name) are not read:

    192.0.2.0/24 64500                      a prefix and its AS (`AS64500` too; separated by blanks, tabs or commas)
    192.0.2.0,192.0.2.255,64500,ZZ,NAME     first and last address (iptoasn.com)
    192.0.2.0	24	64500                   address and length (CAIDA's prefix-to-AS files)
    2001:db8:4000::/36                      a prefix alone: hosts of it belong together, whoever announces it

Where lines lie within each other the narrowest holds, whatever their order.  AS 0 says that nobody announces the
addresses (RFC 7607): nothing is known of them.  Of several AS (`64500_64501`) the first counts.
"""

import re
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from whimbrel.errors import ConfigError
from whimbrel.lookups import mmdb
from whimbrel.lookups.lines import Lines, read_lines, shown
from whimbrel.lookups.ranges import (
    NETWORKS,
    CrossedError,
    Keys,
    Laid,
    Range,
    address_range,
    keys,
    lay_out,
    prefix_range,
)

_LARGEST_AS = (1 << 32) - 1  # four octets (RFC 6793)
_AS = re.compile(r"(?:AS)?([0-9]{1,10})((?:[_,](?:AS)?[0-9]{1,10})*)", re.IGNORECASE | re.ASCII)


class NetworkTable(Protocol):
    """A table that was opened: a digest of its content, and what is to be said of it."""

    @property
    def digest(self) -> str:
        """Return a digest of what the file says."""

    @property
    def notes(self) -> list[str]:
        """Return what is to be said of the file, a clause each."""

    def look_up(self, hosts: pa.Array) -> pa.Table:
        """Return a row of `NETWORKS` for each of the hosts (canonical texts, each once) of which something is known."""


def open_table(path: Path) -> NetworkTable:
    """Open a table, whichever kind it is; raises ConfigError, with the line, where it is none."""
    if mmdb.is_mmdb(path):
        return mmdb.MmdbTable(path)
    return TextTable(read_lines(path))


class _Entry(NamedTuple):
    """A line: its number, its hosts, and its AS (0: nobody; None: not said)."""

    line: int
    hosts: Range
    asn: int | None


class TextTable:
    """A table of lines; made of a file that was read, it raises ConfigError at the first line that makes no sense."""

    def __init__(self, lines: Lines) -> None:
        self.digest = lines.digest
        self._several = self._narrow = 0
        found: dict[Range, _Entry] = {}
        read = 0
        for number, fields in lines.fields():
            entry, read = self._entry(lines, number, fields), read + 1
            if entry is None:
                self._narrow += 1
            elif (before := found.setdefault(entry.hosts, entry)).asn != entry.asn:
                raise lines.problem(
                    number, f"{entry.hosts} has another AS on line {before.line}; leave one of them out"
                )
        if not read:
            raise ConfigError(f"{lines.path}: holds no line of a table; write lines such as `192.0.2.0/24 64500`")
        self._twice = read - self._narrow - len(found)
        self._entries = {version: [e for e in found.values() if e.hosts.version == version] for version in (4, 6)}
        self._laid = {version: _laid(lines, entries) for version, entries in self._entries.items()}

    @property
    def notes(self) -> list[str]:
        """Return what is to be said of the file, a clause each."""
        inner = sum(len(entries) for entries in self._entries.values())
        counted = [
            (self._twice, "given twice"),
            (self._several, "with several AS, of which the first counts"),
            (self._narrow, "narrower than a host (/64), left out"),
        ]
        return [f"{inner:,} networks", *(f"{count:,} {what}" for count, what in counted if count)]

    def look_up(self, hosts: pa.Array) -> pa.Table:
        """Return a row of `NETWORKS` for each of the hosts of which something is known."""
        ipv6, numbers = keys(hosts.to_pylist())
        parts = [
            self._look_up(version, hosts.filter(pa.array(of)), numbers[of]) for version, of in ((4, ~ipv6), (6, ipv6))
        ]
        return pa.concat_tables(parts)

    def _look_up(self, version: int, hosts: pa.Array, numbers: Keys) -> pa.Table:
        entries = self._entries[version]
        places = self._laid[version].find(numbers)
        # Each network that is met is written once.
        met, back = np.unique(places, return_inverse=True)
        rows = [entries[place] if place >= 0 else None for place in met.tolist()]
        known = np.array([row is not None and row.asn != 0 for row in rows], dtype=bool)[back]
        told = pa.array(back[known])
        asns = pa.array([row.asn if row is not None else None for row in rows], pa.int64())
        prefixes = pa.array([str(row.hosts) if row is not None else None for row in rows], pa.string())
        columns = [hosts.filter(pa.array(known)), asns.take(told), prefixes.take(told)]
        return pa.Table.from_arrays(columns, schema=NETWORKS)

    def _entry(self, lines: Lines, number: int, fields: list[str]) -> _Entry | None:
        try:
            hosts, rest = _hosts(fields)
            asn, several = _asn(rest)
        except ValueError as error:
            raise lines.problem(number, str(error)) from None
        self._several += several
        return None if hosts is None else _Entry(number, hosts, asn)


def _hosts(fields: list[str]) -> tuple[Range | None, list[str]]:
    """Return what a line's first fields say, and the fields after these."""
    first, second, third = [*fields, "", ""][:3]
    address, slash, length = first.partition("/")
    if slash:
        return prefix_range(address, _length(length)), fields[1:]
    if ":" in second or second.count(".") == 3:
        return address_range(first, second), fields[2:]
    if third and len(second) <= 3 and second.isdecimal() and _AS.fullmatch(third):
        return prefix_range(first, _length(second)), fields[2:]
    return prefix_range(first, 128 if ":" in first else 32), fields[1:]


def _length(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 3):
        raise ValueError(f"{shown(text)} is no length of a prefix; write one as 192.0.2.0/24")
    return int(text)


def _asn(fields: list[str]) -> tuple[int | None, bool]:
    """Return the AS that the first of the fields names (None: none), and whether it names several."""
    text = fields[0].strip("{}") if fields else ""
    if text in {"", "-"}:
        return None, False
    found = _AS.fullmatch(text)
    if found is None or int(found[1]) > _LARGEST_AS:
        raise ValueError(f"{shown(text)} is no AS number; write one as 64500 or AS64500, from 0 to {_LARGEST_AS}")
    return int(found[1]), bool(found[2])


def _laid(lines: Lines, entries: list[_Entry]) -> Laid:
    try:
        return lay_out([entry.hosts for entry in entries])
    except CrossedError as crossed:
        one, other = sorted((entries[crossed.one], entries[crossed.other]))
        raise lines.problem(
            other.line,
            f"{other.hosts} overlaps {one.hosts} of line {one.line}, neither within the other; cut one of them",
        ) from None
