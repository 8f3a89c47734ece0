"""The published list of defect kinds equals the code's list, and nothing else is ever reported."""

import re
from pathlib import Path

from whimbrel import messages
from whimbrel.messages import KINDS

ROOT = Path(__file__).resolve().parent.parent.parent


def test_the_published_list_is_the_list() -> None:
    text = (ROOT / "docs" / "defects.md").read_text(encoding="utf-8")
    published = dict(re.findall(r"^\| ([^|]+?) \| (.+) \|$", text, re.MULTILINE))
    published.pop("kind")
    assert published == KINDS


def test_every_kind_in_the_source_is_published() -> None:
    folder = Path(messages.__file__).parent
    source = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    used = set(re.findall(r'Defect\(\s*"([^"]+)"', source))
    assert used
    assert used <= KINDS.keys()


def test_every_kind_of_archives_is_published() -> None:
    source = (ROOT / "src/whimbrel/messages/archives.py").read_text(encoding="utf-8")
    named = set(re.findall(r'"(archive [a-z ]+)"', source))
    assert len(named) > 5
    assert named <= set(KINDS)
