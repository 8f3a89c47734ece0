"""Rewriting files without changing what they say: merging small ones, and ending the term of old days.

Both write the new files first, then swap them for the old in one transaction.  The old files stay on disk as dead for
`GRACE_SECONDS`, since a reader may have listed them just before, and are deleted by the next compaction or
opening for writing after that.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from whimbrel.evidence.files import discard, read_parquet, storing, sync_folder
from whimbrel.evidence.layout import ID_COLUMN, STORED, write_slices
from whimbrel.evidence.manifest import KINDS, LiveFile, Manifest, day_of
from whimbrel.model.columns import INSTANT

# Readers list the manifest and open files at once; an hour is longer than the longest query of a day's work.
GRACE_SECONDS = 3_600.0

# A file of this many rows is read well as it is, and merging fewer than this at a time bounds the memory of a merge
# (facts: about 1 KB a row).
LARGE_ROWS = 64_000


class CompactionReport(msgspec.Struct, frozen=True):
    """What one compaction did: files merged, files made of them, dead files deleted."""

    merged: int
    made: int
    deleted: int


def compact(folder: Path, manifest: Manifest, *, min_files: int, rows: int | None = None) -> CompactionReport:
    """Merge the small files of each partition that has at least `min_files` of them; `rows`: those below so many."""
    small_rows = LARGE_ROWS if rows is None else rows
    merged = made = 0
    for kind in KINDS:
        small: dict[str, list[LiveFile]] = defaultdict(list)
        for file in manifest.files(kind):
            if file.rows < small_rows:
                small[file.partition].append(file)
        for files in small.values():
            if len(files) < max(min_files, 2):
                continue
            for group in _groups(files):
                tables = [read_parquet(folder / file.path, STORED[kind]) for file in group]
                made += swap(folder, manifest, kind, group, pa.concat_tables(tables))
                merged += len(group)
    return CompactionReport(merged, made, delete_dead(folder, manifest))


def forget(folder: Path, manifest: Manifest, *, before: date) -> int:
    """End the term of every day before `before`: delete its observations and facts; return the rows deleted.

    Rows without `seen_at` have no term of their own and stay.
    """
    limit = pa.scalar(datetime(before.year, before.month, before.day, tzinfo=UTC), INSTANT)
    deleted = 0
    for kind in KINDS:
        for file in manifest.files(kind):
            if file.seen_first is None or day_of(file.seen_first) >= before:
                continue
            table = read_parquet(folder / file.path, STORED[kind])
            is_old = pc.fill_null(pc.less(table.column("seen_at"), limit), pa.scalar(value=False))
            old = table.filter(is_old)
            with manifest.transaction():
                manifest.drop_ids(kind, old.column(ID_COLUMN[kind]).to_pylist())
                swap(folder, manifest, kind, [file], table.filter(pc.invert(is_old)))
            deleted += old.num_rows
    return deleted


def delete_dead(folder: Path, manifest: Manifest) -> int:
    """Delete the files that have been dead for longer than the grace."""
    paths = manifest.dead(time.time() - GRACE_SECONDS)
    with storing(folder, "delete files in"):
        for path in paths:
            (folder / path).unlink(missing_ok=True)
        with manifest.transaction():
            manifest.bury(paths)
    return len(paths)


def sweep(folder: Path, manifest: Manifest, folders: Iterable[str]) -> None:
    """Remove files that no manifest line names: what a crash left behind."""
    known = manifest.known_paths()
    with storing(folder, "delete files in"):
        for name in folders:
            for path in (folder / name).rglob("*.parquet"):
                if path.relative_to(folder).as_posix() not in known:
                    path.unlink()


def _groups(files: Sequence[LiveFile]) -> Iterator[list[LiveFile]]:
    group: list[LiveFile] = []
    rows = 0
    for file in files:
        if group and rows + file.rows > LARGE_ROWS:
            if len(group) > 1:
                yield group
            group, rows = [], 0
        group.append(file)
        rows += file.rows
    if len(group) > 1:
        yield group


def swap(folder: Path, manifest: Manifest, kind: str, old: Sequence[LiveFile], table: pa.Table) -> int:
    """Put files with the rows of `table` in the place of others; return how many were made."""
    written: list[Path] = []
    try:
        with manifest.transaction(), storing(folder):
            files = write_slices(folder, kind, table, written)
            for each in {path.parent for path in written}:
                sync_folder(each)
            manifest.strike([file.path for file in old], time.time())
            for file in files:
                manifest.add_file(file)
    except BaseException:
        discard(written)
        raise
    return len(files)
