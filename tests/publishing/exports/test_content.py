"""What is in force at a moment, and what is refused."""

import pytest
from tests.publishing.exports.conftest import World, text_of

from whimbrel.errors import SnapshotError
from whimbrel.model.listing import Code
from whimbrel.publishing.exports import FORMATS, content_of
from whimbrel.wire.snapshot.layout import EXCLUDED


def test_what_has_ended_is_left_out_and_test_entries_are_apart(world: World) -> None:
    content = world.content
    assert content.entries + len(content.tests.key) < len(world.snapshot)
    assert len(content.tests.key) == len(Code)
    assert all((rows.until > world.at).all() for _, rows in content.families)


def test_only_some_codes(world: World) -> None:
    content = content_of(world.snapshot, world.at, [Code.INFECTED, Code.NETWORK])
    codes = {content.reasons[row].code for _, rows in content.families for row in rows.reason.tolist()}
    assert codes - {EXCLUDED} == {Code.INFECTED, Code.NETWORK}


def test_an_expired_list_is_refused_and_an_early_moment_is_that_of_the_cut(world: World) -> None:
    with pytest.raises(SnapshotError, match="it expired at"):
        content_of(world.snapshot, world.snapshot.expires)
    assert content_of(world.snapshot, 0).at == world.snapshot.born


@pytest.mark.parametrize("name", [name for name, form in FORMATS.items() if form.lines])
def test_the_same_snapshot_and_moment_give_the_same_bytes(world: World, name: str) -> None:
    assert text_of(world.content, name) == text_of(content_of(world.snapshot, world.at), name)


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in {"ip4set", "ip4trie", "dnset", "misp"}])
def test_test_entries_go_only_where_the_list_is_asked_over_dns(world: World, name: str) -> None:
    assert "127.0.0.2 is a test entry" not in text_of(world.content, name)
    assert "\n127.0.0." not in text_of(world.content, name)
