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

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain

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
from whimbrel.wire.snapshot.encoder import HOST_BITS
from whimbrel.wire.snapshot.rows import Rows

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
        yield from _reversed_names(content, family, rows)
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


def _reversed_names(content: Content, family: int, rows: Rows) -> Iterator[str]:
    """Yield a name for each address, and wildcards for networks: of as many labels as their prefix needs.

    No name may be there twice; of names of unlike length the longest wins, as the narrower network does.  A wildcard of
    one-digit octets would list names of IPv6 as well (`*.0.0.2`, of 2.0.0.0/24, is the end of every name of 2001::/16),
    so such a network is handed down to longer names.
    """
    labels = -(-rows.prefix.astype(np.int64) // _LABEL_BITS[family])
    handed_down: list[Range] = []
    for count in range(1, HOST_BITS[family] // _LABEL_BITS[family] + 1):
        own: Iterable[Range] = disjoint(chosen(rows, labels == count), HOST_BITS[family])
        networks = _networks(family, count, own)
        if handed_down:
            own = list(own)
            networks = chain(_networks(family, count, own), _beside(own, _networks(family, count, handed_down)))
        handed_down = []
        for network in networks:
            if _is_of_both(family, network.first, count):
                handed_down.append(network)
            else:
                yield _named(content, family, count, network)


def _beside(pieces: list[Range], networks: Iterable[Range]) -> Iterator[Range]:
    """Yield those networks that lie in none of the pieces, which are narrower and say themselves what they are."""
    pieces = sorted(pieces)
    firsts = [piece.first for piece in pieces]
    for network in networks:
        before = bisect_right(firsts, network.first) - 1
        if before < 0 or pieces[before].last < network.first:
            yield network


def _networks(family: int, labels: int, pieces: Iterable[Range]) -> Iterator[Range]:
    """Yield the networks (or addresses) of so many labels in ranges."""
    step = 1 << (HOST_BITS[family] - labels * _LABEL_BITS[family])
    for piece in pieces:
        for key in range(piece.first, piece.last + 1, step):
            yield piece._replace(first=key, last=key + step - 1)


def _is_of_both(family: int, key: int, labels: int) -> bool:
    """Tell whether a network's wildcard would be one of IPv6, too."""
    if family == 6 or labels == _LABELS[4]:
        return False
    return all(key >> HOST_BITS[4] - 8 * place & 0xFF <= 9 for place in range(1, labels + 1))


def _named(content: Content, family: int, labels: int, network: Range) -> str:
    """Return the line of a network, or an address, of so many labels."""
    prefix = labels * _LABEL_BITS[family]
    name = ("" if labels == _LABELS[family] else "*.") + _reversed(family, network.first, labels)
    if content.excludes(network.reason):
        return f"!{name}"
    return f"{name} {_value(content, network.reason, network.until, target(family, network.first, prefix))}"


def _reversed(family: int, key: int, labels: int) -> str:
    """Return the first labels of an address as a name, the last of them in front."""
    bits, label = HOST_BITS[family], _LABEL_BITS[family]
    digits = (key >> (bits - label * place) & ((1 << label) - 1) for place in range(labels, 0, -1))
    return ".".join(f"{digit:x}" if family == 6 else str(digit) for digit in digits)
