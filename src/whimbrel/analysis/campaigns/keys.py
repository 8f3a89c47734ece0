"""From rows of facts to columns of numbers: one row a message, one posting for each key that it holds.

A key is 64 bits: the XXH3 digest of the value, seeded with its kind, whose two lowest bits are the kind again, so
that no column of kinds is needed.  62 bits leave ten million keys a chance of 1e-5 of one accidental collision; a
made one (XXH3 is not keyed) gains a spammer only a larger campaign, and no campaign is listed. Texts are near
duplicates when they share *two* band keys of the signature, so that its pairs of bands are the keys (15 of 6 bands).
With 6 bands of 3 rows, texts of Jaccard similarity 0.3 (the same foot under another message) share one band in 15 %
of cases and two in 1 %, those of 0.9 in all and in 99 %: on the shipped spam, pairs keep 97 % of the members and part
campaigns that single bands had chained by their feet.  A text too short for a signature has no key.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numpy.typing import NDArray

from whimbrel.analysis.campaigns.hubs import is_hub

UNDATED = np.iinfo(np.int64).max  # microseconds; sorts messages without `seen_at` after all others
_KIND_BITS = np.uint64(3)
_PAIR_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: the odd multiplier of Fibonacci hashing (Knuth 6.4)
_COLUMNS = [
    "message_id",
    "seen_at",
    "label",
    "url_domains",
    "attachment_sha256s",
    "signature",
    "mime_skeleton",
    "header_skeleton",
]


class Kind(IntEnum):
    """The kinds of key, the most specific first: this is also the order in which a basis is named."""

    ATTACHMENT = 0
    TEXT = 1
    URL = 2


BASES = ("attachment", "text", "url")  # model.observation.CampaignBasis, by Kind


class Messages(NamedTuple):
    """Columns of messages, in one order: (seen_at, message id), undated last.  Ids are two big-endian halves."""

    seen_us: NDArray[np.int64]
    id_high: NDArray[np.uint64]
    id_low: NDArray[np.uint64]
    is_ham: NDArray[np.bool_]
    shape: NDArray[np.uint64]  # digest of header and MIME skeleton
    text: NDArray[np.uint64]  # first key of the signature; 0 where there is none

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "Messages":
        """Return these rows, in the order given."""
        return Messages(
            self.seen_us[rows],
            self.id_high[rows],
            self.id_low[rows],
            self.is_ham[rows],
            self.shape[rows],
            self.text[rows],
        )

    def followed_by(self, others: "Messages") -> "Messages":
        """Return these rows, then the others'."""
        return Messages(
            np.concatenate((self.seen_us, others.seen_us)),
            np.concatenate((self.id_high, others.id_high)),
            np.concatenate((self.id_low, others.id_low)),
            np.concatenate((self.is_ham, others.is_ham)),
            np.concatenate((self.shape, others.shape)),
            np.concatenate((self.text, others.text)),
        )

    @classmethod
    def none(cls) -> "Messages":
        """Return columns without rows."""
        number = np.empty(0, np.uint64)
        return cls(np.empty(0, np.int64), number, number, np.empty(0, np.bool_), number, number)


class Postings(NamedTuple):
    """Which message holds which key; sorted by key."""

    key: NDArray[np.uint64]
    row: NDArray[np.int32]


def read_facts(facts: pa.Table) -> tuple[Messages, Postings]:
    """Return the messages of `facts` in their order and the postings of all keys but hubs.

    Of rows with the same message id the last one counts.
    """
    facts = _last_of_each(facts.select(_COLUMNS)).combine_chunks()
    messages = _messages(facts)
    order = canonical_order(messages)
    place = np.empty(order.size, dtype=np.int32)
    place[order] = np.arange(order.size, dtype=np.int32)
    parts = [
        _from_strings(facts["attachment_sha256s"], Kind.ATTACHMENT),
        _from_signatures(facts["signature"]),
        _from_strings(facts["url_domains"], Kind.URL),
    ]
    key = np.concatenate([part.key for part in parts])
    row = place[np.concatenate([part.row for part in parts])]
    by_key = np.lexsort((row, key))
    key, row = key[by_key], row[by_key]
    first = np.ones(key.size, dtype=bool)  # a key that a message holds twice is held once
    first[1:] = (key[1:] != key[:-1]) | (row[1:] != row[:-1])
    return messages.take(order), Postings(key[first], row[first])


def canonical_order(messages: Messages) -> NDArray[np.int64]:
    """Return the rows in (seen_at, message id) order."""
    return np.lexsort((messages.id_low, messages.id_high, messages.seen_us))


def ids_of(messages: Messages) -> pa.Array:
    """Return the message ids as binary(16)."""
    halves = np.column_stack((messages.id_high, messages.id_low)).astype(">u8")
    return pa.Array.from_buffers(pa.binary(16), len(halves), [None, pa.py_buffer(halves.tobytes())])


def kind_of(key: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Return the kind of each key (a `Kind`)."""
    return (key & _KIND_BITS).astype(np.uint8)


def _last_of_each(facts: pa.Table) -> pa.Table:
    ids = facts["message_id"]
    if pc.count_distinct(ids).as_py() == facts.num_rows:
        return facts
    last = {message_id: row for row, message_id in enumerate(ids.to_pylist())}
    return facts.take(pa.array(sorted(last.values()), pa.int64()))


def _messages(facts: pa.Table) -> Messages:
    raw = b"".join(facts["message_id"].to_pylist())
    halves = np.frombuffer(raw, dtype=">u8").astype(np.uint64).reshape(-1, 2)
    seen = pc.fill_null(pc.cast(facts["seen_at"], pa.int64()), int(UNDATED))
    header = _digests(facts["header_skeleton"], seed=0)
    mime = _digests(facts["mime_skeleton"], seed=1)
    return Messages(
        seen_us=seen.to_numpy(),
        id_high=halves[:, 0].copy(),
        id_low=halves[:, 1].copy(),
        is_ham=pc.equal(facts["label"], "ham").to_numpy(),
        shape=_mixed(header, mime),
        text=_first_bands(facts["signature"]),
    )


def _first_bands(signatures: pa.ChunkedArray) -> NDArray[np.uint64]:
    rows = pc.list_parent_indices(signatures).to_numpy()
    first = np.ones(rows.size, dtype=bool)
    first[1:] = rows[1:] != rows[:-1]
    text = np.zeros(len(signatures), dtype=np.uint64)
    text[rows[first]] = pc.list_flatten(signatures).to_numpy()[first]
    return text


def _digests(column: pa.ChunkedArray, seed: int) -> NDArray[np.uint64]:
    """Digest each text once, however often it stands in the column; null counts as the empty text."""
    encoded = pc.fill_null(column, "").combine_chunks().dictionary_encode()
    digests = _xxh3(encoded.dictionary.to_pylist(), seed)
    codes: NDArray[np.int32] = encoded.indices.to_numpy(zero_copy_only=False)
    return digests[codes]


def _xxh3(texts: Iterable[str], seed: int) -> NDArray[np.uint64]:
    digest = xxhash.xxh3_64_intdigest
    return np.fromiter((digest(text.encode(), seed) for text in texts), dtype=np.uint64)


def _from_strings(column: pa.ChunkedArray, kind: Kind) -> Postings:
    rows = pc.list_parent_indices(column).to_numpy()
    encoded = pc.list_flatten(column).combine_chunks().dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    keys = _with_kind(_xxh3(texts, kind), kind)
    wanted = np.fromiter((not (kind is Kind.URL and is_hub(text)) for text in texts), dtype=bool, count=len(texts))
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    kept = wanted[codes]
    return Postings(keys[codes[kept]], rows[kept].astype(np.int32))


def _from_signatures(column: pa.ChunkedArray) -> Postings:
    """Return a key for each pair of band keys of each signature (see the essay)."""
    bands = pc.list_flatten(column).to_numpy()
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
    starts = np.cumsum(lengths) - lengths
    keys, rows = [np.empty(0, np.uint64)], [np.empty(0, np.int32)]
    for length in np.unique(lengths[lengths >= 2]).tolist():
        holders = np.flatnonzero(lengths == length)
        one, other = np.triu_indices(length, k=1)
        at = starts[holders][:, None]
        keys.append(_mixed(bands[at + one], bands[at + other]).ravel())
        rows.append(np.repeat(holders, one.size).astype(np.int32))
    return Postings(_with_kind(np.concatenate(keys), Kind.TEXT), np.concatenate(rows))


def _mixed(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return a digest of each pair; values that differ in their highest bits alone must not meet either."""
    mixed = one * _PAIR_MIX
    mixed = ((mixed ^ (mixed >> np.uint64(32))) + other) * _PAIR_MIX
    return mixed ^ (mixed >> np.uint64(29))


def _with_kind(digests: NDArray[np.uint64], kind: Kind) -> NDArray[np.uint64]:
    return (digests & ~_KIND_BITS) | np.uint64(kind)
