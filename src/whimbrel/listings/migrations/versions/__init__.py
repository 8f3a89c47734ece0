"""The revisions, numbered by the version of the ledger that each one makes."""
