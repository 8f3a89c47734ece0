"""Is a store whole?  Reads all of it, changes nothing, and says what is wrong and what to do.

It works beside a writer: what the manifest names at one moment is read, and stays on disk for the grace.  `wrong` is
what loses, doubles or hides rows; a `note` is what heals by itself or is somebody's decision.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from whimbrel.errors import StoreError
from whimbrel.evidence.derived import DERIVED_FOLDER
from whimbrel.evidence.files import in_schema, read_ipc, reading_database, storing
from whimbrel.evidence.keys import KEY_FILE, read_keys
from whimbrel.evidence.layout import ID_COLUMN, STORED
from whimbrel.evidence.lock import LOCK_FILE
from whimbrel.evidence.manifest import KINDS, MANIFEST_FILE, LiveFile, Manifest
from whimbrel.evidence.queries import SPILL_FOLDER
from whimbrel.evidence.staging import DRAFT, STAGING_FOLDER, STAGING_SUFFIX
from whimbrel.model.columns import FACTS

RESTORE = "restore it from a backup: whimbrel restore"

_KNOWN = {
    *(MANIFEST_FILE + suffix for suffix in ("", "-wal", "-shm", "-journal")),
    *(LOCK_FILE, KEY_FILE, STAGING_FOLDER, DERIVED_FOLDER, SPILL_FOLDER, *KINDS),
}
_TIMES = ("seen_at", "learned_at")


class Finding(NamedTuple):
    """What was found at a place in the store, and what to do about it."""

    grade: Literal["wrong", "note"]
    place: str
    problem: str
    mend: str


def check(folder: Path) -> Iterator[Finding]:
    """Yield what is wrong with the store of evidence in `folder`, and what is worth a note."""
    manifest_path = folder / MANIFEST_FILE
    if not manifest_path.exists():
        yield Finding("wrong", MANIFEST_FILE, "is not there", RESTORE)
        return
    broken = list(check_sqlite(manifest_path))
    yield from broken
    if broken:
        return
    try:
        manifest = Manifest(folder, write=False)
    except StoreError as error:
        yield Finding("wrong", MANIFEST_FILE, str(error), "use the Whimbrel that wrote it")
        return
    try:
        yield from _Check(folder, manifest).findings()
    finally:
        manifest.close()


def check_sqlite(path: Path) -> Iterator[Finding]:
    """Yield what SQLite itself finds wrong with a database."""
    try:
        db = reading_database(path)
        try:
            said = [str(row[0]) for row in db.execute("PRAGMA integrity_check(3)")]
        finally:
            db.close()
    except sqlite3.Error as error:
        said = [str(error)]
    if said != ["ok"]:
        yield Finding("wrong", path.name, f"is damaged: {' '.join(' '.join(said).split())}", RESTORE)


class _Check:
    """One reading of a store whose manifest opens."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._folder = folder
        self._manifest = manifest
        self._key_ids: set[str] = set()

    def findings(self) -> Iterator[Finding]:
        """Yield what is found, in the order of the store's layout."""
        for kind in KINDS:
            yield from self._rows(kind)
        yield from self._derived()
        yield from self._staging()
        yield from self._keys()
        yield from self._strays()

    def _rows(self, kind: str) -> Iterator[Finding]:
        with self._manifest.moment():
            files, entered = self._manifest.files(kind), _entered_ids(self._manifest, kind)
            erased = self._manifest.erased(kind)
        stored = [np.empty((0, 2), np.uint64)]
        whole = True
        for file in files:
            found = self._read(file.path, file.bytes, file.rows, STORED[kind])
            if isinstance(found, Finding):
                whole = False
                yield found
            elif found is not None:
                yield from _described_wrongly(file, found)
                stored.append(_ids(found.column(ID_COLUMN[kind])))
                if kind == "facts":
                    self._key_ids.update(pc.unique(found.column("recipient_key_id")).drop_null().to_pylist())
            else:
                whole = False
        if whole:  # else what is missing has been told
            yield from _ids_differ(kind, np.concatenate(stored), entered, erased)

    def _derived(self) -> Iterator[Finding]:
        rows = self._manifest.db.execute("SELECT path, bytes, rows FROM derived ORDER BY path").fetchall()
        for path, size_bytes, count in rows:
            found = self._read(path, size_bytes, count, None)
            if isinstance(found, Finding):
                yield found._replace(mend=f"{found.mend}, or ingest again into a new store")

    def _read(self, name: str, size_bytes: int, rows: int, schema: pa.Schema | None) -> pa.Table | Finding | None:
        """Return the rows of a live file, or what is wrong with it; None where it was replaced since it was named."""
        path = self._folder / name
        try:
            found_bytes = path.stat().st_size
        except OSError as error:
            if name not in self._live():
                return None
            return Finding("wrong", name, f"cannot be found ({error.strerror}), and holds {rows:,} rows", RESTORE)
        if found_bytes != size_bytes:
            return Finding("wrong", name, f"is torn: {found_bytes:,} bytes of {size_bytes:,}", RESTORE)
        try:
            with storing(path, "read"):
                table = pq.read_table(path, partitioning=None, use_threads=False, page_checksum_verification=True)
                if schema is not None:
                    table = in_schema(table, schema)
        except (StoreError, ValueError, pa.ArrowException) as error:
            return Finding("wrong", name, f"is damaged: {_words(error)}", RESTORE)
        if table.num_rows != rows:
            return Finding("wrong", name, f"holds {table.num_rows:,} rows, and the manifest says {rows:,}", RESTORE)
        return table

    def _live(self) -> set[str]:
        return {path for (path,) in self._manifest.db.execute("SELECT path FROM files UNION SELECT path FROM derived")}

    def _staging(self) -> Iterator[Finding]:
        for path in sorted((self._folder / STAGING_FOLDER).glob(f"*{STAGING_SUFFIX}")):
            name = path.relative_to(self._folder).as_posix()
            if path.name.startswith(DRAFT):
                yield Finding("note", name, "was half written when a run died", "nothing: the next run removes it")
                continue
            try:
                read_ipc(path, FACTS)
            except (StoreError, ValueError, pa.ArrowException) as error:
                if path.exists():  # else a run has ended meanwhile
                    yield Finding("wrong", name, f"is damaged: {_words(error)}", "delete it, and ingest again")

    def _keys(self) -> Iterator[Finding]:
        path = self._folder / KEY_FILE
        try:
            known = {key.id for key in read_keys(path)} if path.exists() else set()
        except StoreError as error:
            yield Finding("wrong", KEY_FILE, str(error), "as it says")
            return
        if missing := sorted(self._key_ids - known):
            problem = f"has no key {', '.join(missing)}, which rows name: their recipients cannot be asked about"
            yield Finding("note", KEY_FILE, problem, "nothing, if it was retired; else bring the key file back")

    def _strays(self) -> Iterator[Finding]:
        mend = "nothing: the next run removes it, unless one is writing it now"
        folders = [self._folder / name for name in (*KINDS, DERIVED_FOLDER)]
        paths = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
        known = self._manifest.known_paths()  # read after the files: what has just gone live is known
        for path in paths:
            name = path.relative_to(self._folder).as_posix()
            if name not in known:
                yield Finding("note", name, "nothing refers to it", mend if path.suffix == ".parquet" else "delete it")
        for path in sorted(self._folder.iterdir()):
            if path.name not in _KNOWN:
                yield Finding("note", path.name, "is no part of a store", "delete it, if it is not yours")


def _described_wrongly(file: LiveFile, table: pa.Table) -> Iterator[Finding]:
    """Yield where rows lie outside of what the manifest says of their file, and so are not found by time or batch."""
    ends = [(name, getattr(file, f"{name[:-3]}_first"), getattr(file, f"{name[:-3]}_last")) for name in _TIMES]
    for name, first, last in [*ends, ("batch", file.first_batch, file.last_batch)]:
        if name not in table.column_names:
            continue
        found = pc.min_max(table.column(name).cast(pa.int64())).as_py()
        if found["min"] is not None and (first is None or last is None or found["min"] < first or found["max"] > last):
            yield Finding("wrong", file.path, f"has rows whose {name} the manifest does not cover", RESTORE)


def _ids(column: pa.ChunkedArray) -> NDArray[np.uint64]:
    """Return ids of 16 bytes as pairs of numbers."""
    return _pairs(b"".join(column.to_pylist()))


def _entered_ids(manifest: Manifest, kind: str) -> NDArray[np.uint64]:
    rows = manifest.db.execute(f"SELECT id FROM {kind}_ids")  # noqa: S608 - one of KINDS
    pieces = [np.empty((0, 2), np.uint64)]
    while some := rows.fetchmany(100_000):
        pieces.append(_pairs(b"".join(each for (each,) in some)))
    return np.concatenate(pieces)


def _pairs(packed: bytes) -> NDArray[np.uint64]:
    return np.frombuffer(packed, ">u8").astype(np.uint64).reshape(-1, 2)


def _ids_differ(kind: str, stored: NDArray[np.uint64], entered: NDArray[np.uint64], erased: int) -> Iterator[Finding]:
    """Yield where the ids of the rows and those that make appending idempotent are not the same, each once.

    Of rows that were erased, so many, the ids stay known.
    """
    stored, counts = _distinct(stored)
    entered, _ = _distinct(entered)
    if twice := int((counts > 1).sum()):
        yield Finding("wrong", kind, f"{twice:,} rows are there more than once", RESTORE)
    common = int((_distinct(np.concatenate((stored, entered)))[1] > 1).sum())
    if unknown := len(stored) - common:
        yield Finding(
            "wrong", kind, f"{unknown:,} rows are not known to the manifest, and could come in again", RESTORE
        )
    if (missing := len(entered) - common - erased) > 0:
        yield Finding("wrong", kind, f"{missing:,} rows that the manifest knows are in no file", RESTORE)


def _distinct(pairs: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return the distinct pairs, ascending, and how often each is there."""
    ordered = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    begins = np.ones(len(ordered), np.bool_)
    begins[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    starts = np.flatnonzero(begins)
    return ordered[starts], np.diff(np.append(starts, len(ordered)))


def _words(error: Exception) -> str:
    """Return what an error says, its cause first, as one line."""
    return " ".join(str(error.__cause__ or error).split())
