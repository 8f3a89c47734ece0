"""Campaigns that grow: the rows of `reference.cluster_all`, kept up to date by batches.

Three groups of columns are held, all in canonical order of messages, so that equal sets of messages give equal columns
however they came:

- *messages*: time, id, ham or not, shape, text; `root`, the row of the campaign's earliest member; `bases`, the kinds
  of joining key that the message holds, one bit each (none: it is in no campaign);
- *postings*: key, row, and whether the key joins; sorted by key.

A batch touches the keys of its messages.  Only for these are holders counted again and the rule of `joining.py`
asked; only components which hold a touched key that joins now or joined before are taken apart and joined anew.  A
key that turns into a hub so splits what it had joined, and a key that ceases to be one joins again.

Memory: 50 bytes a message and 13 a posting, which comes to 0.26 kB a message (most of its 16 postings are pairs of
bands), and several times that while a batch as large as the index itself is merged.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whimbrel.analysis.campaigns.components import component_roots
from whimbrel.analysis.campaigns.joining import UNLIKE_MAX, joins
from whimbrel.analysis.campaigns.keys import (
    BASES,
    UNDATED,
    Messages,
    Postings,
    ids_of,
    kind_of,
    read_facts,
)
from whimbrel.analysis.campaigns.sorted_columns import (
    Flags,
    Rows,
    ascending,
    distinct,
    each_once,
    held_again,
    instants,
    merged_order,
    names_of,
    ranges,
    row_order,
)
from whimbrel.model.columns import INSTANT, MEMBERSHIP

# The lowest bit set names the basis: the most specific kind comes first (`keys.Kind`).
_BASIS_OF_BITS = np.array([-1, 0, 1, 0, 2, 0, 1, 0], dtype=np.int8)

MESSAGES = pa.schema(
    [
        pa.field("message_id", pa.binary(16), nullable=False),
        pa.field("seen_at", INSTANT),
        pa.field("is_ham", pa.bool_(), nullable=False),
        pa.field("shape", pa.uint64(), nullable=False),
        pa.field("text", pa.uint64(), nullable=False),
        pa.field("root", pa.int32(), nullable=False),
        pa.field("bases", pa.uint8(), nullable=False),
    ]
)
KEYS = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),
        pa.field("joins", pa.bool_(), nullable=False),
    ]
)


class Changes(NamedTuple):
    """What a batch changed: the rows of membership that are new or different, and who is in a campaign no more.

    `members` has the columns of `MEMBERSHIP`, `left` holds message ids, `campaigns` the names (old and new) whose
    membership is not what it was; all in ascending order, members in (seen_at, message id) order.
    """

    members: pa.Table
    left: pa.Array
    campaigns: pa.Array


class _Before(NamedTuple):
    """Membership as it was, by the new rows: times, names and bits (0: in no campaign)."""

    seen_us: NDArray[np.int64]
    name: NDArray[np.uint64]
    bases: NDArray[np.uint8]


class CampaignIndex:
    """All messages, their keys and their campaigns; empty to begin with."""

    def __init__(self) -> None:
        self._messages = Messages.none()
        self._root: Rows = np.empty(0, np.int64)
        self._bases: NDArray[np.uint8] = np.empty(0, np.uint8)
        self._postings = Postings(np.empty(0, np.uint64), np.empty(0, np.int32))
        self._joins: Flags = np.empty(0, np.bool_)

    def __len__(self) -> int:
        """Return how many messages are held."""
        return int(self._root.size)

    def update(self, new: pa.Table) -> Changes:
        """Take in rows of `FACTS` and return what changed.

        A message that is held already is replaced by its new row (a corrected time or label), as if the old one had
        never been.
        """
        messages, postings = read_facts(new)
        replaced = held_again(self._messages, messages)
        touched = each_once(np.r_[postings.key, self._postings.key[replaced[self._postings.row]]])
        was = self._joining_now(touched)
        stale = self._components_holding(touched[was])
        before, new_rows, moved = self._insert(messages, postings, replaced)
        now = self._judge(touched)
        affected = np.zeros(len(self), dtype=bool)
        affected[moved[stale & ~replaced]] = True
        affected[new_rows] = True
        # A key that joins from now on draws in the components of all its holders.
        affected |= self._components_holding(touched[now & ~was])
        self._join(affected)
        return self._changes(before, affected)

    def membership(self) -> pa.Table:
        """Return all members of campaigns, in (seen_at, message id) order."""
        return self._members(np.flatnonzero(self._bases))

    def to_tables(self) -> dict[str, pa.Table]:
        """Return the state as two tables, `messages` and `keys`: equal for equal sets of messages."""
        order = row_order(self._postings)
        messages = pa.Table.from_arrays(
            [
                ids_of(self._messages),
                instants(self._messages.seen_us),
                pa.array(self._messages.is_ham),
                pa.array(self._messages.shape),
                pa.array(self._messages.text),
                pa.array(self._root.astype(np.int32)),
                pa.array(self._bases),
            ],
            schema=MESSAGES,
        )
        keys = [self._postings.key[order], self._postings.row[order], self._joins[order]]
        return {"messages": messages, "keys": pa.Table.from_arrays([pa.array(column) for column in keys], schema=KEYS)}

    @classmethod
    def from_tables(cls, tables: dict[str, pa.Table]) -> "CampaignIndex":
        """Return the index that gave these tables; their rows must be in the order in which they were given."""
        index = cls()
        messages, keys = tables["messages"], tables["keys"]
        halves = (
            np.frombuffer(b"".join(messages["message_id"].to_pylist()), dtype=">u8").astype(np.uint64).reshape(-1, 2)
        )
        seen = messages["seen_at"].cast(pa.int64()).fill_null(int(UNDATED))
        index._messages = Messages(
            seen.to_numpy(),
            halves[:, 0].copy(),
            halves[:, 1].copy(),
            messages["is_ham"].to_numpy(),
            messages["shape"].to_numpy(),
            messages["text"].to_numpy(),
        )
        index._root = messages["root"].to_numpy().astype(np.int64)
        index._bases = messages["bases"].to_numpy()
        index._postings = Postings(keys["key"].to_numpy(), keys["row"].to_numpy())
        index._joins = keys["joins"].to_numpy()
        return index

    def _joining_now(self, touched: NDArray[np.uint64]) -> Flags:
        if self._joins.size == 0:
            return np.zeros(touched.size, dtype=bool)
        at = np.searchsorted(self._postings.key, touched)
        at_most = np.minimum(at, self._joins.size - 1)
        joining: Flags = (self._postings.key[at_most] == touched) & self._joins[at_most]
        return joining

    def _components_holding(self, keys: NDArray[np.uint64]) -> Flags:
        """Flag the messages of all components in which one of these keys is held."""
        flagged = np.zeros(len(self), dtype=bool)
        positions, _ = ranges(self._postings.key, keys)
        flagged[self._root[self._postings.row[positions]]] = True
        return flagged[self._root]

    def _insert(self, new: Messages, postings: Postings, replaced: Flags) -> tuple[_Before, Rows, Rows]:
        """Merge the batch in; return what was, the rows of the new messages, and where the kept ones moved to."""
        kept = ~replaced
        names = self._messages.id_high[self._root]
        together = self._messages.take(kept).followed_by(new)
        order = merged_order(together, int(kept.sum()))
        place = np.empty(order.size, dtype=np.int64)
        place[order] = np.arange(order.size)
        new_rows = place[int(kept.sum()) :]
        moved = np.full(len(self), -1, dtype=np.int64)
        moved[kept] = place[: int(kept.sum())]
        before = self._before(together, names, kept, order)
        self._carry_over(before, new, new_rows, replaced)
        self._merge_postings(postings, new_rows, moved)
        # A root that was replaced leaves its component without one; `update` joins that component anew.
        roots = np.arange(order.size)
        old_roots = moved[self._root[kept]]
        roots[moved[kept]] = np.where(old_roots >= 0, old_roots, moved[kept])
        bases = np.zeros(order.size, dtype=np.uint8)
        bases[moved[kept]] = self._bases[kept]
        self._messages, self._root, self._bases = together.take(order), roots, bases
        return before, new_rows, moved

    def _before(self, together: Messages, names: NDArray[np.uint64], kept: Flags, order: Rows) -> _Before:
        come = order.size - int(kept.sum())
        held_names = np.r_[names[kept], np.zeros(come, np.uint64)][order]
        held_bases = np.r_[self._bases[kept], np.zeros(come, np.uint8)][order]
        return _Before(together.seen_us[order], held_names, held_bases)

    def _carry_over(self, before: _Before, new: Messages, new_rows: Rows, replaced: Flags) -> None:
        """Give messages that replace themselves the membership that they had."""
        if not replaced.any():
            return
        held, names = self._messages, self._messages.id_high[self._root]
        row_of = dict(zip(zip(new.id_high.tolist(), new.id_low.tolist(), strict=True), new_rows.tolist(), strict=True))
        for old in np.flatnonzero(replaced).tolist():
            row = row_of[int(held.id_high[old]), int(held.id_low[old])]
            before.seen_us[row] = held.seen_us[old]
            before.name[row] = names[old]
            before.bases[row] = self._bases[old]

    def _merge_postings(self, new: Postings, new_rows: Rows, moved: Rows) -> None:
        row = moved[self._postings.row]
        kept = row >= 0
        key, row, joining = self._postings.key[kept], row[kept].astype(np.int32), self._joins[kept]
        at = np.searchsorted(key, new.key)
        self._postings = Postings(np.insert(key, at, new.key), np.insert(row, at, new_rows[new.row].astype(np.int32)))
        self._joins = np.insert(joining, at, np.zeros(at.size, dtype=bool))

    def _judge(self, touched: NDArray[np.uint64]) -> Flags:
        """Count the holders of the touched keys, ask which of them join, and keep the answers."""
        positions, sizes = ranges(self._postings.key, touched)
        group = np.repeat(np.arange(touched.size), sizes)
        rows = self._postings.row[positions]
        ham = np.bincount(group[self._messages.is_ham[rows]], minlength=touched.size)
        many = sizes[group] > UNLIKE_MAX  # fewer holders cannot be too unlike, and most keys have few
        shapes = distinct(group[many], self._messages.shape[rows[many]], touched.size)
        texts = distinct(group[many], self._messages.text[rows[many]], touched.size)
        now = joins(sizes, ham, shapes, texts)
        self._joins[positions] = np.repeat(now, sizes)
        return now

    def _join(self, affected: Flags) -> None:
        """Take the affected components apart and join them by the keys that join now."""
        rows = np.flatnonzero(affected)
        local = np.cumsum(affected) - 1
        wanted = self._joins & affected[self._postings.row]
        key, row = self._postings.key[wanted], self._postings.row[wanted]
        groups = np.cumsum(np.r_[False, key[1:] != key[:-1]]) if key.size else np.empty(0, np.int64)
        self._root[rows] = rows[component_roots(rows.size, groups, local[row])]
        bases = np.zeros(rows.size, dtype=np.uint8)
        np.bitwise_or.at(bases, local[row], (1 << kind_of(key)).astype(np.uint8))
        self._bases[rows] = bases

    def _changes(self, before: _Before, affected: Flags) -> Changes:
        rows = np.flatnonzero(affected)
        names, bases = self._messages.id_high[self._root[rows]], self._bases[rows]
        was_in, is_in = before.bases[rows] > 0, bases > 0
        renamed = names != before.name[rows]
        moved = (_BASIS_OF_BITS[bases] != _BASIS_OF_BITS[before.bases[rows]]) | (
            is_in & was_in & (renamed | (before.seen_us[rows] != self._messages.seen_us[rows]))
        )
        left = ids_of(self._messages.take(rows[moved & ~is_in]))
        touched = np.unique(np.r_[names[moved & is_in], before.name[rows][moved & was_in]])
        return Changes(self._members(rows[moved & is_in]), left.take(ascending(left)), names_of(touched))

    def _members(self, rows: Rows) -> pa.Table:
        messages = self._messages.take(rows)
        basis = pa.DictionaryArray.from_arrays(pa.array(_BASIS_OF_BITS[self._bases[rows]]), pa.array(BASES))
        return pa.Table.from_arrays(
            [
                ids_of(messages),
                instants(messages.seen_us),
                names_of(self._messages.id_high[self._root[rows]]),
                basis.cast(pa.string()),
            ],
            schema=MEMBERSHIP,
        )
