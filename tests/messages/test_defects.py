"""The published list of defect kinds equals the code's list, and nothing else is ever reported."""

import re
from pathlib import Path
from typing import get_args

import pytest

from whimbrel.messages import KINDS, read_message
from whimbrel.model.facts import DefectKind

ROOT = Path(__file__).resolve().parent.parent.parent


def test_the_published_list_is_the_list() -> None:
    text = (ROOT / "docs" / "defects.md").read_text(encoding="utf-8")
    published = dict(re.findall(r"^\| ([^|]+?) \| (.+) \|$", text, re.MULTILINE))
    published.pop("kind")
    assert published == KINDS


def test_the_list_is_the_type_that_every_defect_has() -> None:
    assert set(KINDS) == set(get_args(DefectKind))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("holiday.jpg.exe", "double extension"),
        ("holiday\u202egpj.exe", "turned file name"),
        ("holiday.jpg", "type mismatch"),
    ],
)
def test_what_a_file_pretends_is_reported_by_a_published_kind(name: str, kind: str) -> None:
    disposition = f'Content-Disposition: attachment; filename="{name}"'.encode()
    raw = b"Content-Type: image/jpeg\n" + disposition + b"\nContent-Transfer-Encoding: 8bit\n\nMZ" + bytes(100)
    found = {defect.kind for defect in read_message(raw).defects}
    assert kind in found
    assert found <= set(KINDS)
