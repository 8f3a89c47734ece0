"""Publishing: listings come in, the snapshot that name servers answer from goes out, and is put in its place safely.

Deliberately absent: judgement (what is listed was decided by policy and stands in the ledger), and serving.  Read
`entries.py` first, then `building.py`, `targets.py` (what may be listed), `testentries.py`, `texts.py` (what the TXT
record says) and `writing.py` (the file).  `exports/` gives the same list to programs that are no name server of ours.
"""

from whimbrel.publishing.entries import Entries
from whimbrel.publishing.texts import DEMO_TEXTS, TEXTS
from whimbrel.publishing.writing import next_serial, previous_serial, write_overlay, write_snapshot, write_whole

__all__ = [
    "DEMO_TEXTS",
    "TEXTS",
    "Entries",
    "next_serial",
    "previous_serial",
    "write_overlay",
    "write_snapshot",
    "write_whole",
]
