"""Reading by SQL: DuckDB over the live files, connected when first asked.

Every query lists the manifest anew and sees that one moment's files, also while a writer is at work.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from whimbrel.evidence.files import storing
from whimbrel.evidence.layout import STORED
from whimbrel.evidence.manifest import LiveFile, Manifest
from whimbrel.model.columns import FACTS, INSTANT, OBSERVATIONS

SCHEMA = {"observations": OBSERVATIONS, "facts": FACTS}
SPILL_FOLDER = "spill"

_MEMORY_LIMIT = "512MB"  # the constant part of an analysis' memory; sorts beyond it spill
_MOST_THREADS = 4  # each thread holds buffers of its own, and the files of a store are too small to feed more
_BATCH_ROWS = 8_192  # about 8 MB of facts

# What is sorted at once.  DuckDB (2.0) spills a sort but must hold all of a random order's texts when it merges, and
# gives up where they exceed its memory (measured: 120 MB of them at a limit of 64 MB); so a long time is sorted piece
# by piece.  64 Ki observations are about 40 MB.
SORTED_ROWS = 65_536
_LEVELS = [("learned_at", unit) for unit in ("hour", "second", "microsecond")] + [
    ("seen_at", unit) for unit in ("hour", "second")
]


class Span(NamedTuple):
    """Conditions in SQL, and their parameters, that hold for the rows of a span of time."""

    conditions: tuple[str, ...]
    parameters: dict[str, object]

    def narrowed(self, column: str, unit: str, first: datetime, last: datetime) -> "Span":
        """Return the part whose `column`, cut to whole units, is from `first` to `last`."""
        low, high = f"first{len(self.parameters)}", f"last{len(self.parameters)}"
        condition = f"date_trunc('{unit}', {column}) BETWEEN ${low} AND ${high}"
        return Span((*self.conditions, condition), self.parameters | {low: first, high: last})


class Queries:
    """Runs SQL over one store."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._folder = folder
        self._manifest = manifest
        self._engine: Any = None

    def close(self) -> None:
        """Disconnect."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def table(self, sql: str, parameters: Mapping[str, object]) -> pa.Table:
        """Return the answer to any query over the views."""
        cursor = self._cursor()
        try:
            with storing(self._folder, "read"):
                self._add_views(cursor)
                answer = cursor.sql(sql, params=dict(parameters) or None).to_arrow_table()
        finally:
            cursor.close()
        return answer.cast(pa.schema([_plain(field) for field in answer.schema]))

    @contextmanager
    def relations(self) -> Iterator[Any]:
        """Give an Ibis connection to a DuckDB of its own, with the views."""
        import ibis  # noqa: PLC0415 - takes 0.2 s, for the link test only

        with storing(self._folder, "read"):
            connection = ibis.duckdb.connect(**self._config())
            try:
                connection.con.execute("SET TimeZone = 'UTC'")
                self._add_views(connection.con)
                yield connection
            finally:
                connection.disconnect()

    def select(
        self,
        kind: str,
        *,
        columns: Sequence[str] | None,
        conditions: Sequence[str],
        parameters: Mapping[str, object],
        order: str = "",
        files: Sequence[LiveFile],
        without: Sequence[bytes] = (),
        schema: pa.Schema | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Yield rows of one kind from the given files, batch by batch, in the kind's own schema (or as stored).

        Observations whose ids are in `without` are left out.
        """
        schema = schema or SCHEMA[kind]
        names = schema.names if columns is None else list(columns)
        wanted = pa.schema([schema.field(name) for name in names])
        if not files:
            return
        where = [*conditions]
        if without:
            where.append("id NOT IN (SELECT id FROM superseded)")
        listed = ", ".join(f'"{name}"' for name in names)
        sql = f"SELECT {listed} FROM stored WHERE {' AND '.join(where) or 'true'} {order}"  # noqa: S608 - own names
        with self._over(files, without) as cursor:
            for batch in cursor.sql(sql, params=dict(parameters) or None).to_arrow_reader(_BATCH_ROWS):
                yield batch.cast(wanted)

    def in_order(
        self,
        *,
        conditions: Sequence[str],
        parameters: Mapping[str, object],
        files: Sequence[LiveFile],
        without: Sequence[bytes],
    ) -> Iterator[pa.RecordBatch]:
        """Yield observations in (learned_at, seen_at, id) order, sorting no more than a range of time at once."""
        for span in self._spans(Span((*conditions,), dict(parameters)), files, _LEVELS):
            yield from self.select(
                "observations",
                columns=None,
                conditions=span.conditions,
                parameters=span.parameters,
                order="ORDER BY learned_at, seen_at, id",
                files=files,
                without=without,
            )

    def _spans(self, whole: Span, files: Sequence[LiveFile], levels: Sequence[tuple[str, str]]) -> Iterator[Span]:
        """Split a span of time into consecutive ones of at most `SORTED_ROWS` rows, as far as the levels go."""
        if not levels or sum(file.rows for file in files) <= SORTED_ROWS:
            yield whole
            return
        (column, unit), *finer = levels
        gathered: list[datetime] = []
        rows = 0
        for bucket, count in self._buckets(whole, files, column, unit):
            if gathered and rows + count > SORTED_ROWS:
                yield whole.narrowed(column, unit, gathered[0], gathered[-1])
                gathered, rows = [], 0
            if count > SORTED_ROWS:
                yield from self._spans(whole.narrowed(column, unit, bucket, bucket), files, finer)
            else:
                gathered.append(bucket)
                rows += count
        if gathered:
            yield whole.narrowed(column, unit, gathered[0], gathered[-1])

    def _buckets(self, span: Span, files: Sequence[LiveFile], column: str, unit: str) -> list[tuple[datetime, int]]:
        sql = (
            f"SELECT date_trunc('{unit}', {column}) AS bucket, count(*) AS rows FROM stored "  # noqa: S608 - own names
            f"WHERE {' AND '.join(span.conditions)} GROUP BY bucket ORDER BY bucket"
        )
        with self._over(files, ()) as cursor:
            buckets = cursor.sql(sql, params=dict(span.parameters)).to_arrow_table()
        return list(zip(buckets["bucket"].to_pylist(), buckets["rows"].to_pylist(), strict=True))

    @contextmanager
    def _over(self, files: Sequence[LiveFile], without: Sequence[bytes]) -> Iterator[Any]:
        """Give a cursor with the views `stored`, over the files, and `superseded`."""
        cursor = self._cursor()
        try:
            with storing(self._folder, "read"):
                self._add_superseded(cursor, without)
                cursor.execute(f"CREATE TEMP VIEW stored AS {self._scan(files)}")
                yield cursor
        finally:
            cursor.close()

    def _config(self) -> dict[str, Any]:
        threads = min(_MOST_THREADS, os.cpu_count() or 1)
        return {
            "memory_limit": _MEMORY_LIMIT,
            "threads": threads,
            "temp_directory": str(self._folder / SPILL_FOLDER),
            # It keeps an entry (0.6 KB, measured) for each file that was ever opened, local ones too, though it caches
            # only what remote ones hold (duckdb issue 22730).  A busy service makes 28,000 files an hour.
            "enable_external_file_cache": False,
        }

    def _cursor(self) -> Any:  # noqa: ANN401 - duckdb has no types
        if self._engine is None:
            with storing(self._folder, "query"):
                self._engine = duckdb.connect(config=self._config())
        cursor = self._engine.cursor()
        cursor.execute("SET TimeZone = 'UTC'")
        return cursor

    def _add_views(self, cursor: Any) -> None:  # noqa: ANN401 - as above
        with self._manifest.moment():
            files = self._manifest.files()
            derived = self._manifest.derived_paths()
            self._add_superseded(cursor, self._manifest.superseded())
        for kind, name in (("observations", "observations_all"), ("facts", "facts")):
            ours = [file for file in files if file.kind == kind]
            if ours:
                cursor.execute(f"CREATE TEMP VIEW {name} AS {self._scan(ours)}")
            else:
                cursor.register(name, STORED[kind].empty_table())
        cursor.execute(
            "CREATE TEMP VIEW observations AS "
            "SELECT * FROM observations_all WHERE id NOT IN (SELECT id FROM superseded)"
        )
        for name, paths in derived.items():
            cursor.execute(f'CREATE TEMP VIEW "{name}" AS {self._scan_paths(paths)}')

    def _add_superseded(self, cursor: Any, ids: Sequence[bytes]) -> None:  # noqa: ANN401 - as above
        cursor.register("superseded", pa.table({"id": pa.array(ids, pa.binary())}))

    def _scan(self, files: Sequence[LiveFile]) -> str:
        return self._scan_paths([file.path for file in files])

    def _scan_paths(self, paths: Sequence[str]) -> str:
        quoted = ", ".join("'" + str(self._folder / path).replace("'", "''") + "'" for path in paths)
        return f"SELECT * FROM read_parquet([{quoted}])"  # noqa: S608 - the manifest's own paths


def conditions_of(
    days: Collection[date] | None, after_batch: int, where: str | None
) -> tuple[list[str], dict[str, object]]:
    """Return the SQL conditions, and their parameters, that `Evidence.observations` and `facts` share."""
    conditions = ["batch > $after_batch"]
    parameters: dict[str, object] = {"after_batch": after_batch}
    if days is not None:
        conditions.append("CAST(seen_at AS DATE) IN (SELECT unnest($days))")
        parameters["days"] = sorted(days)
    if where is not None:
        conditions.append(f"({where})")
    return conditions, parameters


def undecided(
    after_batch: int, decided_until: datetime | None, until: datetime | None
) -> tuple[list[str], dict[str, object]]:
    """Return the SQL conditions of rows that came after a batch, or were learned too late for it, up to `until`."""
    conditions = ["batch > $after_batch"]
    parameters: dict[str, object] = {"after_batch": after_batch}
    if decided_until is not None:
        conditions = ["(batch > $after_batch OR learned_at > $decided_until)"]
        parameters["decided_until"] = decided_until
    if until is not None:
        conditions.append("learned_at <= $until")
        parameters["until"] = until
    return conditions, parameters


def _plain(field: pa.Field) -> pa.Field:
    """DuckDB names UTC in its own way; tables here have one name for it."""
    return field.with_type(INSTANT) if pa.types.is_timestamp(field.type) and field.type.tz else field
