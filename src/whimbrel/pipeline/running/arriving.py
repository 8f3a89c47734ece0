"""Mail from watched places into evidence: looked for, read by the pool, staged, settled, and only then kept as read."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from whimbrel.evidence import Evidence
from whimbrel.model.reading import Reading
from whimbrel.pipeline.config import Watch
from whimbrel.pipeline.pool import Chunk, Pool
from whimbrel.pipeline.running.metrics import Metrics
from whimbrel.pipeline.running.telling import Telling
from whimbrel.pipeline.running.watching import Changes
from whimbrel.pipeline.settle import Arrived, Settled, settle, tell_trust
from whimbrel.pipeline.work import Work
from whimbrel.sensors.arrivals import Folder, Found, Maildir, Mbox, Place
from whimbrel.sensors.boundary import parse_trust

_KINDS: dict[str, Callable[[Path, str, Callable[[str], bool], str | None], Place]] = {
    "maildir": Maildir,
    "mbox": Mbox,
    "folder": Folder,
}

_log = logging.getLogger(__name__)


class Watched(NamedTuple):
    """A place, and what its settings say of the mail there."""

    watch: Watch
    place: Place
    name: str  # of its mark in the store


def watched(watches: Iterable[Watch], store: Evidence) -> list[Watched]:
    """Return the places to watch, as the store knows them."""
    found = []
    for watch in watches:
        path = Path(watch.path).absolute()
        identity = f"{watch.kind}\0{watch.sensor}\0{watch.label}"
        name = f"watched {watch.kind} {watch.sensor} {watch.label} {path}"
        found.append(Watched(watch, _KINDS[watch.kind](path, identity, store.is_ingested, store.recall(name)), name))
    return found


class Arriving:
    """Takes in what arrives, into one store."""

    def __init__(self, store: Evidence, places: list[Watched], jobs: int, metrics: Metrics) -> None:
        self.places = places
        self._store = store
        self._jobs = jobs
        self._metrics = metrics
        self._pool: Pool | None = None
        self._read_lately = Telling()
        self._told: dict[tuple[str, str], str] = {}  # problems that stand and were said, by place

    def close(self) -> None:
        """End the readers."""
        if self._pool is not None:
            self._pool.__exit__(None, None, None)
            self._pool = None

    def warm_up(self) -> Pool:
        """Return the readers, started where they are not."""
        if self._pool is None:
            self._pool = Pool(self._jobs)
        return self._pool

    def trust(self) -> bool:
        """Go by the trust that the settings tell; return whether that changed the evidence."""
        changed = False
        for watch in (each.watch for each in self.places):
            if watch.trust:
                tell_trust(self._store, watch.sensor, parse_trust(watch.trust))
                settled = settle(self._store, watch.sensor, infer=False)
                changed |= bool(settled.corrected or settled.messages)
        return changed

    def take_in(self, changes: Changes, now: float) -> Settled | None:
        """Read what is new, and append it to the evidence; None where there is nothing.

        What was staged by a run that ended before it settled is appended as well.
        """
        taken: list[tuple[Watched, Found]] = []
        sensors: dict[str, str] = {}

        def chunks() -> Iterator[Chunk]:
            for each, found in self._looked(changes, now):
                taken.append((each, found._replace(items=[])))
                if found.items and not self._store.is_staged(found.key):
                    sensors[found.key] = each.watch.sensor
                    yield Chunk(found.key, tuple(_work(each.watch, found)))

        labels: Counter[str] = Counter()
        for chunk, readings in self._read(chunks()):
            self._store.stage(chunk.key, sensors[chunk.key], readings)
            self._metrics.messages.labels(sensors[chunk.key]).inc(len(readings))
            labels.update(reading.label for reading in readings)
            self._metrics.abandoned.inc(sum("abandoned" in reading.defects for reading in readings))
        self._say_problems(is_all=changes.all_of_them)
        if not taken and not self._store.staged_keys():
            return None
        arrived = Arrived(
            tuple(key for _, found in taken for key in found.keys),
            {each.name: found.mark for each, found in taken if found.mark is not None},
        )
        settled = settle(self._store, arrived=arrived, infer=False)
        for each, found in taken:
            each.place.keep(found)
        self._metrics.observations.inc(settled.observed)
        self._say_read(labels)
        return settled

    def _say_read(self, labels: Counter[str]) -> None:
        read = self._read_lately.add(labels) if labels else None
        if read:
            by_label = ", ".join(f"{count:,} {label}" for label, count in sorted(read.items()))
            _log.info("messages read: %s", by_label)

    def unread(self) -> list[str]:
        """Return what could not be read when all was last looked at, each with the reason."""
        return [_named(place, why) for (_, place), why in self._told.items()]

    def _looked(self, changes: Changes, now: float) -> Iterator[tuple[Watched, Found]]:
        for each in self.places:
            for found in each.place.look(now, None if changes.all_of_them else changes.paths):
                yield each, found

    def _read(self, chunks: Iterator[Chunk]) -> Iterator[tuple[Chunk, list[Reading]]]:
        first = next(chunks, None)
        if first is None:
            return

        def all_of_them() -> Iterator[Chunk]:
            yield first
            yield from chunks

        yield from self.warm_up().read(all_of_them())

    def _say_problems(self, *, is_all: bool) -> None:
        """Log each place that cannot be read once, until it says something else.

        A look at everything finds all that still stands (`is_all`): what else was said is forgotten, or files that come
        damaged and go would be remembered for good.
        """
        told = {} if is_all else self._told
        for each in self.places:
            for place, why in each.place.problems:
                key = (each.name, place)
                is_said = why in {self._told.get(key), told.get(key)}
                told[key] = why
                if not is_said:
                    self._metrics.faults.labels("place").inc()
                    _log.error("%s", _named(place, why), extra={"place": place})
            for place, why in each.place.skipped:
                self._metrics.skipped.inc()
                _log.info("left out: %s (%s)", place, why, extra={"place": place})
            each.place.problems.clear()
            each.place.skipped.clear()
        self._told = told


def _named(place: str, why: str) -> str:
    return f"{place}: {why.removeprefix(f'{place}: ')}"


def _work(watch: Watch, found: Found) -> Iterator[Work]:
    basis = None if watch.label == "unknown" else "given"
    for item in found.items:
        yield Work(item.location, watch.label, basis, item.envelope, item.content)
