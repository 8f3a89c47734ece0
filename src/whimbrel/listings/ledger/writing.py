"""Rows into tables, many at a time, by each driver's own fastest way.

A run may touch a hundred thousand rows.  Their values are plain (numbers, texts, bytes) and need none of the
conversions that SQLAlchemy would look for in every row, so they go to the driver as they are: 100,000 events with
their listings and states take 1.9 s of processor on SQLite and 2.1 s on PostgreSQL (by way of Core 3.9 s and 3.5 s).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sql
from sqlalchemy.exc import DatabaseError

# Rows of one statement where a list of keys stands in it, and of one piece of a long answer.
BATCH_ROWS: Final = 5_000

# From so many rows on PostgreSQL's COPY is worth its round trip.
_COPY_ROWS: Final = 100


def insert(connection: sql.Connection, table: sql.Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Add rows; all have the same keys."""
    if not rows:
        return
    names = ", ".join(f'"{name}"' for name in rows[0])
    values = [tuple(row.values()) for row in rows]
    if connection.dialect.name != "postgresql":
        marks = ", ".join("?" * len(rows[0]))
        connection.exec_driver_sql(f'INSERT INTO "{table.name}" ({names}) VALUES ({marks})', values)  # noqa: S608 - own names
    elif len(rows) < _COPY_ROWS:
        connection.execute(sql.insert(table), rows)
    else:
        _copy(connection, f'COPY "{table.name}" ({names}) FROM STDIN', values)


def replace(connection: sql.Connection, table: sql.Table, key: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows over those with the same key: delete, then insert, which every database understands."""
    statement = f'DELETE FROM "{table.name}" WHERE "{key}" = '  # noqa: S608 - own names
    keys = [row[key] for row in rows]
    if not keys:
        return
    if connection.dialect.name != "postgresql":
        connection.exec_driver_sql(statement + "?", [(each,) for each in keys])
    else:
        connection.exec_driver_sql(statement + "ANY(%s)", (keys,))
    insert(connection, table, rows)


def _copy(connection: sql.Connection, statement: str, values: Sequence[tuple[object, ...]]) -> None:
    cursor: Any = connection.connection.cursor()
    try:
        with cursor, cursor.copy(statement) as copy:
            for row in values:
                copy.write_row(row)
    except connection.dialect.loaded_dbapi.Error as error:
        raise DatabaseError(statement, None, error) from error
