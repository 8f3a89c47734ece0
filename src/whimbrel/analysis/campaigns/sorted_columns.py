"""Steps on sorted columns that the index is made of: order, ranges, distinct counts, and the way back to Arrow."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whimbrel.analysis.campaigns.keys import UNDATED, Messages, Postings, canonical_order
from whimbrel.analysis.campaigns.naming import NAME_HEX_DIGITS
from whimbrel.model.columns import INSTANT

Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]


def ascending(ids: pa.Array) -> pa.Array:
    """Return the positions that put ids (binary) in ascending order."""
    listed = ids.to_pylist()
    return pa.array(sorted(range(len(listed)), key=listed.__getitem__), pa.int64())


def held_again(held: Messages, new: Messages) -> Flags:
    """Flag the held messages whose id stands in `new`."""
    flagged = np.isin(held.id_high, new.id_high)
    if flagged.any():
        rows = np.flatnonzero(flagged)
        ids = set(zip(new.id_high.tolist(), new.id_low.tolist(), strict=True))
        pairs = zip(held.id_high[rows].tolist(), held.id_low[rows].tolist(), strict=True)
        flagged[rows] = [pair in ids for pair in pairs]
    return flagged


def merged_order(together: Messages, held: int) -> Rows:
    """Return the canonical order of held rows followed by new ones, each in order already.

    A stable sort by time merges two runs in linear time; only times at which a new message stands are then ordered by
    id.
    """
    order = np.argsort(together.seen_us, kind="stable")
    seen = together.seen_us[order]
    run = np.cumsum(np.r_[False, seen[1:] != seen[:-1]]) if seen.size else np.empty(0, np.int64)
    has_new = np.zeros(int(run[-1]) + 1 if run.size else 0, dtype=bool)
    has_new[run[order >= held]] = True
    mixed = np.flatnonzero(has_new[run])
    within = order[mixed]
    order[mixed] = within[canonical_order(together.take(within))]
    return order


def ranges(sorted_keys: NDArray[np.uint64], keys: NDArray[np.uint64]) -> tuple[Rows, Rows]:
    """Return the positions of all postings of `keys` (in their order), and how many each key has."""
    start = np.searchsorted(sorted_keys, keys, side="left")
    sizes = np.searchsorted(sorted_keys, keys, side="right") - start
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if ends.size else 0
    return np.arange(total) + np.repeat(start - (ends - sizes), sizes), sizes


def row_order(postings: Postings) -> Rows:
    """Return the order by (key, row) of postings sorted by key; only keys whose rows are out of order are sorted."""
    order = np.arange(postings.key.size)
    same_key = postings.key[1:] == postings.key[:-1]
    run = np.cumsum(np.r_[True, ~same_key][: order.size]) - 1
    broken = np.zeros(int(run[-1]) + 1 if run.size else 0, dtype=bool)
    broken[run[1:][same_key & (postings.row[1:] < postings.row[:-1])]] = True
    mixed = np.flatnonzero(broken[run])
    order[mixed] = mixed[np.lexsort((postings.row[mixed], run[mixed]))]
    return order


def each_once(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the keys, ascending, each once: sorting runs takes a tenth of the time of hashing (`numpy.unique`)."""
    ordered = np.sort(keys, kind="stable")
    first = np.ones(ordered.size, dtype=bool)
    first[1:] = ordered[1:] != ordered[:-1]
    return ordered[first]


def distinct(group: Rows, values: NDArray[np.uint64], groups: int) -> Rows:
    """Count the distinct values of each group."""
    order = np.lexsort((values, group))
    group, values = group[order], values[order]
    first = np.ones(group.size, dtype=bool)
    first[1:] = (group[1:] != group[:-1]) | (values[1:] != values[:-1])
    return np.bincount(group[first], minlength=groups)


def instants(seen_us: NDArray[np.int64]) -> pa.Array:
    """Return microseconds as instants, null where undated."""
    return pa.array(seen_us, mask=seen_us == UNDATED).cast(INSTANT)


def names_of(id_high: NDArray[np.uint64]) -> pa.Array:
    """Return the campaign names that these first halves of ids give (as `naming.campaign_name`)."""
    return pa.array([f"C{value:0{NAME_HEX_DIGITS}x}" for value in id_high.tolist()], pa.string())
