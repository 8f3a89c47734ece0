"""How the ledger's tables came to be: one Alembic revision a version, run in process by `listings.ledger.opening`."""
