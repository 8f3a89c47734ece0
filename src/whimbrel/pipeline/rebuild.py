"""Rebuilding: the list from the log alone, and the working state from the evidence as it stood at each recorded run.

    log       -> repeated                  -> the list, bit for bit; nothing is computed anew
    run N     -> evidence of that run      -> policy again -> its events, compared with those recorded
              -> what people decided then  -> taken over as recorded
    last run  -> the working state

The log is what was decided, and is never rewritten.  This begins at the last run that left a checkpoint (evidence was
forgotten then, rules changed, or runs were not recorded before).  Where the rules of the runs after it are not this
program's, their events cannot be made again: they stand, and the state is led along them.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from whimbrel.errors import StoreError
from whimbrel.evidence import Evidence
from whimbrel.evidence.extents import NOTHING, Extent
from whimbrel.listings.keeping import same_state
from whimbrel.listings.ledger import CHECKPOINTS, Ledger
from whimbrel.listings.ledger.replay import apply_allowed
from whimbrel.listings.lifecycle import carried
from whimbrel.listings.policy import Decider
from whimbrel.listings.state import Standing, seen_from_table
from whimbrel.model.listing import Event, Run
from whimbrel.pipeline.decide import settings_of
from whimbrel.pipeline.places import ledger_place

Progress = Callable[[int, int], None]  # observations decided again, and how many there are


class Rebuilt(NamedTuple):
    """What was found: runs decided again, and those that stand as recorded; whether list and state were as rebuilt."""

    events: int
    listings: int
    observations: int
    again: int
    carried: int
    list_same: bool
    state_same: bool
    written: bool


def rebuild(data_dir: Path, *, write: bool, progress: Progress = lambda *_: None) -> Rebuilt:
    """Rebuild the list and the working state; with `write`, put them into the ledger's tables, in one transaction.

    Raises StoreError, with both sides, at the first event that the same rules and evidence make otherwise than it is
    recorded: then nothing is written.
    """
    place = ledger_place(data_dir)
    with (
        Evidence.open(data_dir, write=write, make=False) as store,
        Ledger.open(place, "append" if write else "read") as ledger,
    ):
        runs = ledger.runs()
        if not runs:
            raise StoreError(f"{data_dir}: nothing was decided yet, so there is nothing to rebuild")
        rebuilt = ledger.relisted()
        with closing(_Replay(ledger, runs)) as replay:
            states = replay.run(store, progress)
        state_same = same_state(dict(ledger.load_state()), states)
        list_same = not rebuilt.differing
        written = write and not (list_same and state_same)
        if written:
            ledger.rewrite(rebuilt, states.items(), after=runs[-1])
    return Rebuilt(
        runs[-1].last_event,
        len(rebuilt.listings),
        replay.observations,
        replay.again,
        len(runs) - replay.again,
        list_same,
        state_same,
        written,
    )


class _Replay:
    """The runs after the last checkpoint, again."""

    def __init__(self, ledger: Ledger, runs: Sequence[Run]) -> None:
        first = max((n for n, run in enumerate(runs, 1) if run.kind in CHECKPOINTS), default=0)
        before = runs[first - 1] if first else None
        self._runs = runs[first:]
        self._before = Extent(before.batch, before.until) if before else NOTHING
        self._number = before.last_event if before else 0
        self._own = before.own if before else ()
        self._events = ledger.events(after=self._number)
        self._allowed = {allowed.target: allowed for allowed in ledger.allowed(up_to=self._number)}
        self._states = dict(ledger.checkpoint()) if before else {}
        self._decider = Decider(settings_of(runs[-1].profile))
        self._decider.loads(self._states.items())
        self._standings = {target: replace(standing) for target, standing in self._decider.standings()}
        self._never_list()
        self.again = 0
        self.observations = 0

    def close(self) -> None:
        """Let go of the log."""
        self._events.close()

    def run(self, store: Evidence, progress: Progress) -> dict[str, bytes]:
        """Do all runs again; return the working state that they leave behind."""
        extents = [Extent(run.batch, run.until, run.decided) for run in self._runs]
        total = sum(run.decided for run in self._runs)
        rows = groupby(store.in_order_of_runs(extents, self._before), key=itemgetter(0))
        index, batches = next(rows, (-1, iter(())))
        for number, run in enumerate(self._runs):
            made = self._begin(run)
            if number == index:
                for _, batch in batches:
                    for row in seen_from_table(batch):
                        made += self._decider.decide(row)
                    self.observations += batch.num_rows
                    progress(self.observations, total)
                index, batches = next(rows, (-1, iter(())))
            self._end(run, made)
        return self._states | dict(self._decider.dumps())

    def _begin(self, run: Run) -> list[Event]:
        """Return the events of a run that no observation makes."""
        if run.kind == "expired":
            return self._decider.expire(run.at)
        if run.own == self._own:
            return []
        self._own = run.own
        return self._never_list()

    def _never_list(self) -> list[Event]:
        return self._decider.allow([*self._own, *self._allowed])

    def _end(self, run: Run, made: list[Event]) -> None:
        """Hold what a run made against what is recorded of it, or take over what is recorded."""
        recorded = list(islice(self._events, run.last_event - self._number))
        self._number = run.last_event
        for event in recorded:
            carried(self._standings.setdefault(event.target, Standing()), event)
        if run.kind == "people":
            for event in recorded:
                self._decider.carry(event)
            apply_allowed(self._allowed, recorded)
            self._never_list()
        elif run.rule_version == self._decider.rule_version:
            _compare(run, made, recorded)
            self.again += 1
        else:
            for target in {event.target for event in [*made, *recorded]}:
                self._decider.restore(target, replace(self._standings.get(target, Standing())))


def _compare(run: Run, made: Sequence[Event], recorded: Sequence[Event]) -> None:
    if made == recorded:
        return
    pairs = zip([*made, None], [*recorded, None], strict=False)
    number, (ours, theirs) = next((n, pair) for n, pair in enumerate(pairs) if pair[0] != pair[1])
    first = run.last_event - len(recorded) + 1
    raise StoreError(
        f"event {first + number} of run {run.number} is recorded as {_told(theirs)}, "
        f"and its evidence makes {_told(ours)}; "
        "the list is as recorded and nothing was written: evidence or ledger were changed since"
    )


def _told(event: Event | None) -> str:
    if event is None:
        return "no event"
    numbers = f"score {event.score}, prior {event.prior_logit}, until {event.until and event.until.isoformat()}"
    evidence = b"".join(event.evidence).hex() or "none"
    return f"{event.target} {event.change} at {event.at.isoformat()} ({event.why}; {numbers}; evidence {evidence})"
