"""The dominant script of a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whimbrel.messages.script import script_of


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Hello, world", "Latin"),
        ("Größe 12", "Latin"),
        ("Привет, мир http", "Cyrillic"),
        ("你好，世界", "Han"),  # noqa: RUF001
        ("これは日本語の文です", "Kana"),
        ("안녕하세요", "Hangul"),
        ("مرحبا", "Arabic"),
        ("שלום", "Hebrew"),
        ("Καλημέρα", "Greek"),
        ("สวัสดี", "Thai"),
        ("नमस्ते", "Devanagari"),
        ("abcde абвгд", "mixed"),
        ("123 !?", "none"),
        ("\u2026\u2014", "none"),
        ("", "none"),
    ],
)
def test_script_of(text: str, script: str) -> None:
    assert script_of(text) == script


def test_long_text_is_sampled_from_all_its_thirds() -> None:
    assert script_of("x" * 100 + "ж" * 50_000) == "Cyrillic"


@given(st.text())
def test_never_raises(text: str) -> None:
    assert script_of(text)
