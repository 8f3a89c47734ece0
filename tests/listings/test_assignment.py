import pytest
from hypothesis import given
from hypothesis import strategies as st

from whimbrel.listings.assignment import look_of, organisation_of


@pytest.mark.parametrize(
    ("host", "helo", "rdns", "shape", "assignment", "server_like"),
    [
        ("192.0.2.9", "mail.org.example", "mail.org.example", "mail-same", "static", True),
        ("192.0.2.9", "org.example", "www.org.example", "name-same", "static", True),
        ("192.0.2.9", "friend", "www.org.example", "name-other", "static", False),
        ("192.0.2.9", "friend", "c-192-0-2-9.hsd1.isp.example", "line-other", "dynamic", False),
        ("192.0.2.9", "dsl9.isp.example", "dsl9.isp.example", "line-same", "dynamic", False),
        ("192.0.2.9", "friend", None, "nameless-word", "static", False),
        ("192.0.2.9", "[192.0.2.9]", None, "nameless-address", "static", False),
        ("192.0.2.9", "mail.org.example", None, "nameless-mail", "static", False),
        ("192.0.2.9", None, None, "silent", "static", False),
        ("2001:db8::/64", "mx1.org.example", "mx1.org.example", "mail-same", "static", True),
    ],
)
def test_looks(
    host: str,
    helo: str | None,
    rdns: str | None,
    shape: str,
    assignment: str,
    server_like: bool,  # noqa: FBT001 - as above
) -> None:
    look = look_of(host, helo, rdns)
    assert (look.shape, look.assignment, look.server_like) == (shape, assignment, server_like)


def test_organisations() -> None:
    assert organisation_of("a.b.org.example") == "org.example"
    assert organisation_of("a.shop.co.uk") == "shop.co.uk"
    assert organisation_of("192.0.2.1") is None


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_text_is_accepted(helo: str, rdns: str) -> None:
    assert look_of("192.0.2.1", helo, rdns).shape
    assert look_of("2001:db8::/64", helo, rdns).shape
