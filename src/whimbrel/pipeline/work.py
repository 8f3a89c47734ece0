"""What is handed to reader processes: known to the parent as well, which loads no parser for it."""

from typing import NamedTuple

from whimbrel.model.reading import Reading


class Work(NamedTuple):
    """One message to read, with what the sensor knows of it."""

    location: str
    label: str
    label_basis: str | None
    envelope: bytes | None
    content: bytes


def abandoned(work: Work, content_sha256: bytes) -> Reading:
    """Return the reading of a message on which the parser had to be ended: its digest and the defect, nothing else."""
    return Reading(
        location=work.location,
        label=work.label,
        label_basis=work.label_basis,
        size_bytes=len(work.content),
        content_sha256=content_sha256,
        envelope_at=None,
        hops=(),
        url_domains=(),
        attachment_sha256s=(),
        attachment_types=(),
        recipient_domains=(),
        recipients=(),
        header_skeleton="",
        mime_skeleton="",
        signature=(),
        script="",
        defects=("abandoned",),
    )
