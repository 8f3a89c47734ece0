"""The ledger as the rest of the program sees it: opened, appended to run by run, and read."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

import msgspec
import sqlalchemy as sql

from whimbrel.errors import StoreError
from whimbrel.listings.ledger import erasing, rows
from whimbrel.listings.ledger.opening import Mode, Opened, Place, opened
from whimbrel.listings.ledger.replay import OF_THE_LIST, apply, apply_allowed, replayed
from whimbrel.listings.ledger.schema import ALLOWED, CHECKPOINT, EVENT, LISTING, PUBLICATION, RUN, STATE
from whimbrel.listings.ledger.writing import BATCH_ROWS, insert, replace
from whimbrel.model.listing import Allowed, Event, Listing, Run, RunKind, said

# Runs after which the working state is kept, for a rebuild to begin there.
CHECKPOINTS: Final[frozenset[RunKind]] = frozenset({"earlier", "forgotten"})


class Relisted(NamedTuple):
    """What the log alone says of every target ever listed, and of what is never listed.

    `differing` are the targets of which the tables say something else, sorted.
    """

    listings: list[Listing]
    allowed: list[Allowed]
    differing: list[str]


class LedgerMovedError(StoreError):
    """Somebody else has appended since the state was read that a commit rests on."""


class Ledger:
    """One open ledger: `write` is the one writer's (and makes it), `append` adds to one that is there, `read` reads."""

    def __init__(self, found: Opened) -> None:
        self._found = found

    @classmethod
    def open(cls, place: Place, mode: Mode = "read") -> Self:
        """Open the ledger at a path or a PostgreSQL URL.

        Raises StoreError where it is missing (and not to be made), unreadable or newer than this program, ConfigError
        for a URL that is none, or without the driver.
        """
        ledger = cls.find(place, mode)
        if ledger is None:
            where = f"{place}: " if isinstance(place, Path) else ""
            raise StoreError(f"{where}no ledger here; run `whimbrel ingest` first")
        return ledger

    @classmethod
    def find(cls, place: Place, mode: Mode = "read") -> Self | None:
        """Open the ledger, or return None where there is none and none is to be made."""
        found = opened(place, mode)
        return None if found is None else cls(found)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close it."""
        self._found.engine.dispose()

    # Appending

    def commit(self, run: Run, events: Sequence[Event] = (), states: Iterable[tuple[str, bytes]] = ()) -> Run:
        """Append a run: its events, the states they leave behind and its own row in one transaction, or nothing.

        Where `run` has a number it must be the next one.  Return the run as recorded, with its number and last event.
        Raises LedgerMovedError where it is not the next, StoreError where the ledger cannot be written.
        """
        with self._found.writing() as connection:
            last = _last_run(connection)
            number, event = (last.number, last.last_event) if last is not None else (0, 0)
            if run.number not in {0, number + 1}:
                raise self._moved()
            recorded = msgspec.structs.replace(run, number=number + 1, last_event=event + len(events))
            insert(connection, EVENT, [rows.event_row(each, event + n) for n, each in enumerate(events, 1)])
            _keep_listings(connection, events)
            _keep_allowed(connection, events)
            replace(connection, STATE, "key", [rows.state_row(key, value) for key, value in states])
            insert(connection, RUN, [rows.run_row(recorded)])
            if recorded.kind in CHECKPOINTS:
                _keep_checkpoint(connection)
        return recorded

    def erase(
        self, target: str | None, run: Run, states: Iterable[tuple[str, bytes]], *, by: str, why: str, must: bool
    ) -> Event | None:
        """Put a mark in a target's place in everything recorded, and append an event that says so, as the run given.

        `states` are those that named it, written without it; its own goes.  Its listing ends, and what people said of
        it goes too.  Where nothing was recorded of it, nothing is done and None returned, unless there `must` be an
        event (something was erased elsewhere).  Then `scrub`.
        """
        with self._found.writing() as connection:
            last = _last_run(connection)
            if last is None or run.number != last.number + 1:
                raise self._moved()
            mark = erasing.next_mark(connection)
            if not (target is not None and erasing.rename(connection, target, mark, rows.micros(run.at))) and not must:
                return None
            event = said(run.at, mark, "erased", by, why)
            number = last.last_event + 1
            insert(connection, EVENT, [rows.event_row(event, number)])
            replace(connection, STATE, "key", [rows.state_row(key, value) for key, value in states])
            insert(connection, RUN, [rows.run_row(msgspec.structs.replace(run, last_event=number))])
            _keep_checkpoint(connection)
        return event

    def scrub(self) -> None:
        """Leave nothing of what was erased in free pages and logs; a reader at work raises StoreError."""
        with self._found.telling("scrubbed"):
            erasing.scrub(self._found)

    def note_publication(self, serial: int, born: datetime) -> list[Listing]:
        """Note that a snapshot is cut at `born`, and return the listings in force then, which go into it."""
        with self._found.writing() as connection:
            _note_published(connection, serial, born, _last_event(connection))
            return [each for each in _listings(connection, born, None) if not each.target.startswith(erasing.MARK)]

    def note_published(self, serial: int, born: datetime, last_event: int) -> None:
        """Note that a snapshot was cut at `born` from a list kept by `changes`, which had come to `last_event`."""
        with self._found.writing() as connection:
            _note_published(connection, serial, born, last_event)

    def rewrite(self, rebuilt: Relisted, states: Iterable[tuple[str, bytes]], *, after: Run) -> None:
        """Put what was rebuilt in the place of the listings, the allow list and the working state, all at once.

        Raises LedgerMovedError where the ledger went on beyond the run `after`.
        """
        with self._found.writing() as connection:
            if _last_run(connection) != after:
                raise self._moved()
            for table in (LISTING, ALLOWED, STATE):
                connection.execute(sql.delete(table))
            insert(connection, LISTING, [rows.listing_row(each) for each in rebuilt.listings])
            insert(connection, ALLOWED, [rows.allowed_row(each) for each in rebuilt.allowed])
            insert(connection, STATE, [rows.state_row(key, value) for key, value in states])

    def _moved(self) -> LedgerMovedError:
        return LedgerMovedError(
            f"{self._found.name}: somebody else has appended to it meanwhile; run the command again"
        )

    # Reading

    def last_run(self) -> Run | None:
        """Return the last run, or None before the first."""
        with self._found.reading() as connection:
            return _last_run(connection)

    def runs(self) -> list[Run]:
        """Return all runs, in their order."""
        with self._found.reading() as connection:
            return [rows.run(row) for row in connection.execute(sql.select(RUN).order_by(RUN.c.number)).mappings()]

    def load_state(self, keys: Sequence[str] | None = None) -> Iterator[tuple[str, bytes]]:
        """Yield the Decider's rows (for `Decider.loads`), all of them or those of some keys."""
        queries = [sql.select(STATE)]
        if keys is not None:
            asked = [rows.state_row(key, b"")["key"] for key in keys]
            some = (asked[start : start + BATCH_ROWS] for start in range(0, len(asked), BATCH_ROWS))
            queries = [sql.select(STATE).where(STATE.c.key.in_(each)) for each in some]
        with self._found.reading() as connection:
            for query in queries:
                for row in connection.execute(query).yield_per(BATCH_ROWS).mappings():
                    yield rows.state(row)

    def checkpoint(self) -> Iterator[tuple[str, bytes]]:
        """Yield the Decider's rows from which a rebuild starts (`Run.kind` says of which runs), likewise."""
        with self._found.reading() as connection:
            for row in connection.execute(sql.select(CHECKPOINT)).yield_per(BATCH_ROWS).mappings():
                yield rows.state(row)

    def listings(self, now: datetime, targets: Sequence[str] | None = None) -> list[Listing]:
        """Return the listings in force at `now` (of some targets), by target.

        Of a moment before the last event's they are read from the log: what was decided for then, repeated.
        """
        with self._found.reading() as connection:
            return _listings(connection, now, targets)

    def listings_at(self, at: datetime) -> list[Listing]:
        """Return the listings in force at a moment, as they were known then, by target.

        What was decided for a moment after a snapshot of it was published (mail came in late) is not in that snapshot,
        and not here: the log is read as far as it had come at the first publication from that moment on.
        """
        of_then = (
            sql.select(PUBLICATION.c.last_event)
            .where(PUBLICATION.c.born >= rows.micros(at))
            .order_by(PUBLICATION.c.born, PUBLICATION.c.number.desc())
            .limit(1)
        )
        with self._found.reading() as connection:
            last = connection.execute(of_then).scalar()
            return _replayed(connection, at, None, last)

    def count_listed(self, now: datetime) -> int:
        """Count the listings in force at `now`."""
        with self._found.reading() as connection:
            if _is_past(connection, now):
                return len(_replayed(connection, now, None))
            query = sql.select(sql.func.count()).select_from(LISTING).where(LISTING.c.until > rows.micros(now))
            return int(connection.execute(query).scalar_one())

    def allowed(self, up_to: int | None = None) -> list[Allowed]:
        """Return what people said is never listed, by target; with `up_to`, as the log said at that event."""
        with self._found.reading() as connection:
            if up_to is None:
                return _allowed(connection)
            of_people = EVENT.c.change.in_(["allowed", "no longer allowed", "erased"])
            query = sql.select(EVENT).where(of_people, EVENT.c.number <= up_to).order_by(EVENT.c.number)
            found: dict[str, Allowed] = {}
            apply_allowed(found, (rows.event(row) for row in connection.execute(query).mappings()))
        return sorted(found.values(), key=lambda allowed: allowed.target)

    def events(self, after: int = 0) -> Generator[Event, None, None]:
        """Yield the events numbered above `after`, oldest first, in bounded memory; close it if not read to the end."""
        query = sql.select(EVENT).where(EVENT.c.number > after).order_by(EVENT.c.number)
        with self._found.reading() as connection:
            streaming = connection.execution_options(yield_per=BATCH_ROWS)
            with streaming.execute(query) as result:
                for row in result.mappings():
                    yield rows.event(row)

    def relisted(self) -> Relisted:
        """Return the tables of listings and of what is never listed, built from the log alone."""
        listings: dict[str, Listing] = {}
        allowed: dict[str, Allowed] = {}
        query = sql.select(EVENT).where(EVENT.c.change.in_(OF_THE_LIST)).order_by(EVENT.c.number)
        with self._found.reading() as connection:
            streaming = connection.execution_options(yield_per=BATCH_ROWS)
            events = [rows.event(row) for row in streaming.execute(query).mappings()]
            # As rows, for what stands there may be anything.
            stored = {row["target"]: dict(row) for row in connection.execute(sql.select(LISTING)).mappings()}
            stored_allowed = {row["target"]: dict(row) for row in connection.execute(sql.select(ALLOWED)).mappings()}
        apply(listings, {}, events, keep_ended=True)
        apply_allowed(allowed, events)
        told = {target: rows.listing_row(listing) for target, listing in listings.items()}
        told_allowed = {target: rows.allowed_row(each) for target, each in allowed.items()}
        differing = _differing(stored, told) | _differing(stored_allowed, told_allowed)
        return Relisted(list(listings.values()), list(allowed.values()), sorted(differing))

    def history(self, target: str | None = None) -> list[Event]:
        """Return the events of one target, or of all, oldest first."""
        query = sql.select(EVENT).order_by(EVENT.c.number)
        if target is not None:
            query = query.where(EVENT.c.target == target)
        with self._found.reading() as connection:
            return [rows.event(row) for row in connection.execute(query).mappings()]

    def changes(self, after: int) -> tuple[int, list[Event]]:
        """Return the events numbered above `after`, oldest first, and the number of the last one there is.

        For a reader that keeps the list in memory: it takes `listings` once, then what changed.
        """
        query = sql.select(EVENT).where(EVENT.c.number > after).order_by(EVENT.c.number)
        with self._found.reading() as connection:
            found = connection.execute(query).mappings().all()
        return (found[-1]["number"] if found else after), [rows.event(row) for row in found]

    def last_change(self) -> int:
        """Return the number of the last event; 0 before the first."""
        with self._found.reading() as connection:
            return _last_event(connection)

    def counts(self) -> tuple[int, int]:
        """Return how many events the log has, and of how many targets."""
        query = sql.select(sql.func.count(), sql.func.count(EVENT.c.target.distinct())).select_from(EVENT)
        with self._found.reading() as connection:
            row = connection.execute(query).one()
        return int(row[0]), int(row[1])


def _differing(one: Mapping[str, object], other: Mapping[str, object]) -> set[str]:
    return {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}


def _keep_checkpoint(connection: sql.Connection) -> None:
    connection.execute(sql.delete(CHECKPOINT))
    connection.execute(sql.insert(CHECKPOINT).from_select(["key", "value"], sql.select(STATE)))


def _note_published(connection: sql.Connection, serial: int, born: datetime, last_event: int) -> None:
    row = {"serial": serial, "born": rows.micros(born), "last_event": last_event}
    connection.execute(sql.insert(PUBLICATION), [row])


def _last_run(connection: sql.Connection) -> Run | None:
    row = connection.execute(sql.select(RUN).order_by(RUN.c.number.desc()).limit(1)).mappings().first()
    return None if row is None else rows.run(row)


def _allowed(connection: sql.Connection) -> list[Allowed]:
    found = [rows.allowed(row) for row in connection.execute(sql.select(ALLOWED)).mappings()]
    return sorted(found, key=lambda allowed: allowed.target)


def _last_event(connection: sql.Connection) -> int:
    return int(connection.execute(sql.select(sql.func.coalesce(sql.func.max(EVENT.c.number), 0))).scalar_one())


def _is_past(connection: sql.Connection, now: datetime) -> bool:
    last = connection.execute(sql.select(sql.func.max(EVENT.c.at))).scalar()
    return last is not None and rows.micros(now) < last


def _listings(connection: sql.Connection, now: datetime, targets: Sequence[str] | None) -> list[Listing]:
    if _is_past(connection, now):
        return _replayed(connection, now, targets)
    query = sql.select(LISTING).where(LISTING.c.until > rows.micros(now))
    if targets is not None:
        query = query.where(LISTING.c.target.in_(targets))
    found = [rows.listing(row) for row in connection.execute(query).mappings()]
    return sorted(found, key=lambda listing: listing.target)  # a database orders texts by its own alphabet


def _replayed(
    connection: sql.Connection, at: datetime, targets: Sequence[str] | None, last: int | None = None
) -> list[Listing]:
    """Replay the log up to event `last`, of the targets alone that were ever listed to beyond `at`."""
    then = rows.micros(at)
    known = EVENT.c.at <= then if last is None else sql.and_(EVENT.c.at <= then, EVENT.c.number <= last)
    beyond = sql.select(EVENT.c.target).where(known, EVENT.c.until > then)
    query = sql.select(EVENT).where(known, EVENT.c.change.in_(OF_THE_LIST), EVENT.c.target.in_(beyond))
    if targets is not None:
        query = query.where(EVENT.c.target.in_(targets))
    events = connection.execute(query.order_by(EVENT.c.number)).mappings()
    return replayed(map(rows.event, events), at)


def _keep_listings(connection: sql.Connection, events: Sequence[Event]) -> None:
    targets = sorted({event.target for event in events if event.change in OF_THE_LIST})
    before: dict[str, Listing] = {}
    for start in range(0, len(targets), BATCH_ROWS):
        query = sql.select(LISTING).where(LISTING.c.target.in_(targets[start : start + BATCH_ROWS]))
        before |= {row["target"]: rows.listing(row) for row in connection.execute(query).mappings()}
    after = dict(before)
    apply(after, {target: each.times_listed for target, each in before.items()}, events, keep_ended=True)
    replace(connection, LISTING, "target", [rows.listing_row(after[target]) for target in targets if target in after])


def _keep_allowed(connection: sql.Connection, events: Sequence[Event]) -> None:
    changed = [event for event in events if event.change in {"allowed", "no longer allowed"}]
    if changed:
        after: dict[str, Allowed] = {}
        apply_allowed(after, changed)
        connection.execute(sql.delete(ALLOWED).where(ALLOWED.c.target.in_({event.target for event in changed})))
        insert(connection, ALLOWED, [rows.allowed_row(allowed) for allowed in after.values()])
