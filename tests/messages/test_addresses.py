from hypothesis import given
from hypothesis import strategies as st

from whimbrel.messages import bounds, read_message
from whimbrel.messages.addresses import domain_of, recipients


def _recipients(headers: str) -> tuple[str, ...]:
    return recipients(read_message(headers.encode() + b"\n\n"))


def test_recipients_of_the_four_fields_once_each_in_order() -> None:
    headers = (
        'To: "Last, First @ home" <Ann@Example.ORG>, bob@example.net (Bob)\n'
        "cc: group: carl@example.com, <dora@example.com>;\n"
        "From: eve@example.com\n"
        "Delivered-To: ann@example.org\n"
        "X-Original-To: frank@[192.0.2.1], gina@sub.example.org"
    )
    assert _recipients(headers) == (
        "ann@example.org",
        "bob@example.net",
        "carl@example.com",
        "dora@example.com",
        "gina@sub.example.org",
    )


def test_what_is_no_address_is_no_recipient() -> None:
    assert _recipients("To: undisclosed-recipients:;") == ()
    assert _recipients("To: a@b@c, " + "x" * 65 + "@example.org, @example.org, a@") == ()


def test_recipients_are_bounded() -> None:
    many = ", ".join(f"user{number}@example.org" for number in range(bounds.RECIPIENTS + 5))
    assert len(_recipients(f"To: {many}")) == bounds.RECIPIENTS


def test_domain_of() -> None:
    assert domain_of("Ann@Example.ORG.") == "example.org"
    assert domain_of("postmaster") == ""


@given(st.binary(max_size=400))
def test_any_bytes_give_lower_case_addresses(value: bytes) -> None:
    for address in recipients(read_message(b"To: " + value.replace(b"\n", b" ") + b"\n\n")):
        local, at, domain = address.partition("@")
        assert local
        assert at
        assert domain
        assert address == address.lower()
