"""The manifest: which files are live, said by one SQLite database (WAL, synchronous=FULL).

A Parquet file exists for readers from the moment a committed transaction names it until one strikes it out, so any
number of files go live, or are swapped, at one instant.  What is struck out stays on disk as *dead* for a
grace, because a reader may just have listed it.  The ids of all rows are kept here too: they make appending idempotent
at the price of about two microseconds and 30 bytes a row, with no need to read old files.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec

from whimbrel.errors import StoreError
from whimbrel.evidence.files import storing
from whimbrel.model.columns import SCHEMA_VERSION

MANIFEST_FILE = "manifest.sqlite"
KINDS = ("observations", "facts")

# The layout of this database itself; together with the columns' version it is the store's version.
_LAYOUT_VERSION = 2
VERSION = f"{_LAYOUT_VERSION}.{SCHEMA_VERSION}"

# Layout 1 did not say when an observation was corrected; it is read as it is, and brought up to date for writing.
_EARLIER_VERSION = f"1.{SCHEMA_VERSION}"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_BUSY_SECONDS = 30.0  # a reader meets a lock only while a log is checkpointed or recovered, which takes far less
_CACHE_KIBIBYTES = 16_384  # pages of the id index held while appending; the rest spills to the log

_TABLES = """
CREATE TABLE store (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE batches (number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, added INTEGER NOT NULL DEFAULT 0);
CREATE TABLE files (
    path TEXT PRIMARY KEY, kind TEXT NOT NULL, partition TEXT NOT NULL, rows INTEGER NOT NULL, bytes INTEGER NOT NULL,
    schema_version INTEGER NOT NULL, first_batch INTEGER NOT NULL, last_batch INTEGER NOT NULL,
    seen_first INTEGER, seen_last INTEGER, learned_first INTEGER, learned_last INTEGER
) WITHOUT ROWID;
CREATE INDEX files_by_partition ON files (kind, partition);
CREATE TABLE dead (path TEXT PRIMARY KEY, since REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE chunks (key TEXT PRIMARY KEY, batch INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE derived (
    name TEXT NOT NULL, partition TEXT NOT NULL, path TEXT NOT NULL, rows INTEGER NOT NULL, bytes INTEGER NOT NULL,
    stage TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (name, partition)
) WITHOUT ROWID;
CREATE TABLE memory (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE observations_ids (id BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE facts_ids (id BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE superseded (id BLOB PRIMARY KEY) WITHOUT ROWID;
"""
_CORRECTIONS = """
CREATE TABLE corrections (number INTEGER PRIMARY KEY, id BLOB NOT NULL, batch INTEGER NOT NULL, stands INTEGER NOT NULL)
"""


class LiveFile(msgspec.Struct, frozen=True):
    """One live file; `partition` a day, a month or `undated`; times in microseconds since 1970, UTC."""

    path: str
    kind: str
    partition: str
    rows: int
    bytes: int
    schema_version: int
    first_batch: int
    last_batch: int
    seen_first: int | None
    seen_last: int | None
    learned_first: int | None
    learned_last: int | None

    def may_hold(self, first: date, last: date) -> bool:
        """Tell whether a row seen from the day `first` to the day `last` can be in this file."""
        if self.seen_first is None or self.seen_last is None:
            return False
        return day_of(self.seen_first) <= last and first <= day_of(self.seen_last)

    def is_learned_after(self, at: datetime | None) -> bool:
        """Tell whether a row learned after `at` can be in this file; none is after no moment at all."""
        return at is not None and self.learned_last is not None and self.learned_last > microseconds_of(at)


class KindCounts(msgspec.Struct, frozen=True):
    """How much is stored of one kind of row; `first_day` and `last_day` of `seen_at`."""

    rows: int
    files: int
    bytes: int
    first_day: date | None
    last_day: date | None


class Counts(msgspec.Struct, frozen=True):
    """What a store holds: evidence, staged and finished chunks, finished batches, derived tables and their rows."""

    observations: KindCounts
    facts: KindCounts
    superseded: int
    batches: int
    staged_chunks: int
    ingested_chunks: int
    derived: dict[str, int]


def microseconds_of(at: datetime) -> int:
    """Return an instant as the manifest keeps it."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def day_of(microseconds: int) -> date:
    """Return the UTC day of an instant."""
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).date()


class Manifest:
    """The open database.  `transaction` is what makes changes; everything else only reads or is called inside one."""

    def __init__(self, folder: Path, *, write: bool) -> None:
        self.path = folder / MANIFEST_FILE
        if not write and not self.path.exists():
            raise StoreError(f"there is no evidence in {folder}: ingest some first, or name another data folder")
        with storing(self.path, "open"):
            self.db = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)
            try:
                self._set_up(write=write)
            except BaseException:
                self.db.close()
                raise

    def _set_up(self, *, write: bool) -> None:
        if write:
            self.db.execute("PRAGMA journal_mode=WAL")
            self.db.execute("PRAGMA synchronous=FULL")
            self.db.execute(f"PRAGMA cache_size=-{_CACHE_KIBIBYTES}")
            if not self.db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
                self.db.execute("BEGIN IMMEDIATE")
                for statement in [*_TABLES.split(";\n"), _CORRECTIONS]:
                    self.db.execute(statement)
                self.db.execute("INSERT INTO store VALUES ('version', ?)", (VERSION,))
                self.db.execute("COMMIT")
            elif self._version() == _EARLIER_VERSION:
                self._bring_up()
        else:
            self.db.execute("PRAGMA query_only=ON")
        found = self._version()
        if found != VERSION and (write or found != _EARLIER_VERSION):
            raise StoreError(
                f"{self.path} has schema version {found or 'none'}, this Whimbrel needs {VERSION}: "
                "use the Whimbrel that wrote it, or ingest again into a new data folder"
            )

    def _version(self) -> str | None:
        found = self.db.execute("SELECT value FROM store WHERE key = 'version'").fetchone()
        return None if found is None else str(found[0])

    def _bring_up(self) -> None:
        """Enter what was corrected before corrections were dated as corrected from the first batch on."""
        with self.transaction():
            self.db.execute(_CORRECTIONS)
            self.db.execute("INSERT INTO corrections (id, batch, stands) SELECT id, 0, 0 FROM superseded ORDER BY id")
            self.db.execute("UPDATE store SET value = ? WHERE key = 'version'", (VERSION,))

    def close(self) -> None:
        """Close the database; an open transaction is rolled back."""
        self.db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything done within, or, at any exception, nothing; flat: one inside another joins it."""
        if self.db.in_transaction:
            yield
            return
        with storing(self.path):
            self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
            with storing(self.path):
                self.db.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        # After some errors (a full disk) SQLite has rolled back by itself.
        if self.db.in_transaction:
            self.db.execute("ROLLBACK")

    @contextmanager
    def moment(self) -> Iterator[None]:
        """Let all that is read within be of one moment, whatever a writer commits meanwhile."""
        if self.db.in_transaction:
            yield
            return
        self.db.execute("BEGIN")
        try:
            yield
        finally:
            self.db.execute("COMMIT")

    def files(self, kind: str | None = None) -> list[LiveFile]:
        """Return the live files (of one kind), ordered by partition and batch: one moment's snapshot."""
        rows = self.db.execute(
            "SELECT * FROM files WHERE ? IS NULL OR kind = ? ORDER BY kind, partition, first_batch, path", (kind, kind)
        )
        names = [column[0] for column in rows.description]
        assert names == list(LiveFile.__struct_fields__)
        return [LiveFile(*row) for row in rows]

    def add_file(self, file: LiveFile) -> None:
        """Make a file live when the transaction commits."""
        marks = ", ".join("?" * len(LiveFile.__struct_fields__))
        self.db.execute(f"INSERT INTO files VALUES ({marks})", msgspec.structs.astuple(file))  # noqa: S608 - only marks

    def strike(self, paths: Sequence[str], since_seconds: float) -> None:
        """Take evidence or derived files out of life; they become dead at `since_seconds` (Unix time)."""
        self.db.executemany("INSERT OR IGNORE INTO dead VALUES (?, ?)", [(path, since_seconds) for path in paths])
        self.db.executemany("DELETE FROM files WHERE path = ?", [(path,) for path in paths])

    def known_paths(self) -> set[str]:
        """Return every path that the manifest names: live, derived and dead."""
        rows = self.db.execute("SELECT path FROM files UNION SELECT path FROM derived UNION SELECT path FROM dead")
        return {path for (path,) in rows}

    def new_ids(self, kind: str, ids: Sequence[bytes]) -> list[bool]:
        """Enter ids, and tell of each whether it was new."""
        insert = f"INSERT OR IGNORE INTO {kind}_ids VALUES (?)"  # noqa: S608 - one of KINDS
        cursor = self.db.cursor()
        cursor.execute("SAVEPOINT ids")
        all_new = cursor.executemany(insert, [(each,) for each in sorted(ids)]).rowcount == len(ids)
        if not all_new:
            cursor.execute("ROLLBACK TO ids")
        cursor.execute("RELEASE ids")
        if all_new:  # the common case, told at a third of the cost
            return [True] * len(ids)
        execute = cursor.execute
        return [execute(insert, (each,)).rowcount == 1 for each in ids]

    def drop_ids(self, kind: str, ids: Sequence[bytes]) -> None:
        """Take ids of deleted rows out."""
        self.db.executemany(f"DELETE FROM {kind}_ids WHERE id = ?", [(each,) for each in ids])  # noqa: S608 - as above

    def note_erased(self, kind: str, rows: int) -> None:
        """Count rows that were erased, and whose ids stay known."""
        total = self.erased(kind) + rows
        self.db.execute("INSERT OR REPLACE INTO memory VALUES (?, ?)", (f"erased {kind}", str(total)))

    def erased(self, kind: str) -> int:
        """Return how many ids are known whose rows were erased."""
        return int(self.setting(f"erased {kind}") or 0)

    def dead(self, before_seconds: float) -> list[str]:
        """Return the paths that died before an instant (Unix time)."""
        rows = self.db.execute("SELECT path FROM dead WHERE since < ? ORDER BY path", (before_seconds,))
        return [path for (path,) in rows]

    def bury(self, paths: Sequence[str]) -> None:
        """Take the paths of deleted files off the list of dead ones."""
        self.db.executemany("DELETE FROM dead WHERE path = ?", [(path,) for path in paths])

    def supersede(self, ids: Sequence[bytes], batch: int) -> None:
        """Enter ids of observations that one of a batch corrects."""
        self.db.executemany("INSERT OR IGNORE INTO superseded VALUES (?)", [(each,) for each in ids])
        self._note_corrections(ids, batch, stands=False)

    def reinstate(self, ids: Sequence[bytes], batch: int) -> None:
        """Let observations that were corrected stand again, from a batch on."""
        known = [each for each in ids if self._is_superseded(each)]
        self.db.executemany("DELETE FROM superseded WHERE id = ?", [(each,) for each in known])
        self._note_corrections(known, batch, stands=True)

    def _is_superseded(self, observation_id: bytes) -> bool:
        return self.db.execute("SELECT 1 FROM superseded WHERE id = ?", (observation_id,)).fetchone() is not None

    def _note_corrections(self, ids: Sequence[bytes], batch: int, *, stands: bool) -> None:
        rows = [(each, batch, stands) for each in ids]
        self.db.executemany("INSERT INTO corrections (id, batch, stands) VALUES (?, ?, ?)", rows)

    def corrections(self, up_to_batch: int) -> list[tuple[bytes, int, bool]]:
        """Return (id, batch, whether it stands from there on) of every correction up to a batch, oldest first."""
        sql = "SELECT id, batch, stands FROM corrections WHERE batch <= ? ORDER BY number"
        if self._version() != VERSION:
            sql = "SELECT id, 0, 0 FROM superseded WHERE 0 <= ?"
        return [(each, batch, bool(stands)) for each, batch, stands in self.db.execute(sql, (up_to_batch,))]

    def superseded(self) -> list[bytes]:
        """Return the ids of observations that a later one corrects."""
        return [each for (each,) in self.db.execute("SELECT id FROM superseded ORDER BY id")]

    def derived_paths(self, name: str | None = None) -> dict[str, list[str]]:
        """Return the paths of each derived table (or of the one named), in order of partitions."""
        found: dict[str, list[str]] = defaultdict(list)
        rows = self.db.execute(
            "SELECT name, path FROM derived WHERE ? IS NULL OR name = ? ORDER BY name, partition", (name, name)
        )
        for each, path in rows:
            found[each].append(path)
        return found

    def setting(self, key: str) -> str | None:
        """Return what was remembered under `key`."""
        found = self.db.execute("SELECT value FROM memory WHERE key = ?", (key,)).fetchone()
        return None if found is None else str(found[0])

    def last_batch(self) -> int:
        """Return the number of the last batch; 0 before the first."""
        return self._one("SELECT coalesce(max(number), 0) FROM batches")

    def counts(self, staged_chunks: int) -> Counts:
        """Count what is stored."""
        derived = self.db.execute("SELECT name, sum(rows) FROM derived GROUP BY name ORDER BY name")
        return Counts(
            observations=self._kind_counts("observations"),
            facts=self._kind_counts("facts"),
            superseded=self._one("SELECT count(*) FROM superseded"),
            batches=self._one("SELECT count(*) FROM batches"),
            staged_chunks=staged_chunks,
            ingested_chunks=self._one("SELECT count(*) FROM chunks"),
            derived=dict(derived.fetchall()),
        )

    def _kind_counts(self, kind: str) -> KindCounts:
        rows, files, size, first, last = self.db.execute(
            "SELECT coalesce(sum(rows), 0), count(*), coalesce(sum(bytes), 0), min(seen_first), max(seen_last) "
            "FROM files WHERE kind = ?",
            (kind,),
        ).fetchone()
        return KindCounts(
            rows, files, size, None if first is None else day_of(first), None if last is None else day_of(last)
        )

    def _one(self, sql: str) -> int:
        return int(self.db.execute(sql).fetchone()[0])
