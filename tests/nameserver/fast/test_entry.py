"""The object file for lists of a shape: one is made, and used for all of them."""

import pytest

from whimbrel.nameserver.fast import entry
from whimbrel.nameserver.fast.entry import ROUND_BYTES, SECTION, Shape, map_bytes, object_for
from whimbrel.nameserver.fast.search import SHOWS_ALL

SHAPE = Shape(name_bytes=12, soa_bytes=61, flags=SHOWS_ALL, rows=1 << 16, cell_bits=16)


def test_maps_hold_a_list_of_the_shape() -> None:
    sizes = map_bytes(SHAPE)
    assert sizes["suffix"] == 2 * sizes["value"] == 2 << 16
    assert sizes["cells"] == 4 * 65_537
    assert "asked" not in sizes
    assert map_bytes(SHAPE._replace(rounds=8))["asked"] == 8 * ROUND_BYTES


def test_an_object_file_is_made_once_and_read_later(monkeypatch: pytest.MonkeyPatch) -> None:
    made = object_for(SHAPE)
    assert len(made[SECTION]) % 8 == 0
    assert object_for(Shape(*SHAPE)) is made
    object_for.cache_clear()
    monkeypatch.setattr(entry, "bpf_object", None)
    assert object_for(SHAPE) == made
