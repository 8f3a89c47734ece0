"""Rows into tables, many at a time: the drivers' own fastest way."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sql
from sqlalchemy.exc import DatabaseError

# Rows written by one statement: SQLite takes 32,766 parameters, a state row has two.
BATCH_ROWS: Final = 5_000

# From so many rows on PostgreSQL's COPY is worth its round trip.
_COPY_ROWS: Final = 100


def insert(connection: sql.Connection, table: sql.Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Add rows; all have the same keys."""
    if connection.dialect.name == "postgresql" and len(rows) >= _COPY_ROWS:
        _copy(connection, table, rows)
        return
    for start in range(0, len(rows), BATCH_ROWS):
        connection.execute(sql.insert(table), rows[start : start + BATCH_ROWS])


def replace(connection: sql.Connection, table: sql.Table, key: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows over those with the same key: delete, then insert, which every database understands."""
    column = table.c[key]
    for start in range(0, len(rows), BATCH_ROWS):
        chunk = rows[start : start + BATCH_ROWS]
        connection.execute(sql.delete(table).where(column.in_([row[key] for row in chunk])))
    insert(connection, table, rows)


def _copy(connection: sql.Connection, table: sql.Table, rows: Sequence[Mapping[str, object]]) -> None:
    names = ", ".join(f'"{name}"' for name in rows[0])
    statement = f'COPY "{table.name}" ({names}) FROM STDIN'
    cursor: Any = connection.connection.cursor()
    try:
        with cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(tuple(row.values()))
    except connection.dialect.loaded_dbapi.Error as error:
        raise DatabaseError(statement, None, error) from error
