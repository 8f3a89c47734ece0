"""Registered domains by the public suffix list."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whimbrel.messages.suffixes import is_suffix, registered_domain


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("example.com", "example.com"),
        ("a.b.example.co.uk", "example.co.uk"),
        ("www.example.com.", "example.com"),
        ("one.github.io", "one.github.io"),
        ("x.one.github.io", "one.github.io"),
        ("co.uk", None),
        ("github.io", None),
        ("router.lan", None),
        ("192.0.2.1", None),
        ("2001:db8::1", None),
        ("", None),
        ("a..com", None),
        ("a" * 64 + ".com", None),
        ("a." * 130 + "com", None),
    ],
)
def test_registered_domain(host: str, domain: str | None) -> None:
    assert registered_domain(host) == domain


def test_is_suffix() -> None:
    assert is_suffix("com")
    assert not is_suffix("lan")
    assert not is_suffix("")


@given(st.text())
def test_never_raises(host: str) -> None:
    domain = registered_domain(host)
    assert domain is None or host.rstrip(".").endswith(domain)
