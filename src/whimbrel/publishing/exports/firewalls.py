"""Sets for the Linux kernel: nftables and ipset, one set for each family and code, each element with its time to live.

A kernel's set says only "in" or "not in", so codes become sets; all of them are there, empty ones too, so that rules
can name them.  Reloading replaces what is in them in one step and leaves rules alone.
"""

from collections.abc import Iterator
from ipaddress import IPv6Address
from itertools import islice

import numpy as np

from whimbrel.model.listing import Code, FurtherCode
from whimbrel.publishing.exports.content import Content, address, parts, target
from whimbrel.publishing.exports.rows import nested, ranges
from whimbrel.wire.snapshot.encoder import HOST_BITS
from whimbrel.wire.snapshot.rows import Rows

TABLE = "whimbrel"
_NFT_TYPE = {4: "ipv4_addr", 6: "ipv6_addr"}
_LOWER_HALF = (1 << 64) - 1
_ELEMENTS = 1024  # in one command

_IPSET_FAMILY = {4: "inet", 6: "inet6"}
# A limit, not a size; it has to be the same for ever, for a set of another limit is not taken for the same set.
_IPSET_MOST = 16_777_216
_IPSET_LEAST_HASH = 1024  # what the kernel begins with by itself
# Of a timeout in seconds: the kernel counts milliseconds in 31 bits (ipset(8)); the list is loaded anew long before.
_IPSET_MOST_SECONDS = 2_147_483


def set_name(family: int, code: Code | FurtherCode) -> str:
    """Return the name of a set."""
    return f"ipv{family}_{code.value}"


def nftables(content: Content) -> Iterator[str]:
    """Yield a script for `nft -f`: table `inet whimbrel` with interval sets, filled anew in one transaction."""
    yield f"# Whimbrel: {content.about()}"
    yield f"add table inet {TABLE}"
    for family, _ in content.families:
        for code in content.codes:
            name = f"inet {TABLE} {set_name(family, code)}"
            yield f"add set {name} {{ type {_NFT_TYPE[family]}; flags interval, timeout; }}"
            yield f"flush set {name}"
    for family, rows in content.families:
        pieces = ranges(rows, HOST_BITS[family])
        for code in content.codes:
            ours = parts(pieces[content.with_code(pieces["reason"], code)])
            while part := list(islice(ours, _ELEMENTS)):
                yield f"add element inet {TABLE} {set_name(family, code)} {{"
                for first, last, _, until in part:
                    yield f"{_interval(family, first, last)} timeout {content.seconds_left(until)}s,"
                yield "}"


def _interval(family: int, first: int, last: int) -> str:
    written = address(family, first)
    if family == 6:
        return f"{written}-{IPv6Address(last << 64 | _LOWER_HALF)}"
    return written if first == last else f"{written}-{address(4, last)}"


def ipset(content: Content) -> Iterator[str]:
    """Yield a script for `ipset restore`: `hash:net` sets, filled beside the old ones and swapped.

    Where an entry of one code lies in a network of another, it is a `nomatch` there, with the same time to live: when
    it ends, the network's own entry holds again, as for a name server.  So is what is excluded, which is in no set.
    """
    yield f"# Whimbrel: {content.about()}"
    names = [(family, rows, code) for family, rows in content.families for code in content.codes]
    for family, rows, code in names:
        made = f"hash:net family {_IPSET_FAMILY[family]} maxelem {_IPSET_MOST} timeout 0"
        size = 1 << int(np.count_nonzero(content.with_code(rows.reason, code))).bit_length()
        name = f"{TABLE}_{set_name(family, code)}"
        yield f"create {name} {made} -exist"
        yield f"create {name}_new {made} hashsize {max(size, _IPSET_LEAST_HASH)} -exist"
        yield f"flush {name}_new"
    for family, rows in content.families:
        yield from _added(content, family, rows)
    for family, _, code in names:
        name = f"{TABLE}_{set_name(family, code)}"
        yield f"swap {name}_new {name}"
        yield f"destroy {name}_new"


def _added(content: Content, family: int, rows: Rows) -> Iterator[str]:
    names = {
        row: f"{TABLE}_{set_name(family, code)}_new"
        for row, reason in enumerate(content.reasons)
        for code in content.codes
        if code == reason.code
    }
    for (key, prefix, reason, until), covering in nested(rows, HOST_BITS[family]):
        seconds = min(content.seconds_left(until), _IPSET_MOST_SECONDS)
        added = f"{target(family, key, prefix)} timeout {seconds}"
        own = set() if content.excludes(reason) else {names[reason]}
        for name in own:
            yield f"add {name} {added}"
        around = {names[row[2]] for row in covering if not content.excludes(row[2])}
        for name in sorted(around - own):
            yield f"add {name} {added} nomatch"
