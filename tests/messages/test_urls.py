"""URLs: what is found in text, and which host a click would reach."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whimbrel.messages.urls import MAX_RAW_CHARACTERS, MAX_URLS, find_urls, resolve_url


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see http://example.com/a?b=c.", ["http://example.com/a?b=c"]),
        ("(http://example.com/a_(b)) and HTTPS://Example.ORG", ["http://example.com/a_(b)", "HTTPS://Example.ORG"]),
        ("www.example.com, or example.co.uk/offer!", ["www.example.com", "example.co.uk/offer"]),
        ("order at pills4you.biz today", ["pills4you.biz"]),
        ("shop.example.de is open", ["shop.example.de"]),
        (r"http:\\example.com\x", [r"http:\\example.com\x"]),
        ("mail me@example.com or me@sub.example.com/x", []),
        ("I like.free things, e.g. setup.py and index.html, v1.2.3", []),
        ("<http://example.com/><b>", ["http://example.com/"]),
        ("see http://3232235777/x", ["http://3232235777/x"]),
        ("päge.example.com/ü", ["päge.example.com/ü"]),
        ("write to us.http://example.com/ or", ["http://example.com/"]),
        (
            "www.example.com/?u=http://example.org/ and 1.example.de/x",
            ["www.example.com/?u=http://example.org/", "1.example.de/x"],
        ),
        ("10.0.0.1, 3.14 and 9.95.", []),
    ],
)
def test_finds(text: str, found: list[str]) -> None:
    assert find_urls(text) == found


@pytest.mark.parametrize(
    ("raw", "host", "domain"),
    [
        ("http://WWW.Example.co.UK:8080/x", "www.example.co.uk", "example.co.uk"),
        ("http://www.bank.example@evil.com/", "evil.com", "evil.com"),
        ("http:\\\\evil.com\\x", "evil.com", "evil.com"),
        ("http:evil.com/x", "evil.com", "evil.com"),
        ("https:/evil.com/x", "evil.com", "evil.com"),
        ("http://%65%76il%2Ecom/", "evil.com", "evil.com"),
        ("ht\ntp://ev\r\nil.com/", "evil.com", "evil.com"),
        ("http://3232235777/", "192.168.1.1", "192.168.1.1"),
        ("http://0xC0.0250.0x1.1/", "192.168.1.1", "192.168.1.1"),
        ("http://0300.0250.257/", "192.168.1.1", "192.168.1.1"),
        ("http://7527203073/", "192.168.1.1", "192.168.1.1"),  # 2**32 too great
        ("http://[2001:db8::1]:80/", "2001:db8::1", "2001:db8::1"),
        ("//evil.com/x", "evil.com", "evil.com"),
        ("evil.com:80/x", "evil.com", "evil.com"),
        ("http://bücher.de/", "xn--bcher-kva.de", "xn--bcher-kva.de"),
        ("http://evil\u3002com/", "evil.com", "evil.com"),
        ("http://a_b.evil.com/", "a_b.evil.com", "evil.com"),
        ("http://one.github.io/", "one.github.io", "one.github.io"),
        ("http://rd.yahoo.com/a/*http://evil.biz/", "evil.biz", "evil.biz"),
        ("http://www.google.com/url?q=http%3A%2F%2Fevil.info%2Fa&sa=1", "evil.info", "evil.info"),
        ("https://urldefense.proofpoint.com/v2/url?u=https-3A__evil.com_x&d=1", "evil.com", "evil.com"),
        ("https://eu1.safelinks.protection.outlook.com/?url=https%3A%2F%2Fevil.com%2F&data=1", "evil.com", "evil.com"),
        ("http://notgoogle.com/?q=http://other.com/", "notgoogle.com", "notgoogle.com"),
    ],
)
def test_resolves_to_the_true_host(raw: str, host: str, domain: str) -> None:
    url = resolve_url(raw, "href")
    assert url is not None
    assert (url.raw, url.host, url.domain, url.seen_in) == (raw, host, domain, "href")


@pytest.mark.parametrize(
    "raw",
    ["", "#top", "/a/b", "index.pl", "mailto:a@b.com", "javascript:x()", "cid:1@b.com", "http://", "http://localhost/",
     "http://co.uk/", "http://1.2.3.4.5/", "http://[::x]/", "http://a b.nosuchsuffix/", "http://\udcff.com/"],
)  # fmt: skip
def test_names_no_host(raw: str) -> None:
    assert resolve_url(raw, "href") is None


def test_bounds() -> None:
    assert len(find_urls("http://example.com/ " * (MAX_URLS + 5))) == MAX_URLS
    url = resolve_url("http://example.com/" + "x" * 5_000, "text")
    assert url is not None
    assert len(url.raw) == MAX_RAW_CHARACTERS


PIECES = st.sampled_from(
    [
        "http",
        "https",
        ":",
        "/",
        "//",
        "\\",
        ".",
        "com",
        "www.",
        "@",
        "%",
        "%41",
        "[",
        "]",
        "0x",
        "1",
        "é",
        "\udc80",
        " ",
        "?q=",
        "rd.yahoo.com",
    ]
)


@given(st.one_of(st.text(), st.lists(PIECES).map("".join)))
def test_never_raises_and_finds_what_stands_there(text: str) -> None:
    for raw in find_urls(text):
        assert raw in text
    url = resolve_url(text, "text")
    assert url is None or url.host == url.host.lower()
