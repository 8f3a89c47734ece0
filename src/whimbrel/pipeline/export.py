"""The published list in the format of another program."""

import mmap
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple

from whimbrel.errors import ConfigError, SnapshotError, StoreError
from whimbrel.model.listing import Code
from whimbrel.pipeline.places import snapshot_path
from whimbrel.publishing import write_whole
from whimbrel.publishing.exports import FORMATS, Content, content_of
from whimbrel.publishing.reading import with_overlay
from whimbrel.wire.snapshot import Snapshot, Zone
from whimbrel.wire.snapshot.decoder import compacted


class Exported(NamedTuple):
    """What was written: where, how many entries (test entries not counted), and of which snapshot at what moment."""

    format: str
    path: Path
    zone: str
    serial: int
    entries: int
    bytes: int
    at: datetime
    expires: datetime
    demo: bool


def read(
    data_dir: Path,
    now: datetime,
    *,
    snapshot: Path | None,
    codes: Collection[Code],
    force: bool,
    zone: str | None = None,
) -> Content:
    """Return what a zone of the published snapshot, or of the one named, lists at `now`; None: its main zone.

    Raises ConfigError for a zone that the list lacks, and for a demo's list unless it is forced: its addresses belong
    to others now.
    """
    path = snapshot or snapshot_path(data_dir)
    try:
        found = Snapshot(_mapped(path))
        if found.zone.demo and not force:
            raise ConfigError(f"{path} is a demo's list of old mail; it is exported only with --force")
        return content_of(compacted(with_overlay(found, path)), int(now.timestamp()), codes, _zone(found, path, zone))
    except SnapshotError as error:
        raise SnapshotError(f"{path}: {error}") from None


def _zone(snapshot: Snapshot, path: Path, name: str | None) -> Zone:
    if name is None:
        return snapshot.zone
    for zone in snapshot.zones:
        if zone.name == name.rstrip(".").lower():
            return zone
    raise ConfigError(f"{path} has no zone {name}; it has {', '.join(zone.name for zone in snapshot.zones)}")


def _mapped(path: Path) -> memoryview:
    try:
        with path.open("rb") as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except FileNotFoundError:
        raise SnapshotError("no snapshot there; write one with 'whimbrel publish'") from None
    except ValueError:  # an empty file cannot be mapped
        raise SnapshotError("snapshot refused: the file is empty; publish anew") from None


def export(content: Content, name: str, out: Path) -> Exported:
    """Write an export to the file `out`, or into the folder `out` where the format is one.

    Each file is written whole or not at all.  Raises StoreError where it cannot be written.
    """
    form = FORMATS[name]
    if form.lines is not None:
        size = write_whole(out, _bytes(form.lines(content)), "the export")
    else:
        assert form.files is not None
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{out}: {name} is a folder, which cannot be made: {error.strerror}") from None
        size = sum(write_whole(out / file, _bytes(lines), "the export") for file, lines in form.files(content))
    at, expires = (datetime.fromtimestamp(seconds, UTC) for seconds in (content.at, content.expires))
    return Exported(name, out, content.zone.name, content.serial, content.entries, size, at, expires, content.zone.demo)


def export_to(content: Content, name: str, stream: BinaryIO) -> None:
    """Write an export to a stream; raises ConfigError where the format is a folder."""
    lines = FORMATS[name].lines
    if lines is None:
        raise ConfigError(f"{name} is a folder of files; say where with --out FOLDER")
    stream.writelines(_bytes(lines(content)))


def _bytes(lines: Iterable[str]) -> Iterator[bytes]:
    for line in lines:
        yield line.encode() + b"\n"
