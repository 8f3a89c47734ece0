"""The line that a public key is handed over as."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whimbrel.errors import ConfigError
from whimbrel.wire.snapshot import PublicKey


@given(st.binary(min_size=32, max_size=32))
def test_a_key_is_read_from_its_line(raw: bytes) -> None:
    key = PublicKey(raw)
    assert PublicKey.parse(key.line() + "\n") == key
    assert key.line() == f"whimbrel-ed25519 {key.id} {base64.b64encode(raw).decode()}"


@given(st.text())
def test_any_other_line_is_refused(line: str) -> None:
    for text in (line, f"whimbrel-ed25519 {line}"):
        with pytest.raises(ConfigError, match="is no public key"):
            PublicKey.parse(text)


def test_a_secret_given_by_mistake_is_not_shown() -> None:
    secret = "82a10b2fe2c5809f" * 4
    with pytest.raises(ConfigError) as error:
        PublicKey.parse(f"c7960a8d84bd2248 {secret}")
    assert secret[:8] not in str(error.value)


def test_a_key_changed_on_its_way_is_told() -> None:
    line = PublicKey(bytes(32)).line()
    with pytest.raises(ConfigError, match="was changed on its way"):
        PublicKey.parse(line.replace("AAA", "BAA", 1))
