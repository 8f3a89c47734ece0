"""The append-only log of facts: what was read and what was seen, kept by day, found again by query.

In: readings of messages (`stage`), tables of observations and facts (`batch`), tables that analysis computed
(`replace`).  Out: the same rows, each once, whole or by query, in the order of decision where asked.

It deliberately does not judge, join stages, read mail, or keep message text; it changes no row once appended (a
correction is a new observation that names the older one).  Read `store.py` first, then `manifest.py`; the layout on
disk and what is guaranteed stand in `docs/evidence.md`.
"""

from whimbrel.evidence.batch import Batch
from whimbrel.evidence.compaction import CompactionReport
from whimbrel.evidence.erasure import Erased, Names, hops_name, naming
from whimbrel.evidence.manifest import Counts, KindCounts
from whimbrel.evidence.staging import decode_hops, encode_hops
from whimbrel.evidence.store import Evidence

__all__ = [
    "Batch",
    "CompactionReport",
    "Counts",
    "Erased",
    "Evidence",
    "KindCounts",
    "Names",
    "decode_hops",
    "encode_hops",
    "hops_name",
    "naming",
]
