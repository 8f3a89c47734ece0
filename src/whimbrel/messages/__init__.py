"""The mail itself: bytes in, `model.facts.Facts` out.

`read_message` takes any bytes, never raises, and needs time linear in their number.  What is wrong with a message is
told as defects (`defects.KINDS`, published in `docs/defects.md`); what is too much is cut at a bound (`bounds`).

Deliberately absent: input and output, clocks, name resolution, judgement (no score, no verdict), the meaning of
`Received` lines (`wire.received`), and the unpacking or running of anything a message carries.

Read `read.py` first; then `mime.py`, which holds the parser.
"""

from whimbrel.messages.defects import KINDS
from whimbrel.messages.read import read_message

__all__ = ["KINDS", "read_message"]
