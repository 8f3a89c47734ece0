"""Listings: what evidence means for the list, who is on it since when and why, and how it ends.

In: observations as `Seen` rows in (learned_at, seen_at, id) order, `now`, and the operator's allow list.  Out: ledger
`Event`s, the `Listing`s in force, and explanations.  Deliberately absent: reading evidence (rows and tables are passed
in), publishing, clocks, and any look at our own zone.

Read `policy.py` first (its formula and what weighs nothing), then `prior.py`, then `ledger/`.  Every number stands in
`settings.py`; the criteria as published are `docs/listing.md`.
"""
