"""Lists for people and programs of their own: plain text, CSV, JSON lines.

Networks come without what is excluded from them.  Of names `*.` is all beneath one; what is excluded from that has `!`
in front in plain text, the code 0 in the others.
"""

import csv
import io
from collections.abc import Iterator

import msgspec

from whimbrel.publishing.exports.content import Content, answer, meaning, one_by_one, target, written_time
from whimbrel.publishing.exports.names import spelled_out
from whimbrel.publishing.exports.rows import carved
from whimbrel.wire.snapshot.encoder import HOST_BITS

COLUMNS = ("target", "code", "answer", "meaning", "until", "reason")


def plain(content: Content) -> Iterator[str]:
    """Yield targets, one a line, beneath a comment."""
    yield f"# Whimbrel: {content.about()}"
    for family, rows in content.families:
        for key, prefix, _, _ in one_by_one(carved(content, rows, HOST_BITS[family])):
            yield target(family, key, prefix)
    for written, name in spelled_out(content.names):
        yield f"!{written}" if content.excludes(name.reason) else written


def comma_separated(content: Content) -> Iterator[str]:
    """Yield the lines of a CSV file (RFC 4180) with a heading."""
    line = io.StringIO()
    writer = csv.DictWriter(line, COLUMNS, lineterminator="\r")  # and the "\n" that every line of an export gets
    writer.writeheader()
    yield line.getvalue()
    for row in _rows(content):
        line.seek(0)
        line.truncate()
        writer.writerow(row)
        yield line.getvalue()


def json_lines(content: Content) -> Iterator[str]:
    """Yield one JSON object a line."""
    encoder = msgspec.json.Encoder()
    for row in _rows(content):
        yield encoder.encode(row).decode()


def _rows(content: Content) -> Iterator[dict[str, str | int]]:
    for family, rows in content.families:
        for key, prefix, reason, until in one_by_one(carved(content, rows, HOST_BITS[family])):
            written = target(family, key, prefix)
            yield _row(content, written, written, reason, until)
    for written, name in spelled_out(content.names):
        yield _row(content, written, name.name, name.reason, name.until)


def _row(content: Content, written: str, listed: str, reason: int, until: int) -> dict[str, str | int]:
    entry, is_excluded = content.entry(reason, until), content.excludes(reason)
    return {
        "target": written,
        "code": entry.code,
        "answer": "" if is_excluded else answer(entry.code),
        "meaning": "not listed" if is_excluded else meaning(entry.code),
        "until": written_time(until),
        "reason": entry.reason(listed),
    }
