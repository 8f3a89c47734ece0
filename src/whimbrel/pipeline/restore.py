"""A store put back from a backup: verified first, copied beside, then put in place in an order that a crash shows.

While it is under way a folder `.restoring` is in the data folder, and evidence refuses to open there; evidence goes
last into its place.  So who dies at it leaves no store that looks whole and is a mixture.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from whimbrel.errors import ConfigError, StoreError
from whimbrel.evidence import copying
from whimbrel.evidence.files import storing, sync_folder
from whimbrel.evidence.lock import WriteLock
from whimbrel.evidence.manifest import MANIFEST_FILE
from whimbrel.evidence.store import RESTORING, STORE_FOLDER
from whimbrel.pipeline.backup import NOTE_FILE, moments, note_of
from whimbrel.pipeline.checking import check, is_sound
from whimbrel.pipeline.places import LEDGER_FILE, SIGNING_KEY_FILE, SNAPSHOT_FILE

# In the order in which they go into their place; out of it they go the other way round.
_PARTS = (LEDGER_FILE, f"{LEDGER_FILE}-wal", f"{LEDGER_FILE}-shm", SNAPSHOT_FILE, SIGNING_KEY_FILE, STORE_FOLDER)


class Restored(NamedTuple):
    """What was restored: from which backup, of which time, and where what was there before is now."""

    data: Path
    source: Path
    at: datetime
    ledger: bool
    keys: bool
    replaced: Path | None


def restore(source: Path, data_dir: Path, *, force: bool = False) -> Restored:
    """Put the backup `source`, or the newest below it, in the place of the store in `data_dir`.

    Raises ConfigError where there is no backup, or a store is there already (not with `force`, which moves it aside),
    StoreError where the backup is not sound, or the store is being written.
    """
    moment = _newest(source)
    note = note_of(moment)
    _check_sound(moment)
    there = [data_dir / name for name in reversed(_PARTS) if (data_dir / name).exists()]
    if there and not force:
        raise ConfigError(f"{data_dir} has a store already ({there[0].name}); name another --data, or give --force")
    draft = data_dir / RESTORING
    with _unwritten(data_dir), storing(data_dir):
        shutil.rmtree(draft, ignore_errors=True)
        _copy(moment, draft)
        sync_folder(data_dir)
        replaced = _moved_aside(there, data_dir) if there else None
        for name in _PARTS:
            if (draft / name).exists():
                (draft / name).rename(data_dir / name)
        sync_folder(data_dir)
        draft.rmdir()
        sync_folder(data_dir)
    return Restored(data_dir, moment, note.at, note.ledger, note.keys, replaced)


def _newest(source: Path) -> Path:
    if (source / NOTE_FILE).exists():
        return source
    if found := moments(source):
        return found[-1]
    raise ConfigError(f"{source} is no backup and holds none; give the folder that `whimbrel backup` wrote to")


def _check_sound(moment: Path) -> None:
    findings = check(moment, None)
    if not is_sound(findings):
        first = next(each for each in findings if each.grade == "wrong")
        raise StoreError(
            f"{moment} is not sound, and nothing was restored: {first.place}: {first.problem}; take another backup, "
            f"or see all of it: whimbrel check --data {moment}"
        )


@contextmanager
def _unwritten(data_dir: Path) -> Iterator[None]:
    """Hold the write lock of the store that is there, if any."""
    if not (data_dir / STORE_FOLDER).is_dir():
        yield
        return
    lock = WriteLock(data_dir / STORE_FOLDER)
    try:
        yield
    finally:
        lock.release()


def _copy(moment: Path, draft: Path) -> None:
    """Copy a backup, never linking: what happens to the store must not happen to its backup."""
    draft.mkdir(parents=True, mode=0o700)
    for path in sorted(moment.rglob("*")):
        goal = draft / path.relative_to(moment)
        if path.is_dir():
            goal.mkdir(mode=0o700)
        elif path.name != NOTE_FILE:
            copying.copy_file(path, goal)
    for path in (draft / LEDGER_FILE, draft / STORE_FOLDER / MANIFEST_FILE):
        copying.write_ahead(path)
    for folder in (draft, *(path for path in draft.rglob("*") if path.is_dir())):
        sync_folder(folder)


def _moved_aside(parts: list[Path], data_dir: Path) -> Path:
    away = Path(tempfile.mkdtemp(dir=data_dir, prefix=f"replaced-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-"))
    for path in parts:
        path.rename(away / path.name)
    sync_folder(away)
    sync_folder(data_dir)
    return away
