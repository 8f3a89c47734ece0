"""One message's bytes to one reading: what the worker processes do.

Pure: bytes in, `Reading` out.  The full `Facts` (with text) live only inside this call; what crosses back to the
parent is small and holds no text.
"""

from whimbrel.messages import read_message
from whimbrel.messages.addresses import domain_of, recipients
from whimbrel.model.facts import Facts
from whimbrel.model.reading import Hop, Reading
from whimbrel.pipeline.work import Work
from whimbrel.wire.envelope import envelope_time
from whimbrel.wire.received import parse_received

# Mail loops are cut at 100 hops (RFC 5321, section 6.3); what lies below is forged or damaged.
MAX_HOPS = 100


def read_work(work: Work) -> Reading:
    """Return the reading of one message; any bytes, never an exception."""
    facts = read_message(work.content)
    to = recipients(facts)
    domains = {domain_of(address) for address in to}
    return Reading(
        location=work.location,
        label=work.label,
        label_basis=work.label_basis,
        size_bytes=facts.size_bytes,
        content_sha256=facts.content_sha256,
        envelope_at=None if work.envelope is None else envelope_time(work.envelope),
        hops=hops_of(facts),
        url_domains=tuple(sorted({url.domain for url in facts.urls})),
        attachment_sha256s=tuple(sorted({attachment.sha256 for attachment in facts.attachments})),
        attachment_types=tuple(sorted({attachment.detected_type for attachment in facts.attachments})),
        recipient_domains=tuple(sorted(domain for domain in domains if domain)),
        recipients=to,
        header_skeleton=facts.header_skeleton,
        mime_skeleton=facts.mime_skeleton,
        signature=facts.signature,
        script=facts.script,
        defects=tuple(sorted({defect.kind for defect in facts.defects})),
    )


def hops_of(facts: Facts) -> tuple[Hop, ...]:
    """Return the message's Received lines as hops, newest first."""
    lines = [header.value for header in facts.headers if header.name.lower() == "received"]
    return tuple(parse_received(line) for line in lines[:MAX_HOPS])
