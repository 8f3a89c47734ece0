"""Tables that analysis computed from evidence: replaceable, and marked with the stage and version that made them.

They are kept beside the evidence and never in it: no stage may read its own output as evidence.
"""

import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from whimbrel.evidence.files import discard, fresh_name, read_parquet, storing, sync_folder, write_parquet
from whimbrel.evidence.manifest import Manifest

DERIVED_FOLDER = "derived"

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")  # is a view's name in SQL
_PARTITION = re.compile(r"[A-Za-z0-9_-]{0,64}")
_TAKEN = frozenset({"observations", "observations_all", "facts", "superseded", "stored"})


def replace(
    folder: Path, manifest: Manifest, name: str, partitions: Mapping[str, pa.Table], *, stage: str, version: int
) -> None:
    """Put tables in the place of the named partitions; `""` takes the place of the whole table."""
    _check(name, partitions)
    home = folder / DERIVED_FOLDER / name
    written: list[Path] = []
    try:
        with manifest.transaction(), storing(home):
            home.mkdir(parents=True, exist_ok=True)
            sync_folder(home.parent)
            old = _paths(manifest, name, None if "" in partitions else list(partitions))
            _strike(manifest, name, old)
            for partition, table in partitions.items():
                path = home / fresh_name(partition or "whole")
                written.append(path)
                line = (path.relative_to(folder).as_posix(), table.num_rows, write_parquet(path, table))
                manifest.db.execute(
                    "INSERT INTO derived VALUES (?, ?, ?, ?, ?, ?, ?)", (name, partition, *line, stage, version)
                )
            sync_folder(home)
    except BaseException:
        discard(written)
        raise


def read(folder: Path, manifest: Manifest, name: str, partitions: Sequence[str] | None) -> pa.Table | None:
    """Return the rows of the named partitions, or of all, in order of partitions; None where there are none."""
    paths = _paths(manifest, name, partitions)
    if not paths:
        return None
    return pa.concat_tables(read_parquet(folder / path) for path in paths)


def drop(manifest: Manifest, name: str) -> None:
    """Take a derived table out of life."""
    with manifest.transaction():
        _strike(manifest, name, _paths(manifest, name, None))


def versions(manifest: Manifest, name: str) -> set[tuple[str, int]]:
    """Return the stage and version of each partition of a derived table."""
    rows = manifest.db.execute("SELECT DISTINCT stage, version FROM derived WHERE name = ?", (name,))
    return {(stage, version) for stage, version in rows}


def _paths(manifest: Manifest, name: str, partitions: Sequence[str] | None) -> list[str]:
    rows = manifest.db.execute("SELECT partition, path FROM derived WHERE name = ? ORDER BY partition", (name,))
    return [path for partition, path in rows if partitions is None or partition in set(partitions)]


def _strike(manifest: Manifest, name: str, paths: Sequence[str]) -> None:
    manifest.strike(paths, time.time())
    manifest.db.executemany("DELETE FROM derived WHERE name = ? AND path = ?", [(name, path) for path in paths])


def _check(name: str, partitions: Mapping[str, pa.Table]) -> None:
    if not _NAME.fullmatch(name) or name in _TAKEN:
        raise ValueError(f"{name!r} cannot name a derived table")
    for partition in partitions:
        if not _PARTITION.fullmatch(partition):
            raise ValueError(f"{partition!r} cannot name a partition of {name}")
