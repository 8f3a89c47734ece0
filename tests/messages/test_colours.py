"""Colours that are the same to the eye are the same to us."""

from hypothesis import given
from hypothesis import strategies as st

from whimbrel.messages.colours import colour_of


def test_forms_of_one_colour() -> None:
    forms = [
        "white",
        "WHITE ",
        "#FFF",
        "#ffffff",
        "FFFFFF",
        "#FEFFFD",
        "rgb(255, 255,255)",
        "rgba(255,255,255,1)",
        "rgb(999,999,999)",
    ]
    assert {colour_of(form) for form in forms} == {"fcfcfc"}


def test_what_is_no_colour() -> None:
    assert [colour_of(text) for text in (None, "", "transparent", "#12", "url(x)", "f" * 100)] == [None] * 6


@given(st.text())
def test_never_raises(text: str) -> None:
    colour = colour_of(text)
    assert colour is None or len(colour) == 6
