"""The first ledger: events, listings, working state, and the mark up to which evidence is decided."""

import sqlalchemy as sql
from alembic import op

revision = "1"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "event",
        sql.Column("number", sql.BigInteger().with_variant(sql.Integer(), "sqlite"), primary_key=True),
        sql.Column("at", sql.BigInteger, nullable=False),
        sql.Column("target", sql.Text, nullable=False),
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
    op.create_index("ix_event_at", "event", ["at"])
    op.create_index("ix_event_target", "event", ["target"])
    op.create_table(
        "listing",
        sql.Column("target", sql.Text, primary_key=True),
        sql.Column("code", sql.Integer, nullable=False),
        sql.Column("role", sql.Text, nullable=False),
        sql.Column("since", sql.BigInteger, nullable=False),
        sql.Column("until", sql.BigInteger, nullable=False),
        sql.Column("probability_legitimate", sql.Double, nullable=False),
        sql.Column("times_listed", sql.Integer, nullable=False),
        sql.Column("rule_version", sql.Text, nullable=False),
        sql.Column("evidence", sql.LargeBinary, nullable=False),
    )
    op.create_index("ix_listing_until", "listing", ["until"])
    op.create_table(
        "state",
        sql.Column("key", sql.Text, primary_key=True),
        sql.Column("value", sql.LargeBinary, nullable=False),
    )
    op.create_table(
        "mark",
        sql.Column("one", sql.Integer, primary_key=True),
        sql.Column("ledger_version", sql.Integer, nullable=False),
        sql.Column("profile", sql.Text, nullable=False),
        sql.Column("rule_version", sql.Text, nullable=False),
        sql.Column("value", sql.LargeBinary, nullable=False),
    )
