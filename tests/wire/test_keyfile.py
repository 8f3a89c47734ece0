"""Files of keys as text; what the stores make of them stands in tests/evidence/test_keys.py and publishing's."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whimbrel.errors import StoreError
from whimbrel.wire.keyfile import KeyLine, check_private, parse, written

UNTILS = st.none() | st.integers(0, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
KEYS = st.builds(KeyLine, st.binary(min_size=4, max_size=8).map(bytes.hex), st.binary(min_size=32, max_size=64), UNTILS)


@given(st.lists(KEYS, min_size=1, max_size=5, unique_by=lambda key: key.id))
def test_what_is_written_is_read(keys: list[KeyLine]) -> None:
    assert parse(written("a remark", keys), "file", least_bytes=32) == keys


@given(st.text())
def test_any_text_is_keys_or_refused(text: str) -> None:
    with suppress(StoreError):
        assert parse(text, "file", least_bytes=1)


def test_an_end_without_a_zone_is_utc() -> None:
    (key,) = parse(f"id {'ab' * 32} 2002-07-27\n", "file", least_bytes=32)
    assert key.until == datetime(2002, 7, 27, tzinfo=UTC)


@pytest.mark.parametrize("mode", [0o100640, 0o100604, 0o100610])
def test_what_others_can_read_is_refused(mode: int) -> None:
    check_private("file", 0o100600)
    with pytest.raises(StoreError, match="chmod 600 file"):
        check_private("file", mode)
