"""One turn of the service: what arrived is taken in, decided, published; what is over is ended.

Online, every turn: read, settle by the trust in force, decide with the state in memory, publish from the list in
memory.  On a slower beat: campaigns, host-days, inference of own servers, merging of large files, which look at much or
all of the store.  That takes at most a hundredth of the time, however large the store has grown, so that 99 of 100
messages never wait for it.

After a fault nothing is lost: what was not kept as read is found again, what was staged is settled later, what is not
decided waits behind its mark.  Nothing is there twice: every id is a digest.
"""

import gc
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple, Self

import pyarrow as pa

from whimbrel.evidence import Evidence
from whimbrel.listings.ledger import Ledger
from whimbrel.pipeline.analyse import analyse
from whimbrel.pipeline.clock import check_behind
from whimbrel.pipeline.config import Config
from whimbrel.pipeline.decide import Deciding
from whimbrel.pipeline.forget import end_terms_of
from whimbrel.pipeline.ingest import is_demo
from whimbrel.pipeline.places import SNAPSHOT_FILE, keep_snapshot_at, ledger_place
from whimbrel.pipeline.publish import keys_in_use
from whimbrel.pipeline.running.arriving import Arriving, watched
from whimbrel.pipeline.running.listed import Listed
from whimbrel.pipeline.running.metrics import Metrics
from whimbrel.pipeline.running.steps import Step
from whimbrel.pipeline.running.watching import Changes
from whimbrel.pipeline.settle import settle
from whimbrel.publishing import DEMO_TEXTS, TEXTS

# The share of the time that the slow step may take.
_SLOW_SHARE = 0.01
# A term is a number of days; an hour more is none.
_FORGET_SECONDS = 3_600.0
# Every turn with mail leaves two small files, which must be merged as fast as they come: a busy stream's every few
# seconds, some at a time (2 ms a file).  Files that have grown are merged on the slower beat.
_COMPACT_SECONDS = 5.0
_COMPACT_SHARE = 0.1
_COMPACT_FILES = 32
_COMPACT_ROWS = 1_000
# How soon a place is looked at again that was in the middle of being written.
_SOON_SECONDS = 0.25
# How often it is asked whether what was learned "later than now" (a server's clock is ahead) can be decided.
_WAITING_SECONDS = 5.0
# After a fault in publishing it is due at once; the loop must not spin meanwhile.
_LEAST_SECONDS = 0.05
# How long a single pass waits for what is in the middle of being written: longer than an mbox needs to be quiet.
_PATIENCE_SECONDS = 35.0
# How often it is asked what else was entered in the ledger, and what is over.
_BEAT_SECONDS = 0.5

# The steps of a turn, and what a fault of each means for the service.
STEPS: Mapping[str, str] = {
    "ingest": "new mail waits where it is",
    "decide": "the list stays as it is; evidence waits to be decided",
    "expire": "listings end in the answers, not yet in the ledger",
    "publish": "name servers go on with the snapshot they have",
    "analyse": "campaigns and own servers are as they were",
    "compact": "small files of the store wait to be merged",
    "forget": "days whose term is over are still there",
}

EVERYTHING = Changes(frozenset(), all_of_them=True)

_log = logging.getLogger(__name__)


class Cycle:
    """The store open for writing, and everything about it that is kept in memory; a context manager."""

    def __init__(
        self, config: Config, clock: Callable[[], datetime], metrics: Metrics, *, is_told: bool = False
    ) -> None:
        """Open the store; raises WhimbrelError where it cannot be had.

        `is_told`: somebody said what time it is, and wants decisions by it even where the store has gone beyond.
        """
        self.config = config
        self._clock = clock
        self._is_told = is_told
        self._metrics = metrics
        data_dir = Path(config.store.data)
        with ExitStack() as stack:
            self._store = stack.enter_context(Evidence.open(data_dir, write=True))
            self._deciding = stack.enter_context(Deciding.open(data_dir, config.policy.profile))
            ledger = stack.enter_context(Ledger.open(ledger_place(data_dir), "append"))
            last = ledger.last_run()
            if last is not None and last.profile != config.policy.profile:
                _log.warning(
                    "the store decides by the profile %s, as it began, not %s", last.profile, config.policy.profile
                )
            demo = is_demo(self._store)
            texts = DEMO_TEXTS if demo else TEXTS
            keep_snapshot_at(data_dir, snapshot_place(config))
            self._listed = Listed(ledger, snapshot_place(config), texts, config.publish, demo=demo, metrics=metrics)
            self._arriving = self._places(config)
            self._close = stack.pop_all().close
        self.steps = {name: Step(name, meaning, metrics, time.monotonic) for name, meaning in STEPS.items()}
        self._look_at_all = True
        self._is_trusting = False  # whether the trust that the settings tell is in force
        self._is_undecided = True
        self._waits_until = 0.0
        self._analysed_batch: int | None = None
        self._next: dict[str, float] = {}  # by slow step: not to be done before, by the monotonic clock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the readers and close the store.  May be called twice."""
        self._arriving.close()
        self._close()

    def _places(self, config: Config) -> Arriving:
        return Arriving(self._store, watched(config.watch, self._store), config.cycle.jobs, self._metrics)

    @property
    def places(self) -> Arriving:
        """What is watched."""
        return self._arriving

    @property
    def serial(self) -> int | None:
        """The serial of the snapshot that this process published last."""
        return self._listed.serial

    def take_up(self, config: Config) -> None:
        """Go by other settings from now on."""
        if (config.watch, config.cycle.jobs) != (self.config.watch, self.config.cycle.jobs):
            self._arriving.close()
            self._arriving = self._places(config)
            self._look_at_all = True
            self._is_trusting = False
        self.config = config
        self._listed.renew(config.publish)

    def turn(self, changes: Changes) -> float:
        """Do what is to be done; return in how many seconds there is more to do, if nothing happens before."""
        self._take_in(changes)
        self._decide()
        self.steps["expire"].run(lambda: self._deciding.expire(self._now()))
        self.publish()
        self._do_at_leisure()
        soon_seconds = _SOON_SECONDS if self._is_unfinished() else _BEAT_SECONDS
        return min(soon_seconds, max(_LEAST_SECONDS, self._listed.due_seconds(time.monotonic())))

    def warm_up(self) -> None:
        """Start the readers now, so that the first message need not wait for them."""
        self._arriving.warm_up()

    def finish(self) -> None:
        """Do at once what else would come with time: for a single pass."""
        due = time.monotonic() + _PATIENCE_SECONDS
        while self._is_unfinished() and self.fault() is None and time.monotonic() < due:
            time.sleep(_SOON_SECONDS)
            self.turn(EVERYTHING)
        self._next = dict.fromkeys(STEPS, 0.0)
        self._do_at_leisure()
        self._decide()
        self.publish(at_once=True)

    def faults(self) -> list[str]:
        """Return what is wrong now, a step each."""
        return [f"{step.name}: {step.fault}" for step in self.steps.values() if step.fault is not None]

    def fault(self) -> str | None:
        """Return the first of what is wrong now, if anything is."""
        return next(iter(self.faults()), None)

    def _take_in(self, changes: Changes) -> None:
        if self._look_at_all:
            changes = EVERYTHING
        if not self.steps["ingest"].is_due():
            self._look_at_all = True
            return

        def take_in() -> bool:
            if not self._is_trusting:
                self._is_undecided |= self._arriving.trust()
                self._is_trusting = True
            return self._arriving.take_in(changes, time.monotonic()) is not None

        self._look_at_all = True
        done = self.steps["ingest"].run(take_in)
        self._look_at_all = done is None
        self._is_undecided |= bool(done)

    def _now(self) -> datetime:
        """Return the time to decide by; raises StoreError where the clock cannot be believed."""
        now = self._clock()
        if not self._is_told:
            check_behind(self._deciding.last_run, now)
        return now

    def _decide(self) -> None:
        if not self._is_undecided and (not self._waits_until or time.monotonic() < self._waits_until):
            return
        decided = self.steps["decide"].run(lambda: self._deciding.decide(self._store, self._now()))
        if decided is not None:
            self._metrics.decided.inc(decided.decided)
            self._is_undecided = False
            self._waits_until = time.monotonic() + _WAITING_SECONDS if decided.waiting else 0.0

    def publish(self, *, at_once: bool = False) -> None:
        """Publish the list if it changed; `at_once`: however soon that is after the last time."""

        def publish() -> None:
            now = self._clock()
            self._listed.follow(now)
            if self._listed.is_due(now, time.monotonic(), at_once=at_once):
                key = self.config.publish.signing_key
                signers = keys_in_use(Path(self.config.store.data), Path(key) if key else None, now)
                self._listed.publish(now, time.monotonic(), signers, at_once=at_once)

        self.steps["publish"].run(publish)

    def _do_at_leisure(self) -> None:
        """Do what looks at much of the store, each on a beat of its own."""

        def analysed() -> bool:
            if self._store.last_batch() == self._analysed_batch:
                return False
            corrected = settle(self._store).corrected
            analyse(self._store)
            self._store.compact()
            self._analysed_batch = self._store.last_batch()
            gc.collect()  # the old generation, too, which no count of new objects leads to now
            return bool(corrected)

        def compacted() -> bool:
            self._store.compact(min_files=_COMPACT_FILES, rows=_COMPACT_ROWS)
            _give_memory_back()
            return False

        def forgotten() -> bool:
            if not self.config.store.keep_days or self._store.staged_keys():
                return False
            now = self._now()
            before = now.date() - timedelta(days=self.config.store.keep_days)
            first = self._store.counts().observations.first_day
            if first is not None and first < before:
                end_terms_of(self._store, Path(self.config.store.data), before, now, by="settings")
            return False

        self._beat("analyse", self.config.cycle.analyse_seconds, _SLOW_SHARE, analysed)
        self._beat("compact", _COMPACT_SECONDS, _COMPACT_SHARE, compacted)
        self._beat("forget", _FORGET_SECONDS, _SLOW_SHARE, forgotten)

    def _beat(self, name: str, every_seconds: float, share: float, do: Callable[[], bool]) -> None:
        """Do a step when its time has come, in no more than a share of the time.

        What the step returns tells whether there is something to decide.
        """
        step, began = self.steps[name], time.monotonic()
        if began < self._next.setdefault(name, began + every_seconds) or not step.is_due():
            return
        self._is_undecided |= bool(step.run(do))
        ended = time.monotonic()
        self._next[name] = ended + max(every_seconds, (ended - began) / share)

    def _is_unfinished(self) -> bool:
        return any(each.place.is_unfinished for each in self._arriving.places)


def _give_memory_back() -> None:
    """Let go of what is not needed any more, and nobody else would let go of for long.

    SQLAlchemy's statements end in cycles of some 1 KB a turn, which Python, told to look after 100,000 new objects
    (`cli.commands`), would keep for hours.  The old generation waits for the slower beat: the list is in it.
    Arrow keeps what merging and analysis needed for a moment.
    """
    gc.collect(1)
    pa.default_memory_pool().release_unused()


def snapshot_place(config: Config) -> Path:
    """Return where the snapshot goes by some settings."""
    return Path(config.publish.snapshot) if config.publish.snapshot else Path(config.store.data) / SNAPSHOT_FILE


class Once(NamedTuple):
    """What a single pass did; `fault` is what went wrong, if anything did."""

    messages: int
    observations: int
    decided: int
    in_force: int
    serial: int | None
    fault: str | None


def once(config: Config, clock: Callable[[], datetime], *, is_told: bool = False) -> Once:
    """Make a single pass: everything that is there is taken in, decided, analysed and published."""
    metrics = Metrics()
    with Cycle(config, clock, metrics, is_told=is_told) as cycle:
        cycle.turn(EVERYTHING)
        cycle.finish()
        counted = (
            metrics.sum("messages_total"),
            metrics.sum("observations_total"),
            metrics.sum("observations_decided_total"),
        )
        fault = next(iter([*cycle.faults(), *cycle.places.unread()]), None)
        return Once(*counted, metrics.sum("listings_in_force"), cycle.serial, fault)
