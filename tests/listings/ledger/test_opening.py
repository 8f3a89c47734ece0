"""Where a ledger may lie, what is refused, and how an older one is brought up to date."""

import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sql
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from tests.listings.rows import a_run, day, seen
from tests.postgresql import PASSWORD, Server

from whimbrel.errors import ConfigError, StoreError
from whimbrel.listings.ledger import Ledger, opening
from whimbrel.listings.ledger.opening import LEDGER_VERSION, opened, upgrade
from whimbrel.listings.ledger.rows import event_row, listing_row
from whimbrel.listings.ledger.schema import ALEMBIC_VERSION, METADATA
from whimbrel.listings.policy import Decider
from whimbrel.listings.settings import OWN
from whimbrel.model.listing import Event

# What version 1 made, as it stood in a file of its.
VERSION_1 = """
CREATE TABLE event (number INTEGER NOT NULL, at BIGINT NOT NULL, target TEXT NOT NULL, change TEXT NOT NULL,
    actor TEXT NOT NULL, code INTEGER, role TEXT, until BIGINT, score DOUBLE, prior_logit DOUBLE,
    probability_legitimate DOUBLE, why TEXT NOT NULL, evidence BLOB NOT NULL, PRIMARY KEY (number));
CREATE INDEX ix_event_at ON event (at);
CREATE INDEX ix_event_target ON event (target);
CREATE TABLE listing (target TEXT NOT NULL, code INTEGER NOT NULL, role TEXT NOT NULL, since BIGINT NOT NULL,
    until BIGINT NOT NULL, probability_legitimate DOUBLE NOT NULL, times_listed INTEGER NOT NULL,
    rule_version TEXT NOT NULL, evidence BLOB NOT NULL, PRIMARY KEY (target));
CREATE INDEX ix_listing_until ON listing (until);
CREATE TABLE state ("key" TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY ("key"));
CREATE TABLE mark (one INTEGER NOT NULL, ledger_version INTEGER NOT NULL, profile TEXT NOT NULL,
    rule_version TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (one));
"""


def test_the_migrations_make_the_tables_of_the_schema(place: Path | str) -> None:
    found = opened(place, "write")
    assert found is not None
    tables = {*METADATA.tables, "alembic_version"}
    with found.engine.connect() as connection, connection.begin():
        made = _as_made(connection, tables)
        METADATA.drop_all(connection)
        ALEMBIC_VERSION.drop(connection)
        upgrade(connection)
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
        assert _as_made(connection, tables) == made
        assert set(sql.inspect(connection).get_table_names()) == tables
    found.engine.dispose()


def _as_made(connection: sql.Connection, tables: set[str]) -> dict[str, object]:
    """Return all that can be said of some tables, and the version."""
    inspector = sql.inspect(connection)
    looks = [inspector.get_columns, inspector.get_pk_constraint, inspector.get_indexes]
    said = {table: repr([look(table) for look in looks]) for table in tables}
    return said | {"version": connection.execute(sql.select(ALEMBIC_VERSION)).all()}


def _of_version_1(path: Path) -> tuple[list[Event], list[tuple[str, bytes]]]:
    """Write a ledger as version 1 did."""
    decider = Decider(OWN)
    events = [event for n in range(30) for event in decider.decide(seen(f"192.0.{n}.1", day=n / 10))]
    states = decider.dumps()
    with Ledger.open(path.with_name("new"), "write") as new:
        new.commit(a_run(3), events, states)
        listings = new.listings(day(3))
    with sqlite3.connect(path) as database:
        database.executescript(VERSION_1)
        _fill(database, "event", [event_row(event, n) for n, event in enumerate(events, 1)])
        _fill(database, "listing", [listing_row(listing) for listing in listings])
        _fill(database, "state", [{"key": key, "value": value} for key, value in states])
        value = msgspec.msgpack.encode((7, day(3)))
        row = {"one": 1, "ledger_version": 1, "profile": "own", "rule_version": OWN.rule_version, "value": value}
        _fill(database, "mark", [row])
    database.close()
    return events, states


def _fill(database: sqlite3.Connection, table: str, rows: list[dict[str, Any]]) -> None:
    marks = ", ".join("?" * len(rows[0]))
    names = ", ".join(rows[0])
    database.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", [tuple(row.values()) for row in rows])


@pytest.mark.parametrize("mode", ["read", "append", "write"])
def test_version_1_is_migrated_where_it_lies(tmp_path: Path, mode: Any) -> None:
    path = tmp_path / "ledger.sqlite"
    events, states = _of_version_1(path)
    with Ledger.open(path, mode) as ledger, Ledger.open(tmp_path / "new") as new:
        assert ledger.history() == events
        assert dict(ledger.load_state()) == dict(states) == dict(ledger.checkpoint())
        assert ledger.listings(day(3)) == new.listings(day(3)) != []
        (run,) = ledger.runs()
        assert (run.kind, run.batch, run.until, run.profile) == ("earlier", 7, day(3), "own")
        assert run.last_event == len(events)
    with sqlite3.connect(path) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        assert tables == {*METADATA.tables, "alembic_version"}
    database.close()


def test_an_empty_ledger_of_version_1_is_migrated(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "ledger.sqlite") as database:
        database.executescript(VERSION_1)
    database.close()
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        assert (ledger.runs(), ledger.history()) == ([], [])


def test_a_migration_that_fails_leaves_the_old_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.sqlite"
    events, _ = _of_version_1(path)
    before = _dump(path)
    with monkeypatch.context() as broken:
        broken.setattr("alembic.op.drop_table", _no_room)
        with pytest.raises(StoreError, match="cannot be brought up to date"):
            Ledger.open(path)
    assert _dump(path) == before
    with Ledger.open(path) as ledger:
        assert ledger.history() == events


def test_a_migration_that_is_killed_leaves_the_old_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    events, _ = _of_version_1(path)
    before = _dump(path)
    script = (
        "import os, sys, alembic.op\n"
        "from pathlib import Path\n"
        "from whimbrel.listings.ledger import Ledger\n"
        "alembic.op.drop_table = lambda _: os.kill(os.getpid(), 9)\n"
        "Ledger.open(Path(sys.argv[1]))\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert killed.returncode == -9
    assert _dump(path) == before
    with Ledger.open(path) as ledger:
        assert ledger.history() == events


def _no_room(_: str) -> None:
    raise sql.exc.OperationalError("DROP", None, Exception("the disk is full"))


def _dump(path: Path) -> list[str]:
    with sqlite3.connect(path) as database:
        lines = list(database.iterdump())
    database.close()
    return lines


def test_a_newer_ledger_is_refused_in_one_line(place: Path | str) -> None:
    found = opened(place, "write")
    assert found is not None
    with found.engine.begin() as connection:
        connection.execute(sql.text("UPDATE alembic_version SET version_num = '99'"))
    found.engine.dispose()
    for mode in ("read", "append", "write"):
        with pytest.raises(StoreError, match=f"ledger version 99, this program reads {LEDGER_VERSION}") as refusal:
            Ledger.open(place, mode)
        assert "\n" not in str(refusal.value)
        assert PASSWORD not in str(refusal.value)


def test_where_there_is_none_a_reader_is_told(place: Path | str) -> None:
    for mode in ("read", "append"):
        with pytest.raises(StoreError, match="no ledger here; run"):
            Ledger.open(place, mode)
        assert Ledger.find(place, mode) is None
    if isinstance(place, Path):
        assert not place.exists()


def test_nobody_else_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger.open(path, "write") as ledger:
        ledger.commit(a_run(1))
        assert {each.stat().st_mode & 0o777 for each in tmp_path.iterdir()} == {0o600}


def test_what_is_no_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is not a database, whatever its name may be\n" * 100)
    with pytest.raises(StoreError, match="not a ledger that can be opened \\(file is not a database\\)"):
        Ledger.open(tmp_path / "text")


def test_a_folder_that_is_none_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="the ledger cannot be made"):
        Ledger.open(tmp_path / "none" / "ledger.sqlite", "write")


@pytest.mark.parametrize(
    "url",
    [
        "mysql://whimbrel:open@host/x",
        "postgresql://whimbrel:open@host",
        "open",
        "://",
        "postgresql://u:pa@open@host/x",
    ],
)
def test_a_url_that_is_none_is_one_line_without_it(url: str) -> None:
    with pytest.raises(ConfigError, match="is not one of PostgreSQL") as refusal:
        Ledger.open(url)
    assert "open" not in str(refusal.value).replace("opened", "")


def test_a_server_that_does_not_answer_or_let_in_is_one_line_without_password(postgresql_server: Server) -> None:
    for url in (
        postgresql_server.url(password="not&this"),
        "postgresql://whimbrel:not%26this@127.0.0.1:1/whimbrel",
        "postgresql://127.0.0.1:1/whimbrel?password=not%26this",
    ):
        with pytest.raises(StoreError, match=r"postgresql://.*: not a ledger that can be opened") as refusal:
            Ledger.open(url)
        for told in (str(refusal.value), repr(refusal.value)):
            assert "not&this" not in told
            assert "not%26this" not in told
            assert "\n" not in told


def test_without_the_driver_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"needs the extra: pip install 'whimbrel\[postgresql\]'"):
        Ledger.open("postgresql://whimbrel@127.0.0.1:1/whimbrel")


def test_making_a_ledger_and_opening_it_need_no_alembic(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom whimbrel.listings.ledger import Ledger\n"
        "Ledger.open(Path(sys.argv[1]), 'write').close()\n"
        "Ledger.open(Path(sys.argv[1])).close()\nassert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "ledger.sqlite")], check=True)


def test_a_name_with_marks_of_a_url_is_a_file_like_any(tmp_path: Path) -> None:
    path = tmp_path / "50% of it? #1" / "ledger.sqlite"
    path.parent.mkdir()
    Ledger.open(path, "write").close()
    assert [each.name for each in path.parent.iterdir()] == ["ledger.sqlite"]
    assert opening.opened(path, "read") is not None
