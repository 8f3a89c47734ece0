"""Opening a ledger: SQLite in a file or PostgreSQL by its URL, brought up to date on the way.

A ledger has one version, the revision of its tables.  An older one is migrated in place when it is opened, in one
transaction; a newer one is refused.  Whoever dies at making or migrating leaves what was there before.

A URL may hold a password: errors name the server and the database, and nothing else of it.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote

import sqlalchemy as sql
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from whimbrel.errors import ConfigError, StoreError
from whimbrel.listings.ledger.schema import ALEMBIC_VERSION, METADATA

# Where a ledger lies: an SQLite file, or the URL of a PostgreSQL database.
Place = Path | str
Mode = Literal["read", "append", "write"]

LEDGER_VERSION: Final = 2

# Waiting for another writer's transaction; longer than any commit of ours, shorter than a user's patience.
_BUSY_SECONDS: Final = 10

# What who makes or migrates a ledger on PostgreSQL holds until its transaction ends: there may be no table to lock yet.
_MIGRATING: Final = "SELECT pg_advisory_xact_lock(20040127)"

_SCHEMES: Final = frozenset({"postgresql", "postgres", "postgresql+psycopg"})


class Opened:
    """An engine, and the name by which errors call what it is connected to."""

    def __init__(self, engine: sql.Engine, name: str) -> None:
        self.engine = engine
        self.name = name

    @contextmanager
    def reading(self) -> Iterator[sql.Connection]:
        """Give a connection that sees one moment; raises StoreError for what the database says."""
        with self.telling("read"), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sql.Connection]:
        """Give the one writer's connection; all that is written is committed at the end, or, at an exception, nothing.

        Raises StoreError where it cannot be written or another writer does not come to an end.
        """
        with self.telling("written"), self.engine.connect() as connection:
            writer = connection.execution_options(whimbrel_writing=True)
            with writer.begin():
                if self.engine.dialect.name == "postgresql":
                    writer.execute(sql.text("LOCK TABLE run IN SHARE ROW EXCLUSIVE MODE"))
                yield writer

    @contextmanager
    def telling(self, done: str) -> Iterator[None]:
        """Turn what the database says into one line of StoreError."""
        try:
            yield
        except SQLAlchemyError as error:
            raise StoreError(f"{self.name}: the ledger cannot be {done} ({reason(error)})") from error


def opened(place: Place, mode: Mode) -> Opened | None:
    """Open a ledger; `write` makes it where there is none, otherwise None is returned there.

    Raises StoreError where it is unreadable, or newer than this program; ConfigError for a URL that is none.
    """
    found = _file(place, mode) if isinstance(place, Path) else _server(place)
    if found is None:
        return None
    try:
        version = _version(found)
    except SQLAlchemyError as error:
        found.engine.dispose()
        raise StoreError(f"{found.name}: not a ledger that can be opened ({reason(error)})") from error
    if version > LEDGER_VERSION:
        found.engine.dispose()
        raise StoreError(
            f"{found.name}: written by ledger version {version}, this program reads {LEDGER_VERSION}: "
            "use the Whimbrel that wrote it"
        )
    if version < LEDGER_VERSION and (version or mode == "write"):
        _bring_up(place, found)
    elif not version:
        found.engine.dispose()
        return None
    return found


def reason(error: SQLAlchemyError) -> str:
    """Return in one line what a database said, without statements and their parameters."""
    said = error.orig if isinstance(error, DBAPIError) else None
    lines = str(said or "").splitlines()
    return lines[0].strip() if lines else error.__class__.__name__


def _file(path: Path, mode: Mode) -> Opened | None:
    if not path.exists():
        if mode != "write":
            return None
        try:
            _make(path)
        except (SQLAlchemyError, OSError, sqlite3.Error) as error:
            said = reason(error) if isinstance(error, SQLAlchemyError) else error
            raise StoreError(f"{path}: the ledger cannot be made ({said})") from error
    return Opened(_sqlite(path, "ro" if mode == "read" else "rw"), str(path))


def _make(path: Path) -> None:
    """Make an empty ledger beside its place and rename it: who dies at it leaves none, and not half of one."""
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    draft.touch(0o600)
    found = Opened(_sqlite(draft, "rwc"), str(draft))
    with closing(sqlite3.connect(draft)) as database:
        database.execute("PRAGMA journal_mode=WAL")  # stays with the file: readers go on beside a writer
    _migrate(found)
    found.engine.dispose()  # the last connection takes the write-ahead log in
    draft.replace(path)


def _sqlite(path: Path, mode: str) -> sql.Engine:
    def connect() -> sqlite3.Connection:
        uri = f"file:{quote(str(path))}?mode={mode}"
        database = sqlite3.connect(uri, _BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=True)
        database.execute("PRAGMA synchronous=FULL")  # a commit is on the disk when it returns
        return database

    engine = sql.create_engine("sqlite://", creator=connect, poolclass=sql.QueuePool)

    # The driver would begin a transaction late, and none for changes of the schema: it is told to begin none, and this
    # begins them; a writer's at once with the lock, so that what it reads is what it changes.
    @sql.event.listens_for(engine, "begin")
    def begin(connection: sql.Connection) -> None:
        is_writing = connection.get_execution_options().get("whimbrel_writing")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")

    return engine


def _server(url: str) -> Opened:
    try:
        parsed = sql.make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    # An @ in a password that is not written as %40 would show what follows it as a part of the server's name.
    if parsed is None or parsed.drivername not in _SCHEMES or "@" in f"{parsed.host}{parsed.database or '@'}":
        raise ConfigError("the ledger's URL is not one of PostgreSQL; write postgresql://USER:PASSWORD@HOST/DATABASE")
    options = parsed.query.get("options", "")
    name = f"postgresql://{parsed.host or ''}{f':{parsed.port}' if parsed.port else ''}/{parsed.database}"
    try:
        engine = sql.create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            isolation_level="REPEATABLE READ",
            connect_args={
                "connect_timeout": _BUSY_SECONDS,
                "options": f"-c lock_timeout={_BUSY_SECONDS}s {options if isinstance(options, str) else ''}",
            },
        )
    except ModuleNotFoundError:
        raise ConfigError(
            f"a ledger on PostgreSQL ({name}) needs the extra: pip install 'whimbrel[postgresql]'"
        ) from None
    return Opened(engine, name)


def _bring_up(place: Place, found: Opened) -> None:
    """Migrate what was opened, which may be for reading only."""
    writable = Opened(_sqlite(place, "rw"), found.name) if isinstance(place, Path) else found
    try:
        _migrate(writable)
    except SQLAlchemyError as error:
        found.engine.dispose()
        raise StoreError(f"{found.name}: the ledger cannot be brought up to date ({reason(error)})") from error
    finally:
        if writable is not found:
            writable.engine.dispose()


def _version(found: Opened) -> int:
    """Return a ledger's version; 0 where there is none."""
    with found.engine.connect() as connection:
        return _version_in(connection)


def _version_in(connection: sql.Connection) -> int:
    tables = set(sql.inspect(connection).get_table_names())
    if "alembic_version" in tables:
        version = connection.execute(sql.select(ALEMBIC_VERSION.c.version_num)).scalar()
        return int(version) if version is not None else 0
    return 1 if "mark" in tables else 0  # version 1 knew no Alembic


def _migrate(found: Opened) -> None:
    """Bring a ledger, or an empty database, up to this program's version, in one transaction."""
    with found.engine.connect() as connection:
        writer = connection.execution_options(whimbrel_writing=True)
        with writer.begin():
            if found.engine.dialect.name == "postgresql":
                writer.execute(sql.text(_MIGRATING))
            if _version_in(writer):
                upgrade(writer)
            else:
                _make_tables(writer)


def _make_tables(writer: sql.Connection) -> None:
    """Make the tables as they stand now, as an upgrade from nothing would; without Alembic, which is slow to load."""
    METADATA.create_all(writer, checkfirst=False)
    ALEMBIC_VERSION.create(writer, checkfirst=True)
    writer.execute(sql.insert(ALEMBIC_VERSION).values(version_num=str(LEDGER_VERSION)))


def upgrade(writer: sql.Connection) -> None:
    """Run the migrations that a ledger, or an empty database, still needs."""
    from alembic import command  # noqa: PLC0415  a fifth of a second that only an older ledger should cost
    from alembic.config import Config  # noqa: PLC0415

    config = Config(attributes={"connection": writer})
    config.set_main_option("script_location", "whimbrel.listings:migrations")
    tables: Any = sql.inspect(writer).get_table_names()
    if "alembic_version" not in tables and "mark" in tables:
        command.stamp(config, "1")
    command.upgrade(config, str(LEDGER_VERSION))
