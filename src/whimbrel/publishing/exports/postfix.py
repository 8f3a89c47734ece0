"""A CIDR table for Postfix's `check_client_access`.

Postfix tries such a table line by line and takes the first that fits: so the narrowest comes first, and entries stand
in `if` blocks of a /8 and a /16 (IPv6: /16 and /32), which it skips as a whole; a million lines would otherwise all be
tried for every client.
"""

from collections.abc import Iterator

import numpy as np

from whimbrel.publishing.exports.content import Content, chosen, one_by_one, target
from whimbrel.wire.snapshot.encoder import HOST_BITS
from whimbrel.wire.snapshot.rows import Rows

# Of the outer and the inner block; nothing wider than the outer one is ever published (see `publishing.building`).
_BLOCK_BITS = {4: (8, 16), 6: (16, 32)}
_BEHIND = np.uint64(1 << 32)  # above the number of any inner block

_Block = tuple[int, ...]


def cidr(content: Content) -> Iterator[str]:
    """Yield the lines of the table: a target, and REJECT with the reason, or DUNNO where it is excluded."""
    yield f"# Whimbrel: {content.about()}"
    for family, rows in content.families:
        block: _Block = ()
        for key, prefix, reason, until in one_by_one(_ordered(family, rows)):
            goal = _block(family, key, prefix)
            yield from _moved(family, block, goal)
            block = goal
            written = target(family, key, prefix)
            # DUNNO ends the table as if nothing had fitted.
            excluded = content.excludes(reason)
            yield f"{written} " + ("DUNNO" if excluded else f"REJECT {content.entry(reason, until).reason(written)}")
        yield from _moved(family, block, ())


def _block(family: int, key: int, prefix: int) -> _Block:
    """Return the numbers of the blocks that a row stands in: one, or two."""
    return tuple(key >> (HOST_BITS[family] - bits) for bits in _BLOCK_BITS[family] if bits <= prefix)


def _ordered(family: int, rows: Rows) -> Rows:
    """Return rows by outer block, then by inner block with what lies in none at the end, then narrowest first."""
    bits, (outer, inner) = HOST_BITS[family], _BLOCK_BITS[family]
    by_inner = np.where(rows.prefix >= inner, rows.key >> np.uint64(bits - inner), _BEHIND)
    by_outer = rows.key >> np.uint64(bits - outer)
    return chosen(rows, np.lexsort((rows.key, -rows.prefix.astype(np.int64), by_inner, by_outer)))


def _moved(family: int, block: _Block, goal: _Block) -> Iterator[str]:
    """Yield the lines that end the blocks of one row and begin those of the next."""
    shared = 0
    while shared < min(len(block), len(goal)) and block[shared] == goal[shared]:
        shared += 1
    yield from ["endif"] * (len(block) - shared)
    for number, bits in list(zip(goal, _BLOCK_BITS[family], strict=False))[shared:]:
        yield f"if {target(family, number << (HOST_BITS[family] - bits), bits)}"
