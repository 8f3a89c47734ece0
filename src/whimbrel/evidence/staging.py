"""Staging: what was read waits here, chunk by chunk, until every path of a run has been read.

One chunk is one file, renamed into place when complete, so an interrupted run finds the chunks it finished and reads
only the others again.  Recipients are hashed here, before anything touches the disk.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from whimbrel.evidence.files import read_ipc, storing, sync_folder, write_ipc
from whimbrel.evidence.keys import Keys
from whimbrel.model.columns import FACTS, INSTANT
from whimbrel.model.observation import message_observation_id
from whimbrel.model.reading import Hop, Reading

_CHUNK_KEY = re.compile(r"[A-Za-z0-9_-]{1,128}")  # safe as a file name; a digest in hex is 64
STAGING_FOLDER = "staging"
STAGING_SUFFIX = ".arrow"
DRAFT = ".draft-"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The columns that are fields of a reading as they are.
_KEPT = tuple(name for name in FACTS.names if name in Reading.__struct_fields__ and name not in {"hops", "recipients"})
_kept_of = attrgetter(*_KEPT)
_encode_hops = msgspec.msgpack.Encoder().encode
_decode_hops = msgspec.msgpack.Decoder(tuple[Hop, ...]).decode


def encode_hops(hops: Sequence[Hop]) -> bytes:
    """Return hops as they are kept in a row of facts."""
    return _encode_hops(hops)


def decode_hops(packed: bytes) -> tuple[Hop, ...]:
    """Return the hops kept in a row of facts."""
    return _decode_hops(packed)


def facts_table(sensor: str, readings: Sequence[Reading], keys: Keys) -> pa.Table:
    """Return the rows of `FACTS` for readings; `seen_at` is the envelope's time, which settling may better.

    A text that is not valid Unicode (a lone surrogate) keeps all but the invalid characters, shown as `?`.
    """
    try:
        return _columns(sensor, readings, keys)
    except UnicodeEncodeError:
        return _columns(sensor, [_encodable(reading) for reading in readings], keys)


def _columns(sensor: str, readings: Sequence[Reading], keys: Keys) -> pa.Table:
    keyed_hash = keys.keyed_hash
    columns: dict[str, Any] = dict(zip(_KEPT, zip(*map(_kept_of, readings), strict=True), strict=False))
    columns |= {
        "message_id": [_message_id(sensor, reading) for reading in readings],
        "seen_at": _instants([reading.envelope_at for reading in readings]),
        "sensor": pa.repeat(pa.scalar(sensor), len(readings)),
        "hops": [_encode_hops(reading.hops) for reading in readings],
        "recipients": [[keyed_hash(each) for each in reading.recipients] for reading in readings],
        "recipient_key_id": [keys.key_id if reading.recipients else None for reading in readings],
    }
    arrays = [_array(columns.get(field.name, ()), field.type) for field in FACTS]
    return pa.Table.from_arrays(arrays, schema=FACTS)


def _array(values: Any, kind: pa.DataType) -> pa.Array:  # noqa: ANN401 - an array already, or what pyarrow takes
    return values if isinstance(values, pa.Array) else pa.array(values, kind)


def _instants(times: Sequence[datetime | None]) -> pa.Array:
    # By way of differences, which Arrow converts many times faster than datetimes with a zone.
    since = pa.array([None if at is None else at - _EPOCH for at in times], pa.duration("us"))
    return since.cast(pa.int64()).cast(INSTANT)


def _message_id(sensor: str, reading: Reading) -> bytes:
    trace = reading.hops[0].trace_sha256 if reading.hops else b""
    return message_observation_id(sensor, "", trace, reading.content_sha256)


def _encodable(reading: Reading) -> Reading:
    def cleaned(value: object) -> object:
        if isinstance(value, str):
            return value.encode("utf-8", "replace").decode()
        if isinstance(value, datetime | bytes):
            return value
        if isinstance(value, tuple):
            return tuple(cleaned(each) for each in value)
        if isinstance(value, Hop):
            return Hop(*(cleaned(each) for each in msgspec.structs.astuple(value)))  # type: ignore[arg-type]
        return value

    return msgspec.structs.replace(
        reading, **{name: cleaned(getattr(reading, name)) for name in Reading.__struct_fields__}
    )


class Staging:
    """The folder of staged chunks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def holds(self, chunk_key: str) -> bool:
        """Tell whether a chunk is staged."""
        return self._path(chunk_key).exists()

    def chunk_keys(self) -> list[str]:
        """Return the keys of the staged chunks, sorted."""
        names = [path.name for path in self._folder.glob(f"*{STAGING_SUFFIX}")]
        return sorted(name.removesuffix(STAGING_SUFFIX) for name in names if not name.startswith(DRAFT))

    def add(self, chunk_key: str, table: pa.Table) -> None:
        """Stage a chunk: whole, or not at all."""
        path = self._path(chunk_key)
        draft = self._folder / f"{DRAFT}{path.name}"
        with storing(path):
            draft.unlink(missing_ok=True)
            try:
                write_ipc(draft, table)
                draft.rename(path)
            except BaseException:
                draft.unlink(missing_ok=True)
                raise
            sync_folder(self._folder)

    def tables(self) -> Iterator[pa.Table]:
        """Yield each chunk's rows, in order of keys."""
        for key in self.chunk_keys():
            yield read_ipc(self._path(key), FACTS)

    def clear(self, chunk_keys: Sequence[str]) -> None:
        """Remove chunks that were appended."""
        with storing(self._folder):
            for key in chunk_keys:
                self._path(key).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what a crash left half-written."""
        with storing(self._folder):
            for draft in self._folder.glob(f"{DRAFT}*"):
                draft.unlink()

    def _path(self, chunk_key: str) -> Path:
        if not _CHUNK_KEY.fullmatch(chunk_key):
            raise ValueError(f"a chunk key is letters, digits, - and _, not {chunk_key!r}")
        return self._folder / f"{chunk_key}{STAGING_SUFFIX}"
