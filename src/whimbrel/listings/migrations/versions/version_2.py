"""Runs are recorded, each with what it was decided over; people allow; what was published is known.

The one mark becomes the first run, of kind `earlier`: what led to it was not recorded, so the working state of this
moment is kept as the checkpoint from which a rebuild starts.
"""

from datetime import UTC, datetime, timedelta

import msgspec
import sqlalchemy as sql
from alembic import op

revision = "2"
down_revision = "1"

_NUMBER = sql.BigInteger().with_variant(sql.Integer(), "sqlite")


def upgrade() -> None:
    """Make the new tables, carry the mark over, and drop its table."""
    run = op.create_table(
        "run",
        sql.Column("number", _NUMBER, primary_key=True, autoincrement=False),
        sql.Column("kind", sql.Text, nullable=False),
        sql.Column("at", sql.BigInteger, nullable=False),
        sql.Column("batch", sql.BigInteger, nullable=False),
        sql.Column("until", sql.BigInteger, nullable=False),
        sql.Column("own", sql.Text, nullable=False),
        sql.Column("profile", sql.Text, nullable=False),
        sql.Column("rule_version", sql.Text, nullable=False),
        sql.Column("decided", sql.BigInteger, nullable=False),
        sql.Column("last_event", sql.BigInteger, nullable=False),
    )
    op.create_table(
        "allowed",
        sql.Column("target", sql.Text, primary_key=True),
        sql.Column("owner", sql.Text, nullable=False),
        sql.Column("why", sql.Text, nullable=False),
        sql.Column("since", sql.BigInteger, nullable=False),
    )
    op.create_table(
        "checkpoint",
        sql.Column("key", sql.Text, primary_key=True),
        sql.Column("value", sql.LargeBinary, nullable=False),
    )
    op.create_table(
        "publication",
        sql.Column("number", _NUMBER, primary_key=True),
        sql.Column("serial", sql.BigInteger, nullable=False),
        sql.Column("born", sql.BigInteger, nullable=False),
        sql.Column("last_event", sql.BigInteger, nullable=False),
    )
    op.create_index("ix_publication_born", "publication", ["born"])
    _carry_mark(op.get_bind(), run)
    op.drop_table("mark")


def _carry_mark(connection: sql.Connection, run: sql.Table) -> None:
    mark = connection.execute(sql.text("SELECT profile, rule_version, value FROM mark")).first()
    if mark is None:
        return
    batch, until = msgspec.msgpack.decode(bytes(mark.value), type=tuple[int, datetime])
    decided = (until - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    row = {
        "number": 1,
        "kind": "earlier",
        "at": decided,
        "batch": batch,
        "until": decided,
        "own": "[]",
        "profile": mark.profile,
        "rule_version": mark.rule_version,
        "decided": 0,
        "last_event": connection.execute(sql.text("SELECT coalesce(max(number), 0) FROM event")).scalar_one(),
    }
    connection.execute(sql.insert(run), [row])
    connection.execute(sql.text("INSERT INTO checkpoint (key, value) SELECT key, value FROM state"))
