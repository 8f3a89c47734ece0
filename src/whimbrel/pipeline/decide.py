"""Decisions: new evidence goes by the policy in order of time, and what it changed into the ledger.

One transaction holds a run's events, the working state they leave behind, and the mark up to which evidence is decided;
so a run that dies decides nothing, and the next one decides all of it.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import msgspec

from whimbrel.errors import ConfigError
from whimbrel.evidence import Evidence
from whimbrel.listings.ledger import Ledger
from whimbrel.listings.policy import Decider
from whimbrel.listings.settings import PROFILES, Settings
from whimbrel.listings.state import seen_from_table
from whimbrel.model.listing import Event
from whimbrel.pipeline.places import ledger_path
from whimbrel.pipeline.settle import own_networks

DEFAULT_PROFILE = "shared"


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """Up to where evidence is decided: all batches up to `batch`, as far as they were learned by `until`."""

    batch: int
    until: datetime


class Decided(NamedTuple):
    """What a run of decisions did; `waiting` counts observations learned after `now`, which a later run decides."""

    profile: str
    decided: int
    waiting: int
    events: int
    listed: int
    ended: int
    in_force: int


def check_profile(data_dir: Path, profile: str | None) -> None:
    """Raise ConfigError where a store that decides by one profile is asked to decide by another."""
    path = ledger_path(data_dir)
    if profile is None or not path.exists():
        return
    with Ledger.open(path) as ledger:
        mark = ledger.mark()
    if mark is not None and mark[1] != profile:
        raise ConfigError(
            f"{data_dir} decides by the profile {mark[1]}, not {profile}; leave --profile out, or name another --data"
        )


class Deciding:
    """The ledger open and the working state in memory, for one run of decisions or for a long one; a context manager.

        with Deciding.open(data_dir, profile) as deciding:
            deciding.decide(store, now)  # as often as evidence came in
            deciding.expire(now)  # as often as time passed

    Each call is one transaction of the ledger that holds what it touched and nothing else; a call that changed nothing
    writes nothing.  Where a call fails, the ledger is as it was, and the next call takes its state up from there anew.
    """

    def __init__(self, ledger: Ledger, profile: str | None = None) -> None:
        self._ledger = ledger
        self._profile = profile
        self._memory: _Memory | None = None

    @classmethod
    def open(cls, data_dir: Path, profile: str | None = None) -> Self:
        """Open the ledger of a store for writing, made where there is none; `profile` is that of a new ledger.

        Raises StoreError where the ledger cannot be opened, ConfigError for a profile that does not exist.
        """
        deciding = cls(Ledger.open(ledger_path(data_dir), "write"), profile)
        try:
            deciding._recalled()
        except BaseException:
            deciding.close()
            raise
        return deciding

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the ledger."""
        self._ledger.close()

    def decide(self, store: Evidence, now: datetime) -> Decided:
        """Decide what is not decided yet and was learned by `now`, or by the latest `now` of an earlier run.

        Time does not go back: what comes in late is decided when it comes.  Raises StoreError.
        """
        with self._transaction() as memory:
            mark = memory.mark
            reached = Mark(store.last_batch(), now if mark is None else max(now, mark.until))
            events = memory.allow(own_networks(store))
            batches = store.in_decision_order(
                after_batch=mark.batch if mark else 0, decided_until=mark.until if mark else None, until=reached.until
            )
            decided = 0
            for batch in batches:
                decided += batch.num_rows
                for row in seen_from_table(batch):
                    events += memory.decider.decide(row)
            if mark is None or decided or events or reached.batch != mark.batch:
                self._commit(memory, events, reached)
        waiting = store.learned_after(reached.until)
        in_force = self._ledger.count_listed(now)
        profile = memory.decider.settings.profile
        return Decided(profile, decided, waiting, len(events), *_changed(events), in_force)

    def expire(self, now: datetime) -> int:
        """End the listings whose term is over by `now`, each dated at its own end; return how many ended.

        For a clock that runs, when no observation comes that would end them.  A listing past its end is in no list
        anyway; this enters the end in the log.  Decisions go on from the latest of these ends, so do not call it with a
        `now` that evidence still to be decided may lie before: a replay of old mail has no use for it.
        """
        with self._transaction() as memory:
            events = memory.decider.expire(now)
            if events:
                self._commit(memory, events, memory.mark or Mark(0, now))
        return len(events)

    def _recalled(self) -> "_Memory":
        """Return the working state, loaded where it is not in memory."""
        if self._memory is None:
            recorded = self._ledger.mark()
            decider = Decider(settings_of(recorded[1] if recorded else self._profile or DEFAULT_PROFILE))
            decider.loads(self._ledger.load_state())
            mark = None if recorded is None else msgspec.msgpack.decode(recorded[0], type=Mark)
            self._memory = _Memory(decider, mark)
        return self._memory

    @contextmanager
    def _transaction(self) -> Iterator["_Memory"]:
        """Give the working state to be changed; at an exception it is forgotten, for the ledger does not have it."""
        try:
            yield self._recalled()
        except BaseException:
            self._memory = None
            raise

    def _commit(self, memory: "_Memory", events: Sequence[Event], mark: Mark) -> None:
        settings = memory.decider.settings
        self._ledger.commit(
            events,
            memory.decider.dumps(),
            msgspec.msgpack.encode(mark),
            profile=settings.profile,
            rule_version=settings.rule_version,
        )
        memory.mark = mark


class _Memory:
    """What a ledger holds for deciding on: the policy's state, the mark, and what is never listed."""

    def __init__(self, decider: Decider, mark: Mark | None) -> None:
        self.decider = decider
        self.mark = mark
        self._allowed: list[str] = []

    def allow(self, networks: list[str]) -> list[Event]:
        """Never list these; looking through all listings for them is worth its time only when they changed."""
        if networks == self._allowed:
            return []
        self._allowed = networks
        return self.decider.allow(networks)


def decide(store: Evidence, data_dir: Path, now: datetime, profile: str | None = None) -> Decided:
    """Run `Deciding.decide` once, over a ledger opened for it."""
    with Deciding.open(data_dir, profile) as deciding:
        return deciding.decide(store, now)


def settings_of(profile: str) -> Settings:
    """Return a profile's settings; raises ConfigError for one that does not exist."""
    if profile not in PROFILES:
        raise ConfigError(f"there is no profile {profile!r}; it is one of {', '.join(PROFILES)}")
    return PROFILES[profile]


def _changed(events: Iterable[Event]) -> tuple[int, int]:
    """Count the targets listed, and those whose listing ended."""
    changes = {(event.target, event.change) for event in events}
    listed = sum(change == "listed" for _, change in changes)
    return listed, sum(change in {"expired", "removed"} for _, change in changes)
