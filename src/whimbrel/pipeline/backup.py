"""A backup of a live store: all of it as it was at one moment, in a folder that is a store again.

Two databases have to fit each other.  The ledger says up to which batch evidence is decided; were its copy ahead of
the manifest's, the batches between would never be decided.  So the ledger's moment begins first, and the manifest's
right after, before a byte of either is copied: a batch committed in between is one that waits to be decided, as after
a run that died there, and the next `ingest` decides it.  The list is copied before both, so that it is not of later
decisions than the ledger has; the keys after both, since rows name them.

Each backup is a folder of its own below the goal, named by its time.  Files that an earlier one has are linked to it,
so each costs what is new; it is built beside and renamed, so that a backup is there whole or not at all.
"""

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec

from whimbrel import __version__
from whimbrel.errors import ConfigError, StoreError
from whimbrel.evidence import Evidence, copying
from whimbrel.evidence.copying import Copied, MomentPassedError
from whimbrel.evidence.files import storing, sync_folder, write_bytes
from whimbrel.evidence.manifest import MANIFEST_FILE
from whimbrel.evidence.store import STORE_FOLDER
from whimbrel.pipeline.places import (
    LEDGER_FILE,
    RECIPIENTS_KEY_FILE,
    SIGNING_KEY_FILE,
    SNAPSHOT_FILE,
    ledger_place,
)

# A merge that strikes files out and an hour's grace would have to end within each of so many copies.
_ATTEMPTS = 3
NOTE_FILE = "backup.json"
# Not `ledger.url`: a store put back from here to be looked at must not write to the database in use.
_KEY_FILES = (f"{STORE_FOLDER}/{RECIPIENTS_KEY_FILE}", SIGNING_KEY_FILE)
_NAME = re.compile(r"\d{8}T\d{6}\.\d{3}Z")
_DRAFT, _REMOVED = ".new-", ".removed-"


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup says of itself."""

    at: datetime
    whimbrel: str
    ledger: bool
    keys: bool


class BackedUp(NamedTuple):
    """What a backup made: its folder, how many files it has, and what of it was new."""

    path: Path
    at: datetime
    files: int
    copied: int
    copied_bytes: int
    ledger: bool
    keys: list[str]
    removed: int


def back_up(data_dir: Path, goal: Path, *, keys: bool = True, link: bool = False, keep: int = 0) -> BackedUp:
    """Copy a store, which may be in use, into a new folder below `goal`; keep the newest `keep` there (0: all).

    Raises StoreError where the store is damaged or a disk fails, ConfigError where `goal` cannot take it.
    """
    Evidence.open(data_dir).close()  # where there is no store, or half of one, this says so
    if goal.resolve().is_relative_to(data_dir.resolve()):
        raise ConfigError(
            f"{goal} lies in the store itself ({data_dir}); name a folder elsewhere, best on another disk"
        )
    with _alone(goal):
        earlier = moments(goal)
        at = _after(earlier[-1] if earlier else None)
        draft = goal / f"{_DRAFT}{_name(at)}"
        copied, kept_keys = _copied(data_dir, draft, earlier[-1] if earlier else None, keys=keys, link=link)
        has_ledger = (draft / LEDGER_FILE).exists()
        with storing(draft):
            note = Note(at=at, whimbrel=__version__, ledger=has_ledger, keys=bool(kept_keys))
            write_bytes(draft / NOTE_FILE, msgspec.json.encode(note))
            for folder in (draft / STORE_FOLDER, draft):
                sync_folder(folder)
            draft.rename(goal / _name(at))
            sync_folder(goal)
        removed = _remove_old(goal, keep)
    return BackedUp(goal / _name(at), at, *copied, has_ledger, kept_keys, removed)


def moments(goal: Path) -> list[Path]:
    """Return the backups below a folder, oldest first; one that was given another name is not among them."""
    return sorted(path.parent for path in goal.glob(f"*/{NOTE_FILE}") if _NAME.fullmatch(path.parent.name))


def _copied(data_dir: Path, draft: Path, earlier: Path | None, *, keys: bool, link: bool) -> tuple[Copied, list[str]]:
    """Copy one moment; where it passes before the copy is done, another."""
    for _ in range(_ATTEMPTS):
        with suppress(MomentPassedError):
            return _copy(data_dir, draft, earlier, keys=keys, link=link)
    raise StoreError(f"{data_dir}: files are merged away faster than they can be copied; try --link, or a faster DEST")


def _copy(data_dir: Path, draft: Path, earlier: Path | None, *, keys: bool, link: bool) -> tuple[Copied, list[str]]:
    folder, home = data_dir / STORE_FOLDER, draft / STORE_FOLDER
    shutil.rmtree(draft, ignore_errors=True)
    copying.copy_staged(folder, home)
    _copy_if_there(data_dir, draft, SNAPSHOT_FILE)
    with ExitStack() as stack:
        ledger = _ledger_file(data_dir)
        decided = None if ledger is None else stack.enter_context(copying.moment(ledger))
        manifest = stack.enter_context(copying.moment(folder / MANIFEST_FILE))
        if decided is not None:
            copying.copy_database(decided, draft / LEDGER_FILE)
        copied = copying.copy_moment(
            folder, manifest, home, None if earlier is None else earlier / STORE_FOLDER, link=link
        )
    kept = [name for name in _KEY_FILES if keys and _copy_if_there(data_dir, draft, name)]
    return copied, kept


def _ledger_file(data_dir: Path) -> Path | None:
    """Return the file of the ledger; None where there is none: nothing was decided, or a database server has it."""
    place = ledger_place(data_dir)
    return place if isinstance(place, Path) and place.exists() else None


def _copy_if_there(data_dir: Path, draft: Path, name: str) -> bool:
    if not (data_dir / name).exists():
        return False
    with storing(draft / name):
        copying.copy_file(data_dir / name, draft / name)
    return True


@contextmanager
def _alone(goal: Path) -> Iterator[None]:
    """Be the only backup into a folder, and clear what one left that died."""
    try:
        goal.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(goal, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise ConfigError(f"{goal}: no backup can be made there: {error.strerror}") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(f"{goal}: another backup is being made there; wait for it to end") from None
        for pattern in (f"{_DRAFT}*", f"{_REMOVED}*"):
            for path in goal.glob(pattern):
                shutil.rmtree(path, ignore_errors=True)
        yield
    finally:
        os.close(handle)


def _remove_old(goal: Path, keep: int) -> int:
    old = moments(goal)[:-keep] if keep else []
    with storing(goal, "delete folders in"):
        for path in old:
            away = path.rename(goal / f"{_REMOVED}{path.name}")  # a backup that is half removed is none
            shutil.rmtree(away)
    return len(old)


def _after(earlier: Path | None) -> datetime:
    """Return the clock's time, or one after an earlier backup's: the newest is the last by name, whatever the clock."""
    now = datetime.now(UTC)
    now = now.replace(microsecond=now.microsecond // 1_000 * 1_000)
    if earlier is None or _name(now) > earlier.name:
        return now
    return note_of(earlier).at + timedelta(milliseconds=1)


def note_of(moment: Path) -> Note:
    """Return what a backup says of itself; raises StoreError where it says nothing that can be read."""
    try:
        return msgspec.json.decode((moment / NOTE_FILE).read_bytes(), type=Note)
    except (OSError, msgspec.DecodeError) as error:
        raise StoreError(f"{moment / NOTE_FILE}: cannot be read ({error}); take another backup") from None


def _name(at: datetime) -> str:
    return f"{at:%Y%m%dT%H%M%S}.{at.microsecond // 1_000:03}Z"
