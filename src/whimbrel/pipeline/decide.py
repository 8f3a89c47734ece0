"""Decisions: new evidence goes by the policy in order of time, and what it changed into the ledger.

One transaction holds a run's events, the working state they leave behind, and the mark up to which evidence is decided;
so a run that dies decides nothing, and the next one decides all of it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

import msgspec
from msgspec.structs import replace

from whimbrel.errors import ConfigError, StoreError
from whimbrel.evidence import Evidence
from whimbrel.listings.ledger import Ledger, LedgerMovedError
from whimbrel.listings.policy import Decider
from whimbrel.listings.recalling import let_go, recall, size_of
from whimbrel.listings.settings import PROFILES, Settings
from whimbrel.listings.state import Seen, seen_from_table
from whimbrel.model.listing import Event, Run, RunKind
from whimbrel.pipeline.places import ledger_place
from whimbrel.pipeline.settle import own_networks

DEFAULT_PROFILE = "shared"

# Records of the working state in memory beside those of listed targets (`listings.recalling`): some 120 MB.
_MOST_RECORDS = 200_000

# People decide now and then: whoever was disturbed this often in a row is disturbed by something else.
_TRIES = 5

_Result = TypeVar("_Result")


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
    ledger = None if profile is None else Ledger.find(ledger_place(data_dir))
    if ledger is None:
        return
    with ledger:
        run = ledger.last_run()
    if run is not None and run.profile != profile:
        raise ConfigError(
            f"{data_dir} decides by the profile {run.profile}, not {profile}; "
            "leave --profile out, or name another --data"
        )


class Deciding:
    """The ledger open and the working state in memory, for one run of decisions or for a long one; a context manager.

        with Deciding.open(data_dir, profile) as deciding:
            deciding.decide(store, now)  # as often as evidence came in
            deciding.expire(now)  # as often as time passed

    Each call is one transaction of the ledger that holds what it touched and nothing else; a call that changed nothing
    writes nothing.  Where a call fails, the ledger is as it was, and the next call takes its state up from there anew.
    What others append in between (people's decisions) is taken up by itself.
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
        deciding = cls(Ledger.open(ledger_place(data_dir), "write"), profile)
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

    @property
    def last_run(self) -> Run | None:
        """The last run of decisions that is known here; None before the first."""
        return self._recalled().run

    def decide(self, store: Evidence, now: datetime) -> Decided:
        """Decide what is not decided yet and was learned by `now`, or by the latest `now` of an earlier run.

        Time does not go back: what comes in late is decided when it comes.  Raises StoreError.
        """
        return undisturbed(lambda: self._decide(store, now))

    def _decide(self, store: Evidence, now: datetime) -> Decided:
        with self._transaction() as memory:
            last = memory.run
            batch, until = store.last_batch(), now if last is None else max(now, last.until)
            own = own_networks(store)
            events = memory.allow(own)
            decided = 0
            rows = store.in_decision_order(
                after_batch=last.batch if last else 0, decided_until=last.until if last else None, until=until
            )
            for some in rows:
                decided += some.num_rows
                seen = list(seen_from_table(some))
                memory.recall(seen, self._ledger)
                for row in seen:
                    events += memory.decider.decide(row)
            if last is None or decided or events or batch != last.batch:
                self._commit(memory, events, "decided", at=now, batch=batch, until=until, decided=decided)
        in_force = self._ledger.count_listed(now)
        profile = memory.decider.settings.profile
        return Decided(profile, decided, store.learned_after(until), len(events), *_changed(events), in_force)

    def expire(self, now: datetime) -> int:
        """End the listings whose term is over by `now`, each dated at its own end; return how many ended.

        For a clock that runs, when no observation comes that would end them.  A listing past its end is in no list
        anyway; this enters the end in the log.  Decisions go on from the latest of these ends, so do not call it with a
        `now` that evidence still to be decided may lie before: a replay of old mail has no use for it.
        """
        return undisturbed(lambda: self._expire(now))

    def _expire(self, now: datetime) -> int:
        with self._transaction() as memory:
            events = memory.decider.expire(now)
            last = memory.run
            if events and last is not None:
                self._commit(memory, events, "expired", at=now, batch=last.batch, until=last.until)
        return len(events)

    def _recalled(self) -> "_Memory":
        """Return the working state, loaded where it is not in memory, or where somebody else has appended since."""
        last = self._ledger.last_run()
        if self._memory is None or self._memory.run != last:
            decider = Decider(settings_of(last.profile if last else self._profile or DEFAULT_PROFILE))
            is_whole = _load(decider, self._ledger)
            last = None if last is None else under_rules(self._ledger, last, decider.rule_version)
            allowed = [each.target for each in self._ledger.allowed()]
            self._memory = _Memory(decider, last, allowed, is_whole=is_whole)
        return self._memory

    @contextmanager
    def _transaction(self) -> Iterator["_Memory"]:
        """Give the working state to be changed; at an exception it is forgotten, for the ledger does not have it."""
        try:
            yield self._recalled()
        except BaseException:
            self._memory = None
            raise

    def _commit(
        self,
        memory: "_Memory",
        events: Sequence[Event],
        kind: RunKind,
        *,
        at: datetime,
        batch: int,
        until: datetime,
        decided: int = 0,
    ) -> None:
        settings = memory.decider.settings
        run = Run(
            number=1 if memory.run is None else memory.run.number + 1,
            kind=kind,
            at=at,
            batch=batch,
            until=until,
            own=tuple(memory.own),
            profile=settings.profile,
            rule_version=settings.rule_version,
            decided=decided,
        )
        memory.run = self._ledger.commit(run, events, memory.decider.dumps())
        memory.let_go()


class _Memory:
    """What a ledger holds for deciding on: the policy's state, the last run, and what is never listed.

    `is_whole`: all of the state is in memory, and there is nothing to recall.
    """

    def __init__(self, decider: Decider, run: Run | None, allowed: list[str], *, is_whole: bool) -> None:
        self.decider = decider
        self.run = run
        self._is_whole = is_whole
        self._most = size_of(decider) + _MOST_RECORDS
        self.own = [] if run is None else list(run.own)
        self._allowed = allowed
        decider.allow([*self.own, *allowed])  # ends nothing: what was listed of these ended when they were told

    def allow(self, own: list[str]) -> list[Event]:
        """Never list our own networks; looking through all listings for them is worth its time only at a change."""
        if own == self.own:
            return []
        self.own = own
        return self.decider.allow([*own, *self._allowed])

    def recall(self, rows: Sequence[Seen], ledger: Ledger) -> None:
        """Have in memory what deciding on some rows reads."""
        if not self._is_whole:
            recall(self.decider, rows, ledger.load_state)

    def let_go(self) -> None:
        """Let go of what the ledger has, once there is much of it; to do so each time would load it each time."""
        if size_of(self.decider) > self._most:
            let_go(self.decider)
            self._is_whole = False
            self._most = size_of(self.decider) + _MOST_RECORDS


def decide(store: Evidence, data_dir: Path, now: datetime, profile: str | None = None) -> Decided:
    """Run `Deciding.decide` once, over a ledger opened for it."""
    with Deciding.open(data_dir, profile) as deciding:
        return deciding.decide(store, now)


def undisturbed(work: Callable[[], _Result]) -> _Result:
    """Do some work on the ledger again where somebody else appended meanwhile: it must rest on what they said."""
    for _ in range(_TRIES - 1):
        try:
            return work()
        except LedgerMovedError:
            continue
    return work()


def under_rules(ledger: Ledger, last: Run, rule_version: str) -> Run:
    """Return the last run, after which decisions go on by these rules.

    Where that run's were others, a run of kind `earlier` keeps the working state: what led to it cannot be made again.
    """
    if last.rule_version == rule_version:
        return last
    kept = replace(last, kind="earlier", number=last.number + 1, rule_version=rule_version, decided=0)
    return ledger.commit(kept)


def _load(decider: Decider, ledger: Ledger) -> bool:
    """Load the working state; return whether it is all in memory now, or was too much for it."""
    is_whole = True
    rows = iter(ledger.load_state())
    while some := list(islice(rows, _MOST_RECORDS)):
        if size_of(decider):
            let_go(decider)
            is_whole = False
        _take_up(decider, some)
    return is_whole


def _take_up(decider: Decider, rows: Iterable[tuple[str, bytes]]) -> None:
    try:
        decider.loads(rows)
    except msgspec.MsgspecError as error:
        raise StoreError("the ledger's working state is damaged: run `whimbrel rebuild --write`") from error


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
