"""Golden messages: `tests/golden/messages/<case>/` holds input.eml, expected.json and a readme saying what it is about.

Cases of one's own that must not ship go into `tests/golden/messages/private/`, which git ignores, and run as well.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from whimbrel.messages import read_message

GOLDEN = Path(__file__).parent.parent / "golden" / "messages"
CASES = sorted(path.parent for path in GOLDEN.rglob("input.eml"))


def summary(raw: bytes) -> dict[str, Any]:
    """Everything of a message's facts but the signature and script, which have tests of their own."""
    facts = read_message(raw)
    return {
        "size_bytes": facts.size_bytes,
        "content_sha256": facts.content_sha256.hex(),
        "headers": [[header.name, header.value.decode("latin-1")] for header in facts.headers],
        "parts": [
            [
                part.parent,
                part.content_type,
                part.charset,
                part.encoding,
                part.disposition,
                part.filename,
                part.size_bytes,
            ]
            for part in facts.parts
        ],
        "subject": facts.subject,
        "text": facts.text,
        "urls": [[url.raw, url.host, url.domain, url.seen_in] for url in facts.urls],
        "attachments": [
            [file.filename, file.declared_type, file.size_bytes, file.sha256] for file in facts.attachments
        ],
        "header_skeleton": facts.header_skeleton,
        "mime_skeleton": facts.mime_skeleton,
        "defects": [[defect.kind, defect.where] for defect in facts.defects],
    }


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_golden_message(case: Path) -> None:
    expected = json.loads((case / "expected.json").read_text(encoding="utf-8"))
    assert summary((case / "input.eml").read_bytes()) == expected


def test_the_digest_does_not_depend_on_how_the_message_was_kept() -> None:
    plain, mailbox = (read_message((GOLDEN / name / "input.eml").read_bytes()) for name in ("plain", "mailbox"))
    assert plain.content_sha256 == mailbox.content_sha256
    assert plain.headers == mailbox.headers
    assert plain.text == mailbox.text
