"""Run by Alembic: migrates within the transaction that `listings.ledger.opening` has begun, all of it or nothing."""

from alembic import context

from whimbrel.listings.ledger.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
