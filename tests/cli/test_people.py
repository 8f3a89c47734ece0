"""`remove`, `allow` and `rebuild`, as an operator types them."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from tests.cli.conftest import NOW, Store
from tests.cli.running import refused, run

HOST = "24.99.1.2"


@pytest.fixture
def ours(store: Store, tmp_path: Path) -> tuple[Path, str]:
    """A copy of the store, and a host that is listed in it."""
    data = tmp_path / "store"
    shutil.copytree(store.data, data)
    lines = [
        f'{{"seen_at":"2002-12-30T{hour}:00:00Z","sensor":"mx1","host":"{HOST}","kind":"message","label":"spam"}}'
        for hour in range(10, 20)
    ]
    assert run("observe", "-", "--now", NOW, data=data, stdin="\n".join(lines).encode()).code == 0
    assert HOST in {row["target"] for row in run("listings", "--now", NOW, "--json", data=data).rows()}
    return data, HOST


def test_a_listing_is_removed_refused_and_allowed(ours: tuple[Path, str]) -> None:
    data, host = ours
    done = run("remove", host, "--why", "it was cleaned", "--by", "abuse@isp.example", "--now", NOW, data=data)
    assert done.code == 0, done.err
    assert done.out.startswith(f"{host}: removed; it is its first listing")
    refused(run("remove", host, "--why", "again", "--now", NOW, data=data), "is not listed")
    assert "removal requested" in run("why", host, "--now", NOW, data=data).out
    allowed = run("allow", host, "--owner", "Example", "--why", "known", "--now", NOW, data=data)
    assert allowed.out == f"{host} is allowed, Example: known\n"
    assert [row["owner"] for row in run("allow", "--json", data=data).rows()] == ["Example"]
    assert host in run("allow", data=data).out
    ended = run("allow", host, "--end", "--why", "sold", "--now", NOW, data=data)
    assert ended.out == f"{host} is no longer allowed, Example: sold\n"
    assert run("allow", "--json", data=data).rows() == []
    rebuilt = run("rebuild", data=data)
    assert rebuilt.code == 0, rebuilt.err
    assert "the working state is the same" in rebuilt.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["allow", "--owner", "x"], "name the TARGET"),
        (["allow", "192.0.2.1", "--owner", "x"], "--owner NAME --why TEXT"),
        (["allow", "192.0.2.1", "--end", "--owner", "x", "--why", "x"], "--end needs --why"),
        (["allow", "192.0.2.1/33", "--owner", "x", "--why", "x"], "no address or network"),
        (["remove", "192.0.2.1"], "--why"),
        (["remove", "192.0.2.1", "--why", "x", "--now", "2999-01-01"], "ahead of the clock"),
        (["allow", "192.0.2.1", "--owner", "x", "--why", "x", "--now", "2999-01-01"], "ahead of the clock"),
        (["allow", "192.0.2.1", "--end", "--why", "x", "--now", "2999-01-01"], "ahead of the clock"),
        (["forget", "192.0.2.1", "--now", "2999-01-01"], "ahead of the clock"),
    ],
)
def test_what_is_missing_is_told(store: Store, arguments: list[str], words: str) -> None:
    ran = run(*arguments, data=store.data)
    refused(ran, words)
    assert ran.code == 2


def test_rebuild_says_what_it_mended(ours: tuple[Path, str]) -> None:
    data, _ = ours
    with sqlite3.connect(data / "ledger.sqlite") as database:
        database.executescript("DELETE FROM listing; DELETE FROM state")
    database.close()
    assert "mend it with --write" in run("rebuild", data=data).out
    mended = run("rebuild", "--write", data=data)
    assert mended.out.count("has been written anew") == 2
    assert mended.err.startswith("rebuilding: ")


def test_what_cannot_be_meant_is_refused(ours: tuple[Path, str], tmp_path: Path) -> None:
    data, _ = ours
    before = run("status", "--json", data=data).rows()[0]["evidence"]
    refused(run("forget", "--before", "2999-01-01", data=data), "lies ahead")
    assert run("status", "--json", data=data).rows()[0]["evidence"] == before
    refused(run("allow", data=tmp_path / "none"), str(tmp_path / "none"), "ingest")
