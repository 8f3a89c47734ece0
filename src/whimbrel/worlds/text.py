"""The same observations as text: one JSON object of Observation v1 a line (`docs/observation.md`).

Written column by column: each text of a dictionary becomes its piece of the line once (`,"sensor":"sensor-1"`), a null
becomes nothing, and the pieces are joined in Arrow.  That is some thirty times as fast as making objects first.
"""

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

_UNLESS_DEFAULT: Final = {"label": "unknown"}  # omitted where it is what a reader takes it to be
_NUMBERS: Final = ("asn", "count")


def to_lines(batch: pa.RecordBatch) -> bytes:
    """Return a batch of `rows.COLUMNS` as lines, each with its end; what is null or the default is left out."""
    if batch.num_rows == 0:
        return b""
    pieces = [_time(batch, "seen_at", '{"seen_at":"')]
    if not batch["learned_at"].equals(batch["seen_at"]):
        pieces.append(_time(batch, "learned_at", ',"learned_at":"'))
    pieces += [
        _number(name, batch[name]) if name in _NUMBERS else _coded(name, batch[name]) for name in batch.schema.names[2:]
    ]
    lines = pc.binary_join_element_wise(*pieces, "}\n", "")
    return _octets(lines)


def _time(batch: pa.RecordBatch, name: str, before: str) -> pa.Array:
    # As RFC 3339 in whole milliseconds: Arrow writes `2003-08-18 00:00:00.000Z`.
    written = pc.replace_substring(batch[name].cast(pa.timestamp("ms", tz="UTC")).cast(pa.string()), " ", "T")
    return pc.binary_join_element_wise(before, written, '"', "")


def _coded(name: str, column: pa.DictionaryArray) -> pa.Array:
    # No text of a world needs an escape: names are ours, and addresses are digits.
    texts = column.dictionary
    pieces = pc.binary_join_element_wise(f',"{name}":"', texts, '"', "")
    if name in _UNLESS_DEFAULT:
        pieces = pc.if_else(pc.equal(texts, _UNLESS_DEFAULT[name]), "", pieces)
    return pc.fill_null(pieces.take(column.indices), "")


def _number(name: str, column: pa.Array) -> pa.Array:
    pieces = pc.binary_join_element_wise(f',"{name}":', column.cast(pa.string()), "")
    # One is what a reader takes `count` to be.
    return pc.if_else(pc.equal(column, 1), "", pieces) if name == "count" else pc.fill_null(pieces, "")


def _octets(lines: pa.Array) -> bytes:
    """Return the concatenated text of an array of strings: Arrow keeps it in one piece already."""
    _, offsets, text = lines.buffers()
    del offsets
    return bytes(text) if text is not None else b""
