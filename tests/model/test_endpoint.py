import pytest

from whimbrel.model.endpoint import Endpoint, parse_endpoint


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("127.0.0.1:5300", Endpoint("127.0.0.1", 5300)),
        ("[::1]:0", Endpoint("::1", 0)),
        ("[2001:DB8::0]:53", Endpoint("2001:db8::", 53)),
        ("192.0.2.1", Endpoint("192.0.2.1", 99)),
        ("2001:db8::1", Endpoint("2001:db8::1", 99)),
        ("[2001:db8::1]", Endpoint("2001:db8::1", 99)),
    ],
)
def test_endpoints_are_read_and_written(text: str, endpoint: Endpoint) -> None:
    assert parse_endpoint(text, 99) == endpoint
    assert parse_endpoint(str(endpoint)) == endpoint


@pytest.mark.parametrize(
    "text", ["", "53", ":53", "localhost:53", "127.0.0.1:", "127.0.0.1:x", "[::1]:65536", "1.2.3.4:-1"]
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_endpoint(text)
