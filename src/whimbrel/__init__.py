"""Whimbrel turns mail into evidence and evidence into answers.

Read first: `docs/flow.md` (one message's journey), then `whimbrel.model`, `whimbrel.pipeline.ingest` and
`whimbrel.listings.ledger`.
"""

__version__ = "0.1.0"
