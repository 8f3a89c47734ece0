"""Lists for people and programs of their own: plain text, CSV, JSON lines."""

import csv
import io
from collections.abc import Iterator

import msgspec

from whimbrel.publishing.exports.content import Content, meaning, one_by_one, target, written_time

COLUMNS = ("target", "code", "answer", "meaning", "until", "reason")


def plain(content: Content) -> Iterator[str]:
    """Yield targets, one a line, beneath a comment."""
    yield f"# Whimbrel: {content.about()}"
    for family, rows in content.families:
        for key, prefix, _, _ in one_by_one(rows):
            yield target(family, key, prefix)


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
        for key, prefix, reason, until in one_by_one(rows):
            entry, written = content.entry(reason, until), target(family, key, prefix)
            yield {
                "target": written,
                "code": entry.code,
                "answer": f"127.0.0.{entry.code}",
                "meaning": meaning(entry.code),
                "until": written_time(until),
                "reason": entry.reason(written),
            }
