"""The tables as they stand now; `migrations/versions` brings any earlier ledger here, and a test compares the two.

Portable between SQLite and PostgreSQL: big integers for times (microseconds since 1970, UTC), text, blobs, floats.
"""

from typing import Final

import sqlalchemy as sql

METADATA: Final = sql.MetaData()

EVENT: Final = sql.Table(
    "event",
    METADATA,
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

RUN: Final = sql.Table(
    "run",
    METADATA,
    sql.Column("number", sql.BigInteger().with_variant(sql.Integer(), "sqlite"), primary_key=True, autoincrement=False),
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

LISTING: Final = sql.Table(
    "listing",
    METADATA,
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

ALLOWED: Final = sql.Table(
    "allowed",
    METADATA,
    sql.Column("target", sql.Text, primary_key=True),
    sql.Column("owner", sql.Text, nullable=False),
    sql.Column("why", sql.Text, nullable=False),
    sql.Column("since", sql.BigInteger, nullable=False),
)

STATE: Final = sql.Table(
    "state",
    METADATA,
    sql.Column("key", sql.Text, primary_key=True),
    sql.Column("value", sql.LargeBinary, nullable=False),
)

CHECKPOINT: Final = sql.Table(
    "checkpoint",
    METADATA,
    sql.Column("key", sql.Text, primary_key=True),
    sql.Column("value", sql.LargeBinary, nullable=False),
)

PUBLICATION: Final = sql.Table(
    "publication",
    METADATA,
    sql.Column("number", sql.BigInteger().with_variant(sql.Integer(), "sqlite"), primary_key=True, autoincrement=True),
    sql.Column("serial", sql.BigInteger, nullable=False),
    sql.Column("born", sql.BigInteger, nullable=False, index=True),
    sql.Column("last_event", sql.BigInteger, nullable=False),
)

# Alembic's own table, as it makes it: by the version in it, migrations know what a ledger still needs.
ALEMBIC_VERSION: Final = sql.Table(
    "alembic_version",
    sql.MetaData(),
    sql.Column("version_num", sql.String(32), nullable=False),
    sql.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
