"""One made-up list for every server: as a snapshot, as rbldnsd's text, as a zone file; and the queries about it.

An IPv4 list has 60 % of its hosts in a fifth of the /16s and the rest anywhere, as infected hosts crowd in some
networks; the lower half of the space has code 2, the upper half code 4.  An IPv6 list has /64s in 20,000 /32s, all of
code 2.  Ends are spread over seven days.  Half of the queries are hits; the misses are of the same ranges.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whimbrel.wire.snapshot import Zone
from whimbrel.wire.snapshot.encoder import Reason, encode
from whimbrel.wire.snapshot.rows import Rows, no_rows

ZONE = "bl.test"
QUERIES = 100_000  # what load.c holds, and more than any server's caches of answers
_WEEK_SECONDS = 7 * 86400
_SHORTEST_SECONDS = 3600  # so that all entries last for the run, with the longest time to live
_TEXT = "listed"
_CHUNK = 100_000
_UPPER_HALF = 1 << 31

Numbers = NDArray[np.uint64]


class MadeList(NamedTuple):
    """The files of a list of one family."""

    family: int
    entries: int
    folder: Path

    @property
    def snapshot(self) -> Path:
        """Where the snapshot lies."""
        return self.folder / "list.snapshot"

    @property
    def queries(self) -> Path:
        """Where the names to ask lie, one a line, without the zone."""
        return self.folder / "queries"

    @property
    def sorted_text(self) -> Path:
        """Where rbldnsd's data set lies, in ascending order."""
        return self.folder / "sorted"

    @property
    def shuffled_text(self) -> Path:
        """Where the same lines lie in any order."""
        return self.folder / "shuffled"

    @property
    def zone_file(self) -> Path:
        """Where the master file (RFC 1035, section 5) lies, for servers of any zone."""
        return self.folder / "zone"


def make(family: int, entries: int, folder: Path, *, zone_file: bool) -> MadeList:
    """Write a list of `entries` entries; the zone file only if wanted, for it is long."""
    made = MadeList(family, entries, folder)
    chance = np.random.default_rng(entries + family)
    keys = (_addresses if family == 4 else _prefixes)(entries, chance)
    _write_snapshot(made, keys, chance)
    made.queries.write_text("".join(f"{name}\n" for name in _queries(family, keys, chance)), encoding="ascii")
    _write_text(made.sorted_text, family, keys)
    _write_text(made.shuffled_text, family, chance.permutation(keys))
    if zone_file:
        _write_zone_file(made.zone_file, family, keys)
    return made


def _addresses(count: int, chance: np.random.Generator) -> Numbers:
    crowded = chance.choice(65536, 65536 // 5, replace=False).astype(np.uint64)

    def draw(size: int) -> Numbers:
        near = chance.choice(crowded, size * 3 // 5) << np.uint64(16)
        near |= chance.integers(0, 65536, len(near), dtype=np.uint64)
        return np.concatenate((near, chance.integers(0, 1 << 32, size - len(near), dtype=np.uint64)))

    return _distinct(count, draw(count + count // 8 + 16), chance)


def _prefixes(count: int, chance: np.random.Generator) -> Numbers:
    """Return upper halves of IPv6 addresses in 2000::/3, what is given out of the space (RFC 4291, section 2.4)."""
    networks = (np.uint64(0x2000_0000) + chance.integers(0, 1 << 29, 20_000, dtype=np.uint64)) << np.uint64(32)
    size = count + count // 8 + 16
    drawn = chance.choice(networks, size) | chance.integers(0, 1 << 32, size, dtype=np.uint64)
    return _distinct(count, drawn, chance)


def _distinct(count: int, drawn: Numbers, chance: np.random.Generator) -> Numbers:
    found = np.unique(drawn)
    assert len(found) >= count, "too few distinct addresses were drawn"
    kept: Numbers = np.sort(chance.choice(found, count, replace=False))
    return kept


def _write_snapshot(made: MadeList, keys: Numbers, chance: np.random.Generator) -> None:
    now = int(time.time())
    upper = (keys >= _UPPER_HALF) if made.family == 4 else np.zeros(len(keys), np.bool_)
    rows = Rows(
        keys,
        np.full(len(keys), 32 if made.family == 4 else 64, np.uint8),
        upper.astype(np.uint32),
        now + chance.integers(_SHORTEST_SECONDS, _WEEK_SECONDS, len(keys)),
    )
    data = encode(
        zone=Zone(name=ZONE, servers=("localhost",), mailbox=f"hostmaster.{ZONE}"),
        serial=1,
        born=now,
        expires=now + _WEEK_SECONDS,
        reasons=[Reason(2, _TEXT), Reason(4, _TEXT)],
        ipv4=rows if made.family == 4 else no_rows(),
        ipv6=no_rows() if made.family == 4 else rows,
    )
    made.snapshot.write_bytes(data)


def _queries(family: int, keys: Numbers, chance: np.random.Generator) -> list[str]:
    hits = chance.choice(keys, QUERIES // 2)
    if family == 4:
        misses = chance.integers(0, 1 << 32, QUERIES, dtype=np.uint64)
    else:
        near = chance.choice(keys, QUERIES) & np.uint64(0xFFFFFFFF_00000000)
        misses = near | chance.integers(0, 1 << 32, QUERIES, dtype=np.uint64)
    misses = misses[~np.isin(misses, keys)][: QUERIES - len(hits)]
    asked = chance.permutation(np.concatenate((hits, misses))).tolist()
    if family == 4:
        return [_name4(key) for key in asked]
    hosts = chance.integers(0, 1 << 64, len(asked), dtype=np.uint64).tolist()
    return [f"{_nibbles(host)}.{_nibbles(key)}" for key, host in zip(asked, hosts, strict=True)]


def _name4(key: int) -> str:
    return f"{key & 255}.{key >> 8 & 255}.{key >> 16 & 255}.{key >> 24}"


def _nibbles(half: int) -> str:
    return ".".join(f"{half:016x}"[::-1])


def _write_text(path: Path, family: int, keys: Numbers) -> None:
    """Write rbldnsd's data set: of `ip4set`, or of `ip6tset` (rbldnsd(8)), whose entries all have one value."""
    head = f"$SOA 60 localhost hostmaster.{ZONE} 1 3600 600 86400 60\n$TTL 300\n:127.0.0.2:{_TEXT}\n"
    with path.open("w", encoding="ascii") as out:
        out.write(head)
        if family == 6:
            out.writelines(_text6(keys))
            return
        upper = keys >= _UPPER_HALF
        out.writelines(_text4(keys[~upper]))
        out.write(f":127.0.0.4:{_TEXT}\n")
        out.writelines(_text4(keys[upper]))


def _text4(keys: Numbers) -> Iterator[str]:
    for some in _chunks(keys):
        yield "".join(f"{key >> 24}.{key >> 16 & 255}.{key >> 8 & 255}.{key & 255}\n" for key in some)


def _text6(keys: Numbers) -> Iterator[str]:
    for some in _chunks(keys):
        yield "".join(f"{key >> 48:x}:{key >> 32 & 65535:x}:{key >> 16 & 65535:x}:{key & 65535:x}\n" for key in some)


def _write_zone_file(path: Path, family: int, keys: Numbers) -> None:
    """Write a master file; an IPv6 entry, which is of a whole /64, is a wildcard (RFC 4592)."""
    with path.open("w", encoding="ascii") as out:
        out.write(f"$ORIGIN {ZONE}.\n$TTL 300\n@ 60 SOA localhost. hostmaster.{ZONE}. 1 3600 600 86400 60\n")
        out.write("@ NS localhost.\n")
        for some in _chunks(keys):
            if family == 6:
                out.write("".join(f"*.{_nibbles(key)} A 127.0.0.2\n" for key in some))
            else:
                out.write("".join(f"{_name4(key)} A 127.0.0.{2 if key < _UPPER_HALF else 4}\n" for key in some))


def _chunks(keys: Numbers) -> Iterator[list[int]]:
    for first in range(0, len(keys), _CHUNK):
        yield keys[first : first + _CHUNK].tolist()
