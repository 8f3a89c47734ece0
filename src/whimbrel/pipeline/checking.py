"""A whole store checked: evidence, the ledger against its own log, the snapshot, the keys."""

import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from whimbrel.errors import SnapshotError, StoreError
from whimbrel.evidence import Evidence
from whimbrel.evidence.checking import RESTORE, Finding, check_sqlite
from whimbrel.evidence.checking import check as check_evidence
from whimbrel.evidence.store import RESTORING, STORE_FOLDER
from whimbrel.listings.ledger import Ledger
from whimbrel.pipeline.places import LEDGER_URL_FILE, ledger_place, signing_key_path, snapshot_path
from whimbrel.publishing import signing
from whimbrel.wire.keyfile import KeyLine
from whimbrel.wire.snapshot import Snapshot

_PUBLISH = "publish anew: whimbrel publish"


def check(data_dir: Path, now: datetime | None) -> list[Finding]:
    """Return what is wrong with a store, and what is worth a note; without `now` no list is too old.

    Raises StoreError where there is no store at all.
    """
    if (data_dir / RESTORING).exists():
        return [
            Finding("wrong", RESTORING, "a restore has not ended", "wait, or run it again: whimbrel restore --force")
        ]
    if not (data_dir / STORE_FOLDER).is_dir():
        raise StoreError(f"there is no evidence in {data_dir}: ingest some first, or name another data folder")
    evidence = [each._replace(place=f"{STORE_FOLDER}/{each.place}") for each in check_evidence(data_dir / STORE_FOLDER)]
    return [*evidence, *_ledger(data_dir), *_keys_and_snapshot(data_dir, now), *_leftovers(data_dir)]


def is_sound(findings: list[Finding]) -> bool:
    """Tell whether nothing is wrong with a store."""
    return all(finding.grade != "wrong" for finding in findings)


def _ledger(data_dir: Path) -> Iterator[Finding]:
    place = ledger_place(data_dir)
    name = place.name if isinstance(place, Path) else LEDGER_URL_FILE
    if isinstance(place, Path) and place.exists():
        broken = list(check_sqlite(place))
        yield from broken
        if broken:
            return
    try:
        ledger = Ledger.find(place)
        if ledger is not None:
            with ledger:
                yield from _log(ledger, name)
                yield from _decided(ledger, name, data_dir)
        elif batches := _batches(data_dir):
            yield Finding("note", name, f"is not there, and {batches:,} batches are not decided", "ingest again")
    except StoreError as error:
        yield Finding("wrong", name, str(error), RESTORE)


def _log(ledger: Ledger, place: str) -> Iterator[Finding]:
    """Yield where the list is not what the log says."""
    if differ := ledger.relisted().differing:
        some = ", ".join(differ[:3])
        yield Finding("wrong", place, f"the list is not what its log says of {len(differ):,}: {some}", RESTORE)
    if ledger.counts()[0] and ledger.last_run() is None:
        yield Finding("wrong", place, "has events, and does not say up to where evidence is decided", RESTORE)


def _decided(ledger: Ledger, place: str, data_dir: Path) -> Iterator[Finding]:
    """Yield where more is decided than there is evidence of, or less."""
    last = ledger.last_run()
    batches = _batches(data_dir)  # read after the run: beside a writer there may be more by now, never less
    if last is None or batches is None:
        return
    decided = last.batch
    if decided > batches:
        problem = f"is decided up to batch {decided}, and the evidence ends at {batches}: what comes would be left out"
        yield Finding("wrong", place, problem, RESTORE)
    elif decided < batches:
        problem = f"{batches - decided:,} batches wait to be decided"
        yield Finding("note", place, problem, "nothing: the next ingest decides them")


def _batches(data_dir: Path) -> int | None:
    """Return the number of the last batch of evidence; None where the manifest cannot say, which has been told."""
    try:
        with Evidence.open(data_dir) as store:
            return store.counts().batches
    except (StoreError, sqlite3.Error):
        return None


def _keys_and_snapshot(data_dir: Path, now: datetime | None) -> Iterator[Finding]:
    keys: list[KeyLine] = []
    path = signing_key_path(data_dir)
    if path.exists():
        try:
            keys = signing.read_keys(path)
        except StoreError as error:
            yield Finding("wrong", path.name, str(error), "as it says")
    yield from _snapshot(snapshot_path(data_dir), keys, now)


def _snapshot(path: Path, keys: list[KeyLine], now: datetime | None) -> Iterator[Finding]:
    if not path.exists():
        return
    try:
        snapshot = Snapshot(path.read_bytes(), [signing.public_key(key) for key in keys])
        if now is not None:
            snapshot.check_time(now=now.timestamp())
    except (OSError, SnapshotError) as error:
        yield Finding("wrong", path.name, str(error), _PUBLISH)


def _leftovers(data_dir: Path) -> Iterator[Finding]:
    """Yield drafts of files that are written beside and renamed; whoever died at it left them."""
    for pattern in (".list.snapshot.*", ".signing.key.*", ".ledger.sqlite.*"):
        for path in sorted(data_dir.glob(pattern)):
            yield Finding("note", path.name, "is a draft that nobody put in place", "delete it, if nothing runs now")
