"""The `From ` line that mbox puts before each message (RFC 4155): the only date of mail without `Received` lines."""

import re
from datetime import UTC, datetime

# `From sender Fri Aug 23 11:07:47 2002`, with an optional zone before or after the year, which few writers add.
_WHEN = re.compile(
    rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\s{1,2}(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\s{1,2}(\d{1,2})\s"
    rb"(\d{2}):(\d{2})(?::(\d{2}))?(?:\s[A-Z+\-0-9]{1,5})?\s(\d{4})"
)
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
# An envelope line longer than an SMTP command line with a maximal path (RFC 5321, 4.5.3.1) and a date is not read on.
_MAX_LINE_BYTES = 1024


def envelope_time(line: bytes) -> datetime | None:
    """Return the time on an mbox envelope line, or None; RFC 4155 has it in UTC, and so it is taken."""
    found = _WHEN.search(line[:_MAX_LINE_BYTES])
    if found is None:
        return None
    month, day, hour, minute, second, year = found.groups()
    try:
        return datetime(
            int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second or 0), tzinfo=UTC
        )
    except ValueError:
        return None
