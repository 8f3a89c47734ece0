"""The one form in which a message is parsed and hashed, however it was kept or carried."""

import hashlib
from typing import NamedTuple

from whimbrel.messages import bounds
from whimbrel.model.facts import Defect


class Canonical(NamedTuple):
    """A message with LF line ends and without its mailbox envelope line, and the digest of its content."""

    raw: bytes
    content_sha256: bytes
    defects: tuple[Defect, ...]


def canonical(raw: bytes) -> Canonical:
    """Return the message in the one form that is parsed and hashed.

    The digest is the same for the same mail in an mbox, a maildir or an .eml file: LF ends, no envelope line, no line
    ends at the end.
    """
    defects = []
    if b"\r" in raw:
        raw = raw.replace(b"\r\n", b"\n")
        if b"\r" in raw:
            if b"\n" in raw:
                defects.append(Defect("bare cr"))
            else:
                raw = raw.replace(b"\r", b"\n")
                defects.append(Defect("cr line ends"))
    while raw.startswith((b"From ", b">From ")):
        raw = raw[raw.find(b"\n") + 1 :] if b"\n" in raw else b""
    digest = hashlib.sha256(raw.rstrip(b"\n")).digest()
    if raw.startswith(b"\xef\xbb\xbf"):
        raw = raw[3:]
        defects.append(Defect("byte order mark"))
    if b"\0" in raw:
        defects.append(Defect("nul byte"))
    if _has_long_line(raw):
        defects.append(Defect("long line"))
    return Canonical(raw, digest, tuple(defects))


def _has_long_line(raw: bytes) -> bool:
    # From line end to the last line end within reach: a step every 998 bytes or so, not one a line.
    position, size = 0, len(raw)
    while position + bounds.LINE_BYTES < size:
        line_end = raw.rfind(b"\n", position, position + bounds.LINE_BYTES + 1)
        if line_end < 0:
            return True
        position = line_end + 1
    return False
