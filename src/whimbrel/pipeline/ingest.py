"""Mail in, decisions out: every step by name.

    paths -> sensors.mailfiles -> chunks of messages
          -> pool of readers   -> readings                         -> staging (survives an interruption)
    all read:
          -> settle            -> observations and facts           -> evidence, in one batch
          -> analyse           -> campaigns, host-days             -> derived tables
          -> decide            -> events, in order of time         -> ledger, in one transaction

A run that is interrupted while it reads has staged what it read; the rerun reads the rest, and only then is anything
settled and decided, so that neither the number of jobs nor the order of paths nor an interruption can show in the
store.  A run interrupted later finds its batch, its analysis or its decisions undone as a whole, and does them.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple

from whimbrel.errors import ConfigError
from whimbrel.evidence import Evidence
from whimbrel.model.observation import Label, LabelBasis
from whimbrel.pipeline.analyse import Analysed, analyse
from whimbrel.pipeline.decide import Decided, check_profile, decide
from whimbrel.pipeline.pool import Chunk, read_chunks
from whimbrel.pipeline.settle import Settled, settle, tell_trust
from whimbrel.pipeline.work import Work
from whimbrel.sensors.boundary import Trust
from whimbrel.sensors.labels import Labels
from whimbrel.sensors.mailfiles import Item, MailFiles, open_sources

_DEMO = "demo"

Progress = Callable[[int, int, int | None], None]  # messages read, bytes read, bytes in all (None: not known)


class Asked(NamedTuple):
    """What an ingest is to do; `label` goes to messages that the index `labels` (a path) does not name."""

    data_dir: Path
    paths: Sequence[str]
    now: datetime
    sensor: str
    label: Label
    labels: str | None
    trust: Trust | None
    jobs: int
    profile: str | None
    demo: bool


class Ingested(NamedTuple):
    """What an ingest did: messages read now, what was left out and why, and what each step reports."""

    read: int
    abandoned: int  # messages on which a reader had to be ended
    labelled: Label | None  # the one label of all that was read; None where an index told
    skipped: Sequence[tuple[str, str]]
    settled: Settled
    analysed: Analysed
    decided: Decided


def ingest(asked: Asked, progress: Progress, stdin: BinaryIO | None = None) -> Ingested:
    """Read, settle, analyse and decide; raises WhimbrelError where the user has something to mend."""
    if not asked.sensor:
        raise ConfigError("the sensor's name is empty; name it, as in --sensor mx1")
    mail = open_sources(asked.paths, stdin)
    labels = None if asked.labels is None else Labels.load(asked.labels)
    with Evidence.open(asked.data_dir, write=True) as store:
        check_profile(asked.data_dir, asked.profile)
        if asked.demo:
            store.remember(_DEMO, "yes")
        if asked.trust is not None:
            tell_trust(store, asked.sensor, asked.trust)
        read, abandoned = _read_all(store, mail, _Labelling(asked, labels), progress, asked.jobs)
        settled = settle(store, asked.sensor)
        analysed = analyse(store)
        decided = decide(store, asked.data_dir, asked.now, asked.profile)
        store.compact()
    return Ingested(read, abandoned, asked.label if labels is None else None, mail.skipped, settled, analysed, decided)


def is_demo(store: Evidence) -> bool:
    """Tell whether a store was made as a demo, of old mail whose addresses belong to others now."""
    return store.recall(_DEMO) is not None


class _Labelling:
    """How a run labels; `digest` goes into the chunks' keys, so that a run with other labels reads anew."""

    def __init__(self, asked: Asked, labels: Labels | None) -> None:
        self._label = asked.label
        self._labels = labels
        self.sensor = asked.sensor
        index = b"" if asked.labels is None else Path(asked.labels).read_bytes()
        self.digest = hashlib.sha256(f"{asked.sensor}\0{asked.label}\0".encode() + index).digest()

    def key(self, chunk_key: str) -> str:
        return hashlib.sha256(self.digest + chunk_key.encode()).hexdigest()

    def work(self, item: Item) -> Work:
        label, basis = self._of(item.location)
        return Work(item.location, label, basis, item.envelope, item.content)

    def _of(self, location: str) -> tuple[Label, LabelBasis | None]:
        found = None if self._labels is None else self._labels.label_of(location)
        if found is not None:
            return found
        return self._label, None if self._label == "unknown" else "given"


def _read_all(
    store: Evidence, mail: MailFiles, labelling: _Labelling, progress: Progress, jobs: int
) -> tuple[int, int]:
    """Read what is not staged or ingested yet, and stage it; return how many messages were read, and abandoned."""
    positions: dict[str, int] = {}

    def chunks() -> Iterator[Chunk]:
        for chunk in mail.chunks(lambda key: _is_done(store, labelling.key(key))):
            key = labelling.key(chunk.key)
            positions[key] = chunk.position_bytes
            yield Chunk(key, tuple(map(labelling.work, chunk.items)))

    read = reached = abandoned = 0
    for chunk, readings in read_chunks(chunks(), jobs):
        store.stage(chunk.key, labelling.sensor, readings)
        read += len(readings)
        abandoned += sum("abandoned" in reading.defects for reading in readings)
        reached = max(reached, positions.pop(chunk.key))
        progress(read, reached, mail.total_bytes or None)
    return read, abandoned


def _is_done(store: Evidence, key: str) -> bool:
    return store.is_staged(key) or store.is_ingested(key)
