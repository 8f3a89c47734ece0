"""Made-up evidence: row `n` is the same row wherever it is made."""

import hashlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from whimbrel.evidence import Evidence
from whimbrel.model.columns import FACTS, OBSERVATIONS
from whimbrel.model.reading import Hop, Reading

START = datetime(2002, 7, 1, 12, tzinfo=UTC)


class Made:
    """Rows, tables and readings by number."""

    start = START

    def id(self, number: int) -> bytes:
        return hashlib.sha256(b"%d" % number).digest()[:16]

    def seen_at(self, number: int) -> datetime:
        """Seven rows a day, or nearly, over 90 days."""
        return START + timedelta(days=number * 37 % 90, seconds=number % 7)

    def observation(self, number: int, **given: Any) -> dict[str, Any]:
        row: dict[str, Any] = dict.fromkeys(OBSERVATIONS.names)
        row |= {
            "id": self.id(number),
            "seen_at": self.seen_at(number),
            "learned_at": self.seen_at(number) + timedelta(hours=number % 3),
            "sensor": "made",
            "host": f"192.0.2.{number % 256}",
            "kind": "message",
            "label": "spam" if number % 2 else "ham",
            "recipient_domains": ["example.org"],
            "count": 1,
            "message_id": self.id(number),
        }
        return row | given

    def observations(self, numbers: Iterable[int], **given: Any) -> pa.Table:
        return pa.Table.from_pylist([self.observation(number, **given) for number in numbers], OBSERVATIONS)

    def facts(self, numbers: Iterable[int], **given: Any) -> pa.Table:
        rows = []
        for number in numbers:
            row: dict[str, Any] = dict.fromkeys(FACTS.names)
            row |= {
                "message_id": self.id(number),
                "seen_at": self.seen_at(number),
                "sensor": "made",
                "label": "ham",
                "size_bytes": number,
                "content_sha256": hashlib.sha256(b"%d" % number).digest(),
                "hops": b"\x90",
                "url_domains": ["example.com"],
                "recipients": [self.id(number)],
                "signature": [2**64 - 1, number],
            }
            rows.append(row | given)
        return pa.Table.from_pylist(rows, FACTS)

    def reading(self, number: int, **given: Any) -> Reading:
        values: dict[str, Any] = {
            "location": f"folder/{number}",
            "label": "spam",
            "label_basis": "given",
            "size_bytes": number,
            "content_sha256": hashlib.sha256(b"%d" % number).digest(),
            "envelope_at": self.seen_at(number),
            "hops": (Hop("192.0.2.1", "a.example", None, "b.example", None, "SMTP", START, "postfix", b"t" * 32),),
            "url_domains": ("example.com",),
            "attachment_sha256s": (),
            "attachment_types": (),
            "recipient_domains": ("example.org",),
            "recipients": ("joe@example.org", f"{number}@example.org"),
            "header_skeleton": "From,To",
            "mime_skeleton": "text/plain",
            "signature": (2**64 - 1, number),
            "script": "Latin",
            "defects": ("no-date",),
        }
        return Reading(**values | given)


@pytest.fixture(scope="session")
def made() -> Made:
    return Made()


@pytest.fixture(scope="session")
def append() -> Callable[..., dict[str, int]]:
    """Append rows by number, as observations and as facts, in one batch."""

    def run(store: Evidence, numbers: Iterable[int], chunks: Iterable[str] = ()) -> dict[str, int]:
        kept = list(numbers)
        with store.batch("made", chunks=list(chunks)) as batch:
            batch.observations(Made().observations(kept))
            batch.facts(Made().facts(kept))
        return batch.added

    return run


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path
