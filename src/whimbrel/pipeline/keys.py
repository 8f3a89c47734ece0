"""The store's keys: made, exchanged for new ones with an overlap, retired, shown; and a snapshot signed apart.

`signing` keys (Ed25519) sign the list: all that have not ended sign, so that mirrors can change over in their own time.
`recipients` keys (HMAC) hash who received mail: the last one is in use, the older ones tell what older rows mean, which
name their key in `recipient_key_id`.  No function here gives a secret away.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple

from whimbrel.errors import ConfigError, StoreError
from whimbrel.pipeline.places import recipients_key_path, signing_key_path
from whimbrel.publishing import signing, write_snapshot
from whimbrel.wire.keyfile import KeyLine

Kind = Literal["signing", "recipients"]
KINDS: tuple[Kind, ...] = ("signing", "recipients")


class Shown(NamedTuple):
    """What may be shown of a key: its kind and id, what it does, and of a signing key the public line."""

    kind: Kind
    id: str
    state: Literal["signs", "in use", "kept", "ended"]
    until: datetime | None
    public: str | None


class KeyPlace(NamedTuple):
    """The file that holds the keys of a kind."""

    kind: Kind
    path: Path

    @classmethod
    def of(cls, kind: Kind, data_dir: Path, file: Path | None = None) -> "KeyPlace":
        """Return where the keys of a kind are: in the store, or, of signing keys, in another file.

        Raises ConfigError for another file of recipients' keys, without which the store's rows could not be read.
        """
        if kind == "signing":
            return cls(kind, file or signing_key_path(data_dir))
        if file is not None:
            raise ConfigError(
                "recipients' keys belong to their store: leave --file out, and name the store with --data"
            )
        return cls(kind, recipients_key_path(data_dir))


def make(place: KeyPlace, now: datetime) -> Shown:
    """Make the first key of a file; raises ConfigError where there is a file already."""
    with _locked(place.path):
        if place.path.exists():
            raise ConfigError(f"{place.path} holds keys already; exchange them with: whimbrel key rotate {place.kind}")
        tools = _tools(place.kind)
        keys = [tools.new()]
        tools.write(place.path, keys)
    return _shown(place.kind, keys, now)[0]


def rotate(place: KeyPlace, now: datetime, until: datetime | None = None) -> Shown:
    """Add a new key, which is the one in use; older signing keys sign on, to the end `until` if one is stated."""
    if until is not None and (place.kind != "signing" or until <= now):
        raise ConfigError("--until is when the older signing keys end, in the future; recipients' keys do not sign")
    if not place.path.exists():
        raise ConfigError(f"{place.path}: no key there to exchange; make the first with: whimbrel key new {place.kind}")
    with _locked(place.path):
        tools = _tools(place.kind)
        keys = tools.read(place.path)
        if until is not None:
            keys = [key._replace(until=min(key.until or until, until)) for key in keys]
        keys.append(tools.new())
        tools.write(place.path, keys)
    return _shown(place.kind, keys, now)[-1]


def retire(places: Sequence[KeyPlace], key_id: str) -> Kind:
    """Remove a key by its id, the secret with it, from the file that holds it; return its kind.

    Raises ConfigError where none holds it, or it is the newest there.
    """
    for place in places:
        if not place.path.exists():
            continue
        with _locked(place.path):
            tools = _tools(place.kind)
            keys = tools.read(place.path)
            if key_id not in {key.id for key in keys}:
                continue
            if keys[-1].id == key_id:
                raise ConfigError(f"{key_id} is the newest and in use; first run: whimbrel key rotate {place.kind}")
            tools.write(place.path, [key for key in keys if key.id != key_id])
            return place.kind
    where = " and ".join(str(place.path) for place in places)
    raise ConfigError(f"no key has the id {key_id} in {where}; see them with: whimbrel key list")


def shown(places: Sequence[KeyPlace], now: datetime) -> list[Shown]:
    """Return what may be shown of the keys in files, oldest first; of a missing file nothing."""
    return [
        each
        for place in places
        if place.path.exists()
        for each in _shown(place.kind, _tools(place.kind).read(place.path), now)
    ]


def sign(snapshot: Path, place: KeyPlace, now: datetime, out: Path | None = None) -> list[str]:
    """Add the signatures of the keys in use to a snapshot's file, or write it signed to `out`; return their ids."""
    keys = signing.in_use(signing.read_keys(place.path), now)
    try:
        data = snapshot.read_bytes()
    except OSError as error:
        raise StoreError(f"{snapshot}: no snapshot can be read there: {error.strerror}") from None
    write_snapshot(out or snapshot, signing.signed(data, keys))
    return [key.id for key in keys]


class _Tools(NamedTuple):
    new: Callable[[], KeyLine]
    read: Callable[[Path], list[KeyLine]]
    write: Callable[[Path, Sequence[KeyLine]], None]


def _tools(kind: Kind) -> _Tools:
    if kind == "signing":
        return _Tools(signing.new_key, signing.read_keys, signing.write_keys)
    # The engine of evidence takes half a second to load; who signs off-line has no evidence.
    from whimbrel.evidence import keys  # noqa: PLC0415

    return _Tools(keys.new_key, keys.read_keys, keys.write_keys)


def _shown(kind: Kind, keys: Sequence[KeyLine], now: datetime) -> list[Shown]:
    if kind == "recipients":
        *kept, last = (key.id for key in keys)
        return [*(Shown(kind, each, "kept", None, None) for each in kept), Shown(kind, last, "in use", None, None)]
    return [
        Shown(
            kind,
            key.id,
            "signs" if key.until is None or now < key.until else "ended",
            key.until,
            signing.public_key(key).line(),
        )
        for key in keys
    ]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one change of key files in a folder be made after another; who dies lets go."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise StoreError(f"{path.parent}: no key can be kept there: {error.strerror}") from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
