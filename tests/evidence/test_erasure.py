"""What names a host is found however it is written, and nothing else is."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from whimbrel.evidence import Evidence, encode_hops, naming
from whimbrel.evidence.checking import check
from whimbrel.evidence.keys import Keys
from whimbrel.model.reading import Hop


@pytest.mark.parametrize(
    "text",
    ["24.1.2.3", "[24.1.2.3]", "24.1.2.3.", "24.1.2.3.adsl.example", "x24.1.2.3", "at 24.1.2.3, port 25", "a.24.1.2.3"],
)
def test_an_ipv4_host_is_named(text: str) -> None:
    assert naming("24.1.2.3")(text)


@pytest.mark.parametrize(
    "text", [None, "", "124.1.2.3", "24.1.2.33", "9.24.1.2.3", "24.1.2.3.4", "24-1-2-3.example", "24.1.2"]
)
def test_what_only_looks_like_an_ipv4_host_is_not(text: str | None) -> None:
    assert not naming("24.1.2.3")(text)


@pytest.mark.parametrize(
    "text", ["2001:db8::1", "[IPv6:2001:db8::1]", "2001:DB8:0:0:1:2:3:4", "from 2001:db8::ffff,", "2001:db8::/64"]
)
def test_an_ipv6_host_is_named_by_any_of_its_addresses(text: str) -> None:
    assert naming("2001:db8::/64")(text)


@pytest.mark.parametrize("text", [None, "", "2001:db8:0:1::1", "2001:db9::1", "12:30:00", "::", "example.org"])
def test_what_only_looks_like_an_ipv6_host_is_not(text: str | None) -> None:
    assert not naming("2001:db8::/64")(text)


@pytest.fixture
def store(data_dir: Path, made: Any) -> Path:
    """Messages 0 and 1 came from the host, 2 names it on its way, 3 advertises it, 4's client greeted with it."""
    hop = Hop("198.51.100.1", "a.example", None, "b.example", "24.1.2.3", "SMTP", made.start, "postfix", b"t" * 32)
    with Evidence.open(data_dir, write=True) as store, store.batch("made") as batch:
        batch.observations(made.observations([0, 1], host="24.1.2.3"))
        batch.observations(made.observations([2, 3, 5, 6, 7]))
        batch.observations(made.observations([4], helo="[24.1.2.3]"))
        batch.facts(made.facts([0, 1, 4, 5, 6, 7]))
        batch.facts(made.facts([2], hops=encode_hops((hop,))))
        batch.facts(made.facts([3], url_domains=["24.1.2.3"]))
    return data_dir


def test_a_host_goes_with_what_names_it_and_the_rest_stays(store: Path, made: Any) -> None:
    with Evidence.open(store, write=True) as evidence:
        with evidence.together():
            erased = evidence.erase_host("24.1.2.3")
        assert (erased.observations, erased.facts) == (3, 4)
        assert erased.days == {made.seen_at(n).date() for n in range(5)}
        rows = {row["id"]: row for row in evidence.observations().to_pylist()}
        assert set(rows) == {made.id(n) for n in range(2, 8)}
        assert rows[made.id(4)]["helo"] is None
        assert set(evidence.facts(columns=["message_id"])["message_id"].to_pylist()) == {
            made.id(n) for n in range(4, 8)
        }
        evidence.bury()
        with evidence.batch("again") as batch:  # the same mail read again does not bring it back
            assert batch.observations(made.observations([0, 1], host="24.1.2.3")) == 0
        named = {path.name for path in (store / "evidence").rglob("*.parquet")}
        assert named == {Path(path).name for path in evidence._manifest.known_paths()}


def test_a_store_is_sound_afterwards_and_what_else_is_missing_is_still_told(store: Path) -> None:
    with Evidence.open(store, write=True) as evidence:
        with evidence.together():
            evidence.erase_host("24.1.2.3")
        evidence.bury()
    assert list(check(store / "evidence")) == []
    with closing(sqlite3.connect(store / "evidence" / "manifest.sqlite", isolation_level=None)) as db:
        db.execute("INSERT INTO facts_ids VALUES (?)", (bytes(16),))
    assert [(each.grade, each.problem) for each in check(store / "evidence")] == [
        ("wrong", "1 rows that the manifest knows are in no file")
    ]


def test_a_failure_leaves_everything(store: Path) -> None:
    with Evidence.open(store, write=True) as evidence:
        before = evidence.observations(), evidence.facts()
        with pytest.raises(KeyboardInterrupt), evidence.together():  # noqa: PT012
            evidence.erase_host("24.1.2.3")
            raise KeyboardInterrupt
        assert (evidence.observations(), evidence.facts()) == before


def test_a_recipient_goes_under_every_key(data_dir: Path, made: Any) -> None:
    with Evidence.open(data_dir, write=True) as store:
        old = store.keyed_hash("joe@example.org")
    path = data_dir / "evidence" / "recipients.key"
    path.write_text(path.read_text() + "feedbeef " + "77" * 32 + "\n")
    new = Keys.open(path).keyed_hash("joe@example.org")
    assert old != new
    with Evidence.open(data_dir, write=True) as store:
        with store.batch("made") as batch:
            batch.facts(made.facts([1], recipients=[old, made.id(1)]))
            batch.facts(made.facts([2], recipients=[new]))
            batch.facts(made.facts([3], recipients=None))
            batch.facts(made.facts([4]))
        with store.together():
            assert store.erase_recipient("joe@example.org").facts == 2
        kept = {row["message_id"]: row["recipients"] for row in store.facts().to_pylist()}
        assert kept == {made.id(1): [made.id(1)], made.id(2): [], made.id(3): None, made.id(4): [made.id(4)]}


def test_dead_files_go_at_once(data_dir: Path, made: Any, append: Any) -> None:
    with Evidence.open(data_dir, write=True) as store:
        for number in range(4):
            append(store, [number])
        store.compact(min_files=2)
        live = {file.path for file in store._manifest.files()}
        store.bury()
        folder = data_dir / "evidence"
        assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet")} == live
