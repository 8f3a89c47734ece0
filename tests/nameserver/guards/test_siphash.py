"""The paper's own example, and those of its reference code."""

import pytest

from whimbrel.nameserver.guards.siphash import siphash24

KEY = bytes(range(16))


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (0, "310e0edd47db6f72"),
        (1, "fd67dc93c539f874"),
        (7, "37d1018bf50002ab"),
        (8, "6224939a79f5f593"),
        (15, "e545be4961ca29a1"),
    ],
)
def test_the_authors_examples(length: int, expected: str) -> None:
    assert siphash24(KEY, bytes(range(length))).to_bytes(8, "little").hex() == expected


def test_the_key_matters() -> None:
    assert siphash24(KEY, b"x") != siphash24(bytes(16), b"x")
