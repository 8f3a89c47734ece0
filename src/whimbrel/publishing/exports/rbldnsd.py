"""Data files of rbldnsd: `ip4set`, `ip4trie`, `ip6trie`, and `dnset` for the same addresses as names, and for names.

What rbldnsd does was asked of it (1.0 pre-release, Debian 12), for its manual leaves some of it open:

- `ip4set` answers with *every* entry of the same size class (address, /24, /16, /8), so entries must not overlap here;
  the tries and `dnset` answer with the most specific one.
- `$` in a text is the address asked for in the first three, but in `dnset` it is the *name* that is listed.
- `$TIMESTAMP` is in UTC; after its second time rbldnsd does not answer from the file any more.
- IPv4 addresses in IPv6's clothes are found in the IPv4 files, but not by `dnset`.
- `!` before an entry excludes it from wider ones in the tries and in `dnset`, not what is narrower than it; of
  `ip4set`, where sizes matter again, we leave out what is excluded.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import numpy as np

from whimbrel.publishing.exports.content import (
    Content,
    address,
    answer,
    chosen,
    one_by_one,
    parts,
    target,
)
from whimbrel.publishing.exports.names import spelled_out
from whimbrel.publishing.exports.rows import Range, disjoint, ranges
from whimbrel.wire import lifetimes
from whimbrel.wire.snapshot.encoder import HOST_BITS, Rows

_LOCALHOST = 0x7F000001  # never listed (RFC 5782, section 5), nor where the file is served together with others
_LABEL_BITS = {4: 8, 6: 4}
_LABELS = {4: 4, 6: 32}


def ip4set(content: Content) -> Iterator[str]:
    """Yield the lines of an `ip4set` file: ranges that do not overlap."""
    yield from _head(content)
    yield f"!{address(4, _LOCALHOST)}"
    pieces = np.concatenate((ranges(content.tests, HOST_BITS[4]), ranges(content.ipv4, HOST_BITS[4])))
    pieces = pieces[content.listed(pieces["reason"])]
    order = np.lexsort((pieces["first"], pieces["until"], pieces["reason"]))
    yield from _under_texts(content, (_ranged(*piece) for piece in parts(pieces[order])))


def ip4trie(content: Content) -> Iterator[str]:
    """Yield the lines of an `ip4trie` file: addresses and networks."""
    yield from _head(content)
    yield f"!{address(4, _LOCALHOST)}"
    yield from _trie(content, 4, content.tests)
    yield from _trie(content, 4, content.ipv4)


def ip6trie(content: Content) -> Iterator[str]:
    """Yield the lines of an `ip6trie` file: networks of /64 and wider."""
    yield from _head(content)
    yield from _trie(content, 6, content.ipv6)


def dnset(content: Content) -> Iterator[str]:
    """Yield the lines of a `dnset` file: each address as its reversed name, networks as wildcards; and names."""
    yield from _head(content)
    yield f"!{_reversed(4, _LOCALHOST, _LABELS[4])}"
    for family, rows in ((4, content.tests), *content.families):
        # No name may be there twice; of names of unlike length the longest wins, as the narrower network does.
        labels = -(-rows.prefix.astype(np.int64) // _LABEL_BITS[family])
        for count in np.unique(labels).tolist():
            for piece in disjoint(chosen(rows, labels == count), HOST_BITS[family]):
                yield from _named(content, family, count, piece)
    for written, name in spelled_out([*content.name_tests, *content.names]):
        if content.excludes(name.reason):
            yield f"!{written}"
        else:
            yield f"{written} {_value(content, name.reason, name.until, name.name)}"


def _head(content: Content) -> Iterator[str]:
    zone = content.zone
    timers = (
        f"{lifetimes.REFRESH_SECONDS} {lifetimes.RETRY_SECONDS} {lifetimes.EXPIRE_SECONDS} {lifetimes.NEGATIVE_SECONDS}"
    )
    yield f"# Whimbrel: {content.about()}"
    yield f"$SOA {lifetimes.POSITIVE_SECONDS} {zone.servers[0]} {zone.mailbox} {content.serial} {timers}"
    yield f"$NS {lifetimes.POSITIVE_SECONDS} {' '.join(zone.servers)}"
    yield f"$TTL {lifetimes.POSITIVE_SECONDS}"
    yield f"$TIMESTAMP {_stamp(content.born)} {_stamp(content.expires)}"


def _stamp(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y:%m:%d:%H:%M:%S")


def _trie(content: Content, family: int, rows: Rows) -> Iterator[str]:
    listed = content.listed(rows.reason)
    for row in one_by_one(chosen(rows, ~listed)):
        yield f"!{target(family, *row[:2])}"
    rows = chosen(rows, listed)
    ordered = chosen(rows, np.lexsort((rows.prefix, rows.key, rows.until, rows.reason)))
    yield from _under_texts(content, ((target(family, *row[:2]), row[2], row[3]) for row in one_by_one(ordered)))


def _ranged(first: int, last: int, reason: int, until: int) -> tuple[str, int, int]:
    written = address(4, first)
    return (written if first == last else f"{written}-{address(4, last)}"), reason, until


def _under_texts(content: Content, entries: Iterable[tuple[str, int, int]]) -> Iterator[str]:
    """Yield entries, each text once above all that share it."""
    above = ""
    for entry, reason, until in entries:
        value = _value(content, reason, until, "{address}")
        if value != above:
            yield value
            above = value
        yield entry


def _value(content: Content, reason: int, until: int, written: str) -> str:
    """Return an A value and a text as rbldnsd writes them; where `written` is `{address}`, it fills in the address."""
    entry = content.entry(reason, until)
    text = entry.reason(written).replace("$", "$$").replace("{address}", "$")
    return f":{answer(entry.code)}:{text}"


def _named(content: Content, family: int, labels: int, piece: Range) -> Iterator[str]:
    """Yield a name for each network (or address) of so many labels in a range."""
    prefix = labels * _LABEL_BITS[family]
    wildcard = "" if labels == _LABELS[family] else "*."
    for key in range(piece.first, piece.last + 1, 1 << (HOST_BITS[family] - prefix)):
        name = f"{wildcard}{_reversed(family, key, labels)}"
        if content.excludes(piece.reason):
            yield f"!{name}"
        else:
            yield f"{name} {_value(content, piece.reason, piece.until, target(family, key, prefix))}"


def _reversed(family: int, key: int, labels: int) -> str:
    """Return the first labels of an address as a name, the last of them in front."""
    bits, label = HOST_BITS[family], _LABEL_BITS[family]
    digits = (key >> (bits - label * place) & ((1 << label) - 1) for place in range(labels, 0, -1))
    return ".".join(f"{digit:x}" if family == 6 else str(digit) for digit in digits)
