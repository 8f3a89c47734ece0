"""The store: one folder that holds all evidence, with one writer and any number of readers.

    evidence/  manifest.sqlite  write.lock  recipients.key
               staging/<chunk key>.arrow              read, waiting for the end of their run
               observations/<day or month>-*.parquet  facts/...
               derived/<name>/<partition>-*.parquet   computed, replaceable

What a run reads goes to staging, chunk by chunk; one batch at its end appends what came of it, records the chunks as
ingested and clears them.  Every change is one manifest transaction, so that a crash at any moment leaves either all of
it or nothing; files that a crash left unnamed are removed at the next opening for writing.
"""

import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import date, datetime
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

import pyarrow as pa

from whimbrel.errors import StoreError
from whimbrel.evidence import compaction, derived, erasure, extents
from whimbrel.evidence.batch import Batch
from whimbrel.evidence.compaction import CompactionReport
from whimbrel.evidence.derived import DERIVED_FOLDER
from whimbrel.evidence.erasure import Erased
from whimbrel.evidence.extents import Extent
from whimbrel.evidence.files import storing, sync_folder
from whimbrel.evidence.keys import KEY_FILE, Keys
from whimbrel.evidence.lock import WriteLock
from whimbrel.evidence.manifest import KINDS, Counts, Manifest
from whimbrel.evidence.queries import SCHEMA, SPILL_FOLDER, Queries, conditions_of, undecided
from whimbrel.evidence.staging import STAGING_FOLDER, Staging, facts_table
from whimbrel.model.reading import Reading

STORE_FOLDER = "evidence"
RESTORING = ".restoring"  # in the data folder, while a backup is being put in the place of what was there
_NO_PARAMETERS: Mapping[str, object] = MappingProxyType({})


class Evidence:
    """An open store; a context manager.  Made by `Evidence.open`."""

    def __init__(self, folder: Path, manifest: Manifest, lock: WriteLock | None) -> None:
        self.folder = folder
        self._manifest = manifest
        self._lock = lock
        self._staging = Staging(folder / STAGING_FOLDER)
        self._queries = Queries(folder, manifest)
        self._keys: Keys | None = None

    @classmethod
    def open(cls, data_dir: Path, *, write: bool = False, make: bool = True) -> Self:
        """Open the store in a data folder; with `write`, be its only writer, and make it where there is none.

        Whoever mistypes the name of a store that must be there is helped by `make` being off.

        Raises StoreError where there is no store to read, another writer is at work, or the schema version differs.
        """
        folder = data_dir / STORE_FOLDER
        if (data_dir / RESTORING).exists():
            raise StoreError(f"a restore into {data_dir} has not ended: wait, or run `whimbrel restore --force` again")
        if not write:
            return cls(folder, Manifest(folder, write=False), None)
        if not make:
            Manifest(folder, write=False).close()
        with storing(folder, "make"):
            for name in (*KINDS, STAGING_FOLDER, DERIVED_FOLDER):
                (folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
            sync_folder(folder)
        with ExitStack() as on_failure:
            lock = WriteLock(folder)
            on_failure.callback(lock.release)
            manifest = Manifest(folder, write=True)
            on_failure.callback(manifest.close)
            store = cls(folder, manifest, lock)
            store._recover()
            on_failure.pop_all()
        return store

    @staticmethod
    def check_free(data_dir: Path) -> None:
        """Raise StoreError where another process is the store's writer now: to say so before anything else is begun."""
        folder = data_dir / STORE_FOLDER
        if folder.exists():
            WriteLock(folder).release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the store and let the next writer in.  May be called twice."""
        self._queries.close()
        self._manifest.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _recover(self) -> None:
        self._staging.sweep()
        self._staging.clear([key for key in self._staging.chunk_keys() if self.is_ingested(key)])
        compaction.sweep(self.folder, self._manifest, (*KINDS, DERIVED_FOLDER))
        compaction.delete_dead(self.folder, self._manifest)
        shutil.rmtree(self.folder / SPILL_FOLDER, ignore_errors=True)

    # Staging

    def is_staged(self, chunk_key: str) -> bool:
        """Tell whether a chunk was read, in this run or an interrupted one, and waits to be appended."""
        return self._staging.holds(chunk_key)

    def stage(self, chunk_key: str, sensor: str, readings: Sequence[Reading]) -> None:
        """Keep what was read of a chunk: durable when this returns.  Recipients are hashed here."""
        self._staging.add(chunk_key, facts_table(sensor, readings, self._open_keys()))

    def staged(self) -> Iterator[pa.Table]:
        """Yield the staged rows of `FACTS`, chunk by chunk in order of keys; one chunk is in memory at a time."""
        return self._staging.tables()

    def staged_keys(self) -> list[str]:
        """Return the keys of staged chunks, sorted."""
        return self._staging.chunk_keys()

    def is_ingested(self, chunk_key: str) -> bool:
        """Tell whether a chunk was read and appended by a finished run."""
        return self._manifest.db.execute("SELECT 1 FROM chunks WHERE key = ?", (chunk_key,)).fetchone() is not None

    # Appending

    @contextmanager
    def batch(self, name: str, *, chunks: Sequence[str] = ()) -> Iterator[Batch]:
        """Append what is given to the batch within, all at once at the end; at an exception nothing happened.

        `chunks` are the staged chunks that the batch is made from: they are recorded as ingested and cleared.
        """
        batch: Batch | None = None
        try:
            with self._manifest.transaction():
                batch = self._new_batch(name)
                yield batch
                batch.finish()
                self._finish_batch(batch, chunks)
        except BaseException:
            if batch is not None:
                batch.discard()
            raise
        self._staging.clear(chunks)

    def _new_batch(self, name: str) -> Batch:
        with storing(self._manifest.path):
            number = self._manifest.db.execute("INSERT INTO batches (name) VALUES (?)", (name,)).lastrowid
        assert number is not None
        return Batch(self.folder, self._manifest, number)

    def _finish_batch(self, batch: Batch, chunks: Sequence[str]) -> None:
        with storing(self._manifest.path):
            added = sum(batch.added.values())
            self._manifest.db.execute("UPDATE batches SET added = ? WHERE number = ?", (added, batch.number))
            self._manifest.db.executemany(
                "INSERT OR IGNORE INTO chunks VALUES (?, ?)", [(key, batch.number) for key in chunks]
            )

    @contextmanager
    def together(self) -> Iterator[None]:
        """Keep all that is replaced and remembered within, or, at an exception or a crash, nothing of it."""
        with self._manifest.transaction():
            yield

    # Reading

    def observations(
        self,
        *,
        days: Collection[date] | None = None,
        after_batch: int = 0,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        superseded: bool = False,
    ) -> pa.Table:
        """Return observations: of some days, of later batches, some columns, by a condition in SQL.

        Those that a later one corrects are left out unless `superseded`.
        """
        return self._table(
            "observations", columns, self._rows("observations", days, after_batch, columns, where, superseded)
        )

    def facts(
        self,
        *,
        days: Collection[date] | None = None,
        after_batch: int = 0,
        columns: Sequence[str] | None = None,
        where: str | None = None,
    ) -> pa.Table:
        """Return facts, likewise."""
        return self._table("facts", columns, self._rows("facts", days, after_batch, columns, where))

    def each_facts(
        self,
        *,
        days: Collection[date] | None = None,
        after_batch: int = 0,
        columns: Sequence[str] | None = None,
        where: str | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Yield facts, likewise, batch by batch in bounded memory."""
        return self._rows("facts", days, after_batch, columns, where)

    def in_decision_order(
        self, *, after_batch: int = 0, decided_until: datetime | None = None, until: datetime | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield observations in (learned_at, seen_at, id) order, in bounded memory, a range of time after another.

        Taken are those of batches after `after_batch`, with `decided_until` also older ones learned after that time (a
        run whose `until` was earlier left them undecided), and none learned after `until`.
        """
        conditions, parameters = undecided(after_batch, decided_until, until)
        with self._manifest.moment():
            files, without = self._manifest.files("observations"), self._manifest.superseded()
        files = [file for file in files if file.last_batch > after_batch or file.is_learned_after(decided_until)]
        return self._queries.in_order(conditions=conditions, parameters=parameters, files=files, without=without)

    def in_order_of_runs(self, runs: Sequence[Extent], before: Extent) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield what each of consecutive runs of decisions went over, as it stood then: (index of the run, rows).

        Rows are those of `in_decision_order` for that run, without what was superseded by then.  `before` is how far
        the run before the first one reached.
        """
        yield from extents.in_order_of_runs(self._queries, self._manifest, runs, before)

    def learned_after(self, at: datetime) -> int:
        """Count the observations learned after a moment."""
        with self._manifest.moment():
            files, without = self._manifest.files("observations"), self._manifest.superseded()
        files = [file for file in files if file.is_learned_after(at)]
        rows = self._queries.select(
            "observations",
            columns=["learned_at"],
            conditions=["learned_at > $at"],
            parameters={"at": at},
            files=files,
            without=without,
        )
        return sum(batch.num_rows for batch in rows)

    def last_batch(self) -> int:
        """Return the number of the last batch; 0 before the first."""
        return self._manifest.last_batch()

    def query(self, sql: str, parameters: Mapping[str, object] = _NO_PARAMETERS) -> pa.Table:
        """Return the answer to a query in SQL, with parameters as `$name`.

        Views: `observations` (without superseded rows), `observations_all`, `facts`, and the derived tables.
        """
        return self._queries.table(sql, parameters)

    def relations(self) -> AbstractContextManager[Any]:
        """Give an Ibis connection whose tables are the views of `query`, as of now, for expressions over them."""
        return self._queries.relations()

    def _rows(  # noqa: PLR0917 - private, passed on
        self,
        kind: str,
        days: Collection[date] | None,
        after_batch: int,
        columns: Sequence[str] | None,
        where: str | None,
        superseded: bool = False,  # noqa: FBT001, FBT002 - private, passed on
    ) -> Iterator[pa.RecordBatch]:
        conditions, parameters = conditions_of(days, after_batch, where)
        with self._manifest.moment():
            files = [file for file in self._manifest.files(kind) if file.last_batch > after_batch]
            without = [] if superseded or kind == "facts" else self._manifest.superseded()
        if days is not None:
            files = [file for file in files if days and file.may_hold(min(days), max(days))]
        return self._queries.select(
            kind, columns=columns, conditions=conditions, parameters=parameters, files=files, without=without
        )

    def _table(self, kind: str, columns: Sequence[str] | None, rows: Iterator[pa.RecordBatch]) -> pa.Table:
        names = SCHEMA[kind].names if columns is None else columns
        return pa.Table.from_batches(rows, pa.schema([SCHEMA[kind].field(name) for name in names]))

    # What analysis computed, and small settings

    def replace(self, name: str, partitions: Mapping[str, pa.Table], *, stage: str, version: int) -> None:
        """Put tables in the place of the named partitions of a derived table, all at once; `""` replaces all of it."""
        derived.replace(self.folder, self._manifest, name, partitions, stage=stage, version=version)

    def derived(self, name: str, partitions: Sequence[str] | None = None) -> pa.Table | None:
        """Return a derived table, or the named partitions of it; None where nothing was stored."""
        return derived.read(self.folder, self._manifest, name, partitions)

    def drop(self, name: str) -> None:
        """Take a derived table out; it is as if it had never been stored."""
        derived.drop(self._manifest, name)

    def derived_versions(self, name: str) -> set[tuple[str, int]]:
        """Return the (stage, version) pairs that the partitions of a derived table were made by."""
        return derived.versions(self._manifest, name)

    def remember(self, key: str, value: str) -> None:
        """Keep a small setting; within a batch it is kept when the batch is."""
        with self._manifest.transaction(), storing(self._manifest.path):
            self._manifest.db.execute("INSERT OR REPLACE INTO memory VALUES (?, ?)", (key, value))

    def recall(self, key: str) -> str | None:
        """Return what was last remembered under a key."""
        return self._manifest.setting(key)

    # Keeping house

    def compact(self, *, min_files: int = 8, rows: int | None = None) -> CompactionReport:
        """Merge small files where a day or month has at least `min_files`; delete files dead for an hour.

        With `rows`, only files of fewer rows are merged, which costs little and can be done often.
        """
        return compaction.compact(self.folder, self._manifest, min_files=min_files, rows=rows)

    def forget(self, *, before: date) -> int:
        """End the term of all days before `before`: delete their rows; return how many."""
        return compaction.forget(self.folder, self._manifest, before=before)

    def erase_host(self, host: str) -> Erased:
        """Erase a host's observations and the facts that name it, within `together`; `bury` ends the old files."""
        return erasure.erase_host(self.folder, self._manifest, host)

    def erase_recipient(self, address: str) -> Erased:
        """Erase a recipient's keyed hashes, under every key, likewise."""
        return erasure.erase_recipient(self.folder, self._manifest, self._open_keys().hashes(address))

    def bury(self) -> None:
        """Delete all files that are no longer live, whether or not their grace is over."""
        erasure.bury(self.folder, self._manifest)

    def counts(self) -> Counts:
        """Count what is stored."""
        with self._manifest.moment():
            return self._manifest.counts(len(self._staging.chunk_keys()))

    def keyed_hash(self, text: str) -> bytes:
        """Return the keyed hash of a recipient, as `facts.recipients` has it."""
        return self._open_keys().keyed_hash(text)

    def _open_keys(self) -> Keys:
        if self._keys is None:
            self._keys = Keys.open(self.folder / KEY_FILE)
        return self._keys
