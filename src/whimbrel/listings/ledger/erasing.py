"""Erasing a target from everything recorded: a mark takes its place, so that history stays whole and names nobody."""

from typing import Final

import sqlalchemy as sql

from whimbrel.errors import StoreError
from whimbrel.listings.ledger.opening import Opened
from whimbrel.listings.ledger.schema import ALLOWED, EVENT, LISTING, METADATA, STATE

MARK: Final = "erased"

# What people wrote of a target, and what was written about others because of it.
_BY_PEOPLE: Final = ("removal requested", "allowed", "no longer allowed")


def next_mark(connection: sql.Connection) -> str:
    """Return the mark of the next erasure: `erased-N`."""
    erasures = sql.select(sql.func.count()).select_from(EVENT).where(EVENT.c.change == MARK)
    return f"{MARK}-{connection.execute(erasures).scalar_one() + 1}"


def rename(connection: sql.Connection, target: str, mark: str, until: int) -> int:
    """Put the mark in the target's place; end its listing at `until`; return how many rows named it."""
    blanked = 0
    for column in (EVENT.c.why, EVENT.c.actor, ALLOWED.c.why, ALLOWED.c.owner):
        said = column.contains(target, autoescape=True)
        blanked += connection.execute(sql.update(column.table).where(said).values({column: MARK})).rowcount
    blanked += connection.execute(
        sql.update(EVENT).where(EVENT.c.target == target, EVENT.c.change.in_(_BY_PEOPLE)).values(why=MARK, actor=MARK)
    ).rowcount
    for table in (EVENT, LISTING):
        blanked += connection.execute(sql.update(table).where(table.c.target == target).values(target=mark)).rowcount
    connection.execute(sql.update(LISTING).where(LISTING.c.target == mark, LISTING.c.until > until).values(until=until))
    blanked += connection.execute(sql.delete(ALLOWED).where(ALLOWED.c.target == target)).rowcount
    keys = [f"{kind} {target}" for kind in ("host", "network")]
    return blanked + connection.execute(sql.delete(STATE).where(STATE.c.key.in_(keys))).rowcount


def scrub(found: Opened) -> None:
    """Write the database anew, so that nothing erased is left in its free pages and its log."""
    if found.engine.dialect.name == "postgresql":
        with found.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in METADATA.tables:
                connection.exec_driver_sql(f'VACUUM FULL "{table}"')
        return
    database = found.engine.raw_connection()
    try:
        cursor = database.cursor()
        cursor.execute("VACUUM")
        is_busy, *_ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        database.close()
    if is_busy:
        raise StoreError(f"{found.name}: others are reading what was erased; run the same command again")
