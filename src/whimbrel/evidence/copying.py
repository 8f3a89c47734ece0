"""One moment of a store of evidence, copied while a writer may be at work.

A file never changes once the manifest names it, and stays on disk for the grace of an hour after it is struck out.
So a moment is: the manifest as one read transaction sees it, and then, at leisure, the files that this copy names.
Staged chunks are copied *before* that transaction begins.  One that vanishes meanwhile was appended, so the manifest
has its rows; one that is in both is recognised as ingested and cleared when the copy is opened for writing.  The other
way round a chunk could be in neither.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from whimbrel.errors import StoreError
from whimbrel.evidence.derived import DERIVED_FOLDER
from whimbrel.evidence.files import reading_database, storing, sync_folder
from whimbrel.evidence.manifest import KINDS, MANIFEST_FILE
from whimbrel.evidence.staging import DRAFT, STAGING_FOLDER, STAGING_SUFFIX

_PIECE_BYTES = 1024 * 1024
_LIVE = "SELECT path, bytes FROM files UNION ALL SELECT path, bytes FROM derived ORDER BY path"


class Copied(NamedTuple):
    """How many files a copy has, and how many bytes of how many of them had to be copied."""

    files: int
    copied: int
    copied_bytes: int


class MomentPassedError(Exception):
    """A file was merged away and its grace ended while the copy was made: the copy has to begin anew."""


@contextmanager
def moment(path: Path) -> Iterator[sqlite3.Connection]:
    """Hold a database as it is now, for reading and copying, whatever a writer commits from now on."""
    with storing(path, "read"):
        db = reading_database(path)
    try:
        with storing(path, "read"):
            db.execute("BEGIN")
            db.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # only a read begins the transaction
        yield db
    finally:
        db.close()


def copy_database(db: sqlite3.Connection, goal: Path) -> None:
    """Copy a database as its transaction sees it to the new file `goal`: one file, durable, without a log beside it."""
    with storing(goal):
        copy = sqlite3.connect(goal)
        try:
            db.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
        finally:
            copy.close()
        goal.chmod(0o600)
        _sync_file(goal)


def write_ahead(path: Path) -> None:
    """Let a database that was copied have a write-ahead log again, so that readers go on beside a writer."""
    if path.exists():
        with storing(path):
            db = sqlite3.connect(path)
            try:
                db.execute("PRAGMA journal_mode=WAL")
            finally:
                db.close()
            _sync_file(path)


def copy_staged(folder: Path, goal: Path) -> None:
    """Copy the staged chunks; call it before the manifest's moment begins."""
    with storing(goal):
        (goal / STAGING_FOLDER).mkdir(parents=True, mode=0o700)
        for path in sorted((folder / STAGING_FOLDER).glob(f"*{STAGING_SUFFIX}")):
            if not path.name.startswith(DRAFT):
                with suppress(FileNotFoundError):
                    copy_file(path, goal / STAGING_FOLDER / path.name)
        sync_folder(goal / STAGING_FOLDER)


def copy_moment(folder: Path, manifest: sqlite3.Connection, goal: Path, earlier: Path | None, *, link: bool) -> Copied:
    """Copy the manifest as its transaction sees it, and the files it names, below `goal`.

    What an `earlier` copy has already is linked to it, not copied; with `link` the store's own files are linked, too.
    Raises MomentPassedError, or StoreError where a file is not as the manifest says.
    """
    copy_database(manifest, goal / MANIFEST_FILE)
    with storing(folder, "read"):
        rows = manifest.execute(_LIVE).fetchall()
    copied = copied_bytes = 0
    folders = {goal / name for name in (*KINDS, DERIVED_FOLDER)}
    with storing(goal):
        for name, size_bytes in rows:
            path = goal / name
            folders.add(path.parent)
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if earlier is not None and _linked(earlier / name, path, size_bytes):
                continue
            copied += 1
            copied_bytes += size_bytes
            if link and _linked(folder / name, path, size_bytes):
                continue
            _copy_live(folder, name, path, size_bytes)
        for each in sorted(folders):
            each.mkdir(parents=True, exist_ok=True, mode=0o700)
            sync_folder(each)
        sync_folder(goal)
    return Copied(len(rows), copied, copied_bytes)


def copy_file(source: Path, goal: Path) -> None:
    """Copy a file to the new file `goal`, with its mode, durably; raises OSError."""
    with source.open("rb") as file, os.fdopen(os.open(goal, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as copy:
        shutil.copyfileobj(file, copy, _PIECE_BYTES)
        copy.flush()
        os.fchmod(copy.fileno(), os.fstat(file.fileno()).st_mode & 0o777)
        os.fsync(copy.fileno())


def _copy_live(folder: Path, name: str, goal: Path, size_bytes: int) -> None:
    source = folder / name
    try:
        copy_file(source, goal)
    except FileNotFoundError:
        with moment(folder / MANIFEST_FILE) as now:
            is_live = name in {path for path, _ in now.execute(_LIVE)}
        if not is_live:
            raise MomentPassedError from None
        raise StoreError(f"{source}: cannot be found, and the manifest names it; run: whimbrel check") from None
    if (found := goal.stat().st_size) != size_bytes:
        raise StoreError(
            f"{source} is torn: {found:,} bytes of {size_bytes:,}; nothing was copied; run: whimbrel check"
        )


def _linked(source: Path, goal: Path, size_bytes: int) -> bool:
    """Tell whether `goal` could be made another name of `source`, if that is of the right size."""
    try:
        if source.stat().st_size != size_bytes:
            return False
        os.link(source, goal)
    except OSError:  # not there, another file system, or one without links
        return False
    return True


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
