"""Exports: the list in the formats of other programs.  A snapshot and a moment come in, text goes out.

An export says what a name server with that snapshot answers at that moment in one of its zones: the same addresses,
codes and reasons, the most specific entry first, and where the format has a place for them names.  Two snapshots with
the same entries give the same text, byte for byte.

Read `content.py` first (what there is to say), then `rows.py` (which entry covers which) and `names.py`, then any
format: `rbldnsd.py`, `zones.py`, `tables.py`, `firewalls.py`, `postfix.py`, `intelligence.py`; `formats.py` is the list
of them.

Three rules hold for all.  The test entries 127.0.0.N go only where the list is asked over DNS: a firewall or an RPZ
that takes them cuts off its own machine, or every blocklist behind its resolver.  Nothing outlives the snapshot: where
a format has lifetimes, an entry ends with its listing or with the list, whichever is first.  And memory holds columns
of numbers, never a text of the whole; only names are held as they are.

Deliberately absent: judgement, and the ledger; what a snapshot does not hold (since when, on what evidence) no export
has, so that a mirror can export as well.
"""

from whimbrel.publishing.exports.content import Content, content_of
from whimbrel.publishing.exports.formats import FORMATS, Format

__all__ = ["FORMATS", "Content", "Format", "content_of"]
