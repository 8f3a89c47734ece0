"""The ledger: what was decided, append-only, and the working state that goes on from it.

Four tables.  `event` is the log and is never changed; `listing` is its last line for each target, kept so that the list
can be read without replay; `state` holds the Decider's rows by key; `mark` holds up to which observation evidence is
decided, under which rules.  A run's events, states and mark are written in one transaction.  `replayed` builds the
list of any moment from the log alone: it repeats what was recorded and computes nothing anew, so it is bit-identical.

SQLAlchemy Core, portable to PostgreSQL: big integers for times (microseconds since 1970, UTC), text, blobs, floats.
On SQLite the journal is a write-ahead log, so readers go on beside a writer.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

import sqlalchemy as sql
from sqlalchemy.exc import SQLAlchemyError

from whimbrel.errors import StoreError
from whimbrel.listings.state import EPOCH
from whimbrel.model.listing import Code, Event, Listing
from whimbrel.model.observation import ID_BYTES

LEDGER_VERSION: Final = 1

# Rows written by one statement: SQLite takes 32,766 parameters, a state row has two.
_BATCH_ROWS: Final = 5_000

# Waiting for another writer's transaction; longer than any commit of ours, shorter than a user's patience.
_BUSY_SECONDS: Final = 10

_METADATA: Final = sql.MetaData()

_EVENT: Final = sql.Table(
    "event",
    _METADATA,
    sql.Column("number", sql.BigInteger().with_variant(sql.Integer(), "sqlite"), primary_key=True, autoincrement=True),
    sql.Column("at", sql.BigInteger, nullable=False, index=True),
    sql.Column("target", sql.Text, nullable=False, index=True),
    sql.Column("change", sql.Text, nullable=False),
    sql.Column("actor", sql.Text, nullable=False),
    sql.Column("code", sql.Integer),
    sql.Column("role", sql.Text),
    sql.Column("until", sql.BigInteger),
    sql.Column("score", sql.Double),
    sql.Column("prior_logit", sql.Double),
    sql.Column("probability_legitimate", sql.Double),
    sql.Column("why", sql.Text, nullable=False),
    sql.Column("evidence", sql.LargeBinary, nullable=False),
)

_LISTING: Final = sql.Table(
    "listing",
    _METADATA,
    sql.Column("target", sql.Text, primary_key=True),
    sql.Column("code", sql.Integer, nullable=False),
    sql.Column("role", sql.Text, nullable=False),
    sql.Column("since", sql.BigInteger, nullable=False),
    sql.Column("until", sql.BigInteger, nullable=False, index=True),
    sql.Column("probability_legitimate", sql.Double, nullable=False),
    sql.Column("times_listed", sql.Integer, nullable=False),
    sql.Column("rule_version", sql.Text, nullable=False),
    sql.Column("evidence", sql.LargeBinary, nullable=False),
)

_STATE: Final = sql.Table(
    "state",
    _METADATA,
    sql.Column("key", sql.Text, primary_key=True),
    sql.Column("value", sql.LargeBinary, nullable=False),
)

_MARK: Final = sql.Table(
    "mark",
    _METADATA,
    sql.Column("one", sql.Integer, primary_key=True),
    sql.Column("ledger_version", sql.Integer, nullable=False),
    sql.Column("profile", sql.Text, nullable=False),
    sql.Column("rule_version", sql.Text, nullable=False),
    sql.Column("value", sql.LargeBinary, nullable=False),
)


class Ledger:
    """One ledger file; `write` opens it for the one writer (and makes it), `read` beside it."""

    def __init__(self, engine: sql.Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, path: Path, mode: Literal["read", "write"] = "read") -> Self:
        """Open the ledger at `path`; raises StoreError where it is missing (read), unreadable or of another version."""
        if mode == "read" and not path.exists():
            raise StoreError(f"{path}: no ledger here; run `whimbrel ingest` first")
        try:
            if mode == "write" and not path.exists():
                _make(path)
        except (SQLAlchemyError, OSError) as error:
            raise StoreError(f"{path}: the ledger cannot be made ({error.__class__.__name__}: {error})") from error
        engine = _engine(path, "ro" if mode == "read" else "rw")
        ledger = cls(engine)
        try:
            ledger._check_version(path)
        except SQLAlchemyError as error:
            engine.dispose()
            raise StoreError(f"{path}: not a ledger that can be opened ({error.__class__.__name__})") from error
        return ledger

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._engine.dispose()

    def commit(
        self,
        events: Sequence[Event],
        states: Iterable[tuple[str, bytes]],
        mark: bytes,
        *,
        profile: str,
        rule_version: str,
    ) -> None:
        """Write a run's events, touched states and decided mark in one transaction: all of it, or nothing.

        `mark` is the caller's (opaque here).  Raises StoreError where the file cannot be written.
        """
        try:
            with self._engine.begin() as connection:
                _insert(connection, _EVENT, [_event_row(event) for event in events])
                self._keep_listings(connection, events)
                _replace(connection, _STATE, "key", [{"key": key, "value": value} for key, value in states])
                row = {
                    "one": 1,
                    "ledger_version": LEDGER_VERSION,
                    "profile": profile,
                    "rule_version": rule_version,
                    "value": mark,
                }
                _replace(connection, _MARK, "one", [row])
        except SQLAlchemyError as error:
            raise StoreError(f"the ledger cannot be written: {error.__class__.__name__}: {error.__cause__}") from error

    def mark(self) -> tuple[bytes, str, str] | None:
        """Return (mark, profile, rule version) of the last commit, or None before the first."""
        with self._engine.connect() as connection:
            row = connection.execute(sql.select(_MARK.c.value, _MARK.c.profile, _MARK.c.rule_version)).first()
        return None if row is None else (bytes(row.value), row.profile, row.rule_version)

    def load_state(self, keys: Sequence[str] | None = None) -> Iterator[tuple[str, bytes]]:
        """Yield the Decider's rows (for `Decider.loads`), all of them or those of some keys."""
        query = sql.select(_STATE.c.key, _STATE.c.value)
        if keys is not None:
            query = query.where(_STATE.c.key.in_(keys))
        with self._engine.connect() as connection:
            for row in connection.execute(query).yield_per(_BATCH_ROWS):
                yield row.key, bytes(row.value)

    def listings(self, now: datetime, targets: Sequence[str] | None = None) -> list[Listing]:
        """Return the listings in force at `now` (of some targets), by target.

        Of a moment before the last commit's they are read from the log: what was recorded by then, repeated.
        """
        mark = self._last_event_at()
        if mark is not None and now < mark:
            events = self.history() if targets is None else [e for target in targets for e in self.history(target)]
            return replayed(events, now)
        query = sql.select(_LISTING).where(_LISTING.c.until > _micros(now)).order_by(_LISTING.c.target)
        if targets is not None:
            query = query.where(_LISTING.c.target.in_(targets))
        with self._engine.connect() as connection:
            return [_listing(row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name

    def count_listed(self, now: datetime) -> int:
        """Count the listings in force at `now`."""
        last = self._last_event_at()
        if last is not None and now < last:
            return len(self.listings(now))
        query = sql.select(sql.func.count()).select_from(_LISTING).where(_LISTING.c.until > _micros(now))
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def _last_event_at(self) -> datetime | None:
        with self._engine.connect() as connection:
            at = connection.execute(sql.select(sql.func.max(_EVENT.c.at))).scalar()
        return None if at is None else _instant(at)

    def history(self, target: str | None = None) -> list[Event]:
        """Return the events of one target, or of all, oldest first."""
        query = sql.select(_EVENT).order_by(_EVENT.c.number)
        if target is not None:
            query = query.where(_EVENT.c.target == target)
        with self._engine.connect() as connection:
            return [_event(row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name

    def changes(self, after: int) -> tuple[int, list[Event]]:
        """Return the events numbered above `after`, oldest first, and the number of the last one there is.

        For a reader that keeps the list in memory: it takes `listings` once, then what changed.
        """
        query = sql.select(_EVENT).where(_EVENT.c.number > after).order_by(_EVENT.c.number)
        with self._engine.connect() as connection:
            rows = [row._mapping for row in connection.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name
        return (rows[-1]["number"] if rows else after), [_event(row) for row in rows]

    def last_change(self) -> int:
        """Return the number of the last event; 0 before the first."""
        with self._engine.connect() as connection:
            return int(connection.execute(sql.select(sql.func.coalesce(sql.func.max(_EVENT.c.number), 0))).scalar_one())

    def counts(self) -> tuple[int, int]:
        """Return how many events the log has, and of how many targets."""
        with self._engine.connect() as connection:
            row = connection.execute(sql.select(sql.func.count(), sql.func.count(_EVENT.c.target.distinct()))).one()
        return int(row[0]), int(row[1])

    def _keep_listings(self, connection: sql.Connection, events: Sequence[Event]) -> None:
        targets = sorted({event.target for event in events if event.change != "candidate"})
        before: dict[str, Listing] = {}
        times: dict[str, int] = {}
        for start in range(0, len(targets), _BATCH_ROWS):
            chunk = targets[start : start + _BATCH_ROWS]
            query = sql.select(_LISTING).where(_LISTING.c.target.in_(chunk))
            before |= {row.target: _listing(row._mapping) for row in connection.execute(query)}  # noqa: SLF001 - public
        times = {target: listing.times_listed for target, listing in before.items()}
        after = dict(before)
        _apply(after, times, events, keep_ended=True)
        _replace(connection, _LISTING, "target", [_listing_row(after[target]) for target in targets if target in after])

    def _check_version(self, path: Path) -> None:
        with self._engine.connect() as connection:
            version = connection.execute(sql.select(_MARK.c.ledger_version)).scalar()
        if version is not None and version != LEDGER_VERSION:
            raise StoreError(f"{path}: written by ledger version {version}, this program reads {LEDGER_VERSION}")


def _engine(path: Path, mode: str) -> sql.Engine:
    return sql.create_engine(f"sqlite:///file:{path}?mode={mode}&uri=true", connect_args={"timeout": _BUSY_SECONDS})


def _make(path: Path) -> None:
    """Make an empty ledger beside its place and rename it: who dies at it leaves none, and not half of one."""
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    engine = _engine(draft, "rwc")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    _METADATA.create_all(engine)
    engine.dispose()  # the last connection takes the write-ahead log in
    draft.replace(path)


def replayed(events: Iterable[Event], at: datetime) -> list[Listing]:
    """Return the listings in force at `at`, built from the log alone: what was recorded by then, repeated."""
    listings: dict[str, Listing] = {}
    _apply(listings, {}, (event for event in events if event.at <= at), keep_ended=False)
    return sorted((listing for listing in listings.values() if listing.until > at), key=lambda listing: listing.target)


def _apply(listings: dict[str, Listing], times: dict[str, int], events: Iterable[Event], *, keep_ended: bool) -> None:
    """Carry listings over events; `keep_ended` leaves an ended one there with its end (it counts the times)."""
    for event in events:
        old = listings.get(event.target)
        if event.change == "listed":
            listings[event.target] = _listed(event, old, times)
        elif event.change in {"expired", "removed"} and old is not None:
            if keep_ended:
                listings[event.target] = _until(old, event.at)
            else:
                del listings[event.target]


def _listed(event: Event, old: Listing | None, times: dict[str, int]) -> Listing:
    if event.code is None or event.role is None or event.until is None or event.probability_legitimate is None:
        raise StoreError(f"the ledger's event for {event.target} at {event.at.isoformat()} is incomplete")
    renewed = old is not None and old.until > event.at
    if not renewed:
        times[event.target] = times.get(event.target, 0) + 1
    return Listing(
        target=event.target,
        code=event.code,
        role=event.role,
        since=old.since if renewed and old is not None else event.at,
        until=event.until,
        probability_legitimate=event.probability_legitimate,
        times_listed=times[event.target],
        rule_version=event.actor,
        evidence=event.evidence,
    )


def _until(listing: Listing, end: datetime) -> Listing:
    return Listing(**{**{name: getattr(listing, name) for name in listing.__struct_fields__}, "until": end})


def _insert(connection: sql.Connection, table: sql.Table, rows: Sequence[Mapping[str, object]]) -> None:
    for start in range(0, len(rows), _BATCH_ROWS):
        connection.execute(sql.insert(table), rows[start : start + _BATCH_ROWS])


def _replace(connection: sql.Connection, table: sql.Table, key: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows over those with the same key: delete, then insert, which every database understands."""
    column = table.c[key]
    for start in range(0, len(rows), _BATCH_ROWS):
        chunk = rows[start : start + _BATCH_ROWS]
        connection.execute(sql.delete(table).where(column.in_([row[key] for row in chunk])))
        connection.execute(sql.insert(table), chunk)


def _micros(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)


def _instant(micros: int) -> datetime:
    return EPOCH + timedelta(microseconds=micros)


def _pack(evidence: Sequence[bytes]) -> bytes:
    return b"".join(evidence)


def _unpack(packed: bytes) -> tuple[bytes, ...]:
    return tuple(packed[start : start + ID_BYTES] for start in range(0, len(packed), ID_BYTES))


def _event_row(event: Event) -> dict[str, object]:
    return {
        "at": _micros(event.at),
        "target": event.target,
        "change": event.change,
        "actor": event.actor,
        "code": None if event.code is None else int(event.code),
        "role": event.role,
        "until": None if event.until is None else _micros(event.until),
        "score": event.score,
        "prior_logit": event.prior_logit,
        "probability_legitimate": event.probability_legitimate,
        "why": event.why,
        "evidence": _pack(event.evidence),
    }


def _event(row: Mapping[Any, Any]) -> Event:
    return Event(
        at=_instant(row["at"]),
        target=row["target"],
        change=row["change"],
        actor=row["actor"],
        code=None if row["code"] is None else Code(row["code"]),
        role=row["role"],
        until=None if row["until"] is None else _instant(row["until"]),
        score=row["score"],
        prior_logit=row["prior_logit"],
        probability_legitimate=row["probability_legitimate"],
        why=row["why"],
        evidence=_unpack(bytes(row["evidence"])),
    )


def _listing_row(listing: Listing) -> dict[str, object]:
    return {
        "target": listing.target,
        "code": int(listing.code),
        "role": listing.role,
        "since": _micros(listing.since),
        "until": _micros(listing.until),
        "probability_legitimate": listing.probability_legitimate,
        "times_listed": listing.times_listed,
        "rule_version": listing.rule_version,
        "evidence": _pack(listing.evidence),
    }


def _listing(row: Mapping[Any, Any]) -> Listing:
    return Listing(
        target=row["target"],
        code=Code(row["code"]),
        role=row["role"],
        since=_instant(row["since"]),
        until=_instant(row["until"]),
        probability_legitimate=row["probability_legitimate"],
        times_listed=row["times_listed"],
        rule_version=row["rule_version"],
        evidence=_unpack(bytes(row["evidence"])),
    )
