"""Readings become rows of facts, wait in order of keys, and name no recipient."""

from datetime import UTC, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whimbrel.evidence import Evidence, decode_hops
from whimbrel.evidence.keys import Keys
from whimbrel.evidence.staging import facts_table
from whimbrel.model.columns import FACTS
from whimbrel.model.observation import message_observation_id
from whimbrel.model.reading import Hop, Reading

KEYS = Keys({"k1": b"k" * 32})


def test_a_reading_becomes_a_row(made: Any) -> None:
    reading = made.reading(7)
    [row] = facts_table("made", [reading], KEYS).to_pylist()
    assert row["message_id"] == message_observation_id("made", "", b"t" * 32, reading.content_sha256)
    assert row["seen_at"] == reading.envelope_at
    assert decode_hops(row["hops"]) == reading.hops
    assert row["recipients"] == [KEYS.keyed_hash(each) for each in reading.recipients]
    assert row["recipient_key_id"] == "k1"
    same = set(Reading.__struct_fields__) & set(FACTS.names) - {"hops", "recipients"}
    for name in same:
        value = getattr(reading, name)
        assert row[name] == (list(value) if isinstance(value, tuple) else value), name


def test_a_reading_without_times_hops_or_recipients(made: Any) -> None:
    reading = made.reading(7, envelope_at=None, hops=(), recipients=(), label_basis=None)
    [row] = facts_table("made", [reading], KEYS).to_pylist()
    assert (row["seen_at"], row["recipients"], row["recipient_key_id"], row["label_basis"]) == (None, [], None, None)
    assert decode_hops(row["hops"]) == ()
    assert facts_table("made", [], KEYS) == FACTS.empty_table()


@given(
    text=st.text(st.characters(codec=None)),
    when=st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5))])),
)
def test_any_text_and_time_can_be_kept(text: str, when: Any) -> None:
    hop = Hop(None, text, None, text, None, None, when, "other", b"")
    reading = Reading(
        location=text, label="ham", label_basis=None, size_bytes=1, content_sha256=bytes(32), envelope_at=when,
        hops=(hop,), url_domains=(text,), attachment_sha256s=(), attachment_types=(), recipient_domains=(),
        recipients=(text,), header_skeleton=text, mime_skeleton=text, signature=(), script=text, defects=(text,),
    )  # fmt: skip
    [row] = facts_table("made", [reading], KEYS).to_pylist()
    kept = text.encode("utf-8", "replace").decode()
    assert row["seen_at"] == when
    assert row["script"] == kept
    assert decode_hops(row["hops"])[0].helo == kept


def test_chunks_come_back_in_order_of_keys(data_dir: Path, made: Any) -> None:
    with Evidence.open(data_dir, write=True) as store:
        for key in ("c", "a", "b"):
            store.stage(key, "made", [made.reading(ord(key))])
        store.stage("d", "made", [])
    with Evidence.open(data_dir, write=True) as store:
        assert store.staged_keys() == ["a", "b", "c", "d"]
        sizes = [table["size_bytes"].to_pylist() for table in store.staged()]
        assert sizes == [[ord("a")], [ord("b")], [ord("c")], []]
        assert store.is_staged("a")
        assert not store.is_staged("e")


def test_a_chunk_staged_again_is_replaced(data_dir: Path, made: Any) -> None:
    with Evidence.open(data_dir, write=True) as store:
        store.stage("a", "made", [made.reading(1)])
        store.stage("a", "made", [made.reading(2)])
        assert [table["size_bytes"].to_pylist() for table in store.staged()] == [[2]]


def test_half_written_chunks_are_swept(data_dir: Path) -> None:
    Evidence.open(data_dir, write=True).close()
    draft = data_dir / "evidence" / "staging" / ".draft-a.arrow"
    draft.write_bytes(b"half")
    with Evidence.open(data_dir, write=True) as store:
        assert store.staged_keys() == []
    assert not draft.exists()


def test_no_recipient_is_on_disk(data_dir: Path, made: Any) -> None:
    with Evidence.open(data_dir, write=True) as store:
        store.stage("a", "made", [made.reading(1)])
        with store.batch("made", chunks=[]) as batch:
            for table in store.staged():
                batch.facts(table)
        [row] = store.facts().to_pylist()
        assert row["recipients"][0] == store.keyed_hash("joe@example.org")
        for path in (data_dir / "evidence").rglob("*"):
            assert path.is_dir() or b"joe@" not in path.read_bytes(), path


@pytest.mark.parametrize("key", ["", "../a", "a/b", "a.b", "x" * 129])
def test_a_key_that_is_no_file_name_is_refused(data_dir: Path, key: str) -> None:
    with Evidence.open(data_dir, write=True) as store, pytest.raises(ValueError, match="chunk key"):
        store.stage(key, "made", [])
