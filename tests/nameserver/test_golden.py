"""Golden packets: each folder under tests/golden/dns holds a query and its response as bytes, and as text to read.

The world is that of conftest.py.  `query.hex` goes in; `response.hex` must come out, or nothing where it is empty;
`response.txt` is what dnspython makes of it; `readme.md` says what the case is about and whether it came over TCP.
A later build of the name server runs the same folders.
"""

from pathlib import Path

import dns.message
import pytest

from whimbrel.nameserver import answer
from whimbrel.wire.snapshot import Snapshot

CASES = sorted(path.parent for path in (Path(__file__).resolve().parents[1] / "golden" / "dns").glob("*/query.hex"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_golden(case: Path, world: Snapshot, now: float) -> None:
    query = bytes.fromhex((case / "query.hex").read_text())
    expected = bytes.fromhex((case / "response.hex").read_text())
    response = answer(query, world, now, tcp="over TCP" in (case / "readme.md").read_text()) or b""
    assert response.hex() == expected.hex()
    text = dns.message.from_wire(response).to_text() if response else "(nothing)"
    assert text.strip() == (case / "response.txt").read_text().strip()


def test_there_are_cases() -> None:
    assert len(CASES) >= 12
