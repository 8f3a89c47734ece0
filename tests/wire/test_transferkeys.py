"""Key files of transfers: what is read, and that a mistake is told by its line and never with a secret."""

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whimbrel.errors import ConfigError
from whimbrel.wire.transferkeys import ALGORITHMS, TransferKey, parse

SECRET = base64.b64encode(bytes(range(32))).decode()


def test_keys_come_by_name_in_their_order() -> None:
    text = f"# two\nhmac-sha256:Second.Example.:{SECRET}\n\nHMAC-SHA512:first:{SECRET}\n"
    assert list(parse(text, "f").values()) == [
        TransferKey("second.example", "hmac-sha256", bytes(range(32))),
        TransferKey("first", "hmac-sha512", bytes(range(32))),
    ]


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        (f"a.example:{SECRET}", "2 fields"),
        (f"hmac-md5:a:{SECRET}", "none of hmac-sha256"),
        (f"hmac-sha256::{SECRET}", "no name"),
        (f"hmac-sha256:a..b:{SECRET}", "no domain name"),
        (f"hmac-sha256:ä:{SECRET}", "no domain name"),
        ("hmac-sha256:a:c2hvcnQ=", "less than 16 bytes"),
        (f"hmac-sha256:a:{SECRET}!", "no base64"),
    ],
)
def test_a_line_that_is_no_key_is_told_by_its_number_and_without_its_secret(line: str, wrong: str) -> None:
    with pytest.raises(ConfigError, match=f"f: line 2: .*{wrong}") as caught:
        parse(f"# keys\n{line}\n", "f")
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_key_and_a_name_twice_are_refused() -> None:
    with pytest.raises(ConfigError, match="no key in it"):
        parse("# nothing\n", "f")
    with pytest.raises(ConfigError, match="line 2: the key a is there already"):
        parse(f"hmac-sha256:a:{SECRET}\nhmac-sha384:A.:{SECRET}\n", "f")


@given(st.text() | st.tuples(st.sampled_from(ALGORITHMS), st.text(), st.text()).map(":".join))
def test_any_text_is_keys_or_a_mistake(text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert parse(text, "f")
