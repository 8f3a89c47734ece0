"""The ledger: what was decided, append-only, and the working state that goes on from it.

In: events of policy and of people, the policy's state behind them, and which run of decisions made them.  Out: the
listings in force now or at any past moment, the history of a target, the state to decide on from.  Deliberately absent:
deciding anything, and reading evidence.

Seven tables.  `event` is the log: it is appended to, and nothing in it changes but that a mark takes the place of an
erased target.  `run` says what each append was decided over.  `listing` and `allowed` are the log's last line for each
target, kept so that the list can be read without replay; `state` holds the Decider's rows by key, `checkpoint` those
from which a rebuild starts; `publication` says how far the log had come when a snapshot was cut.  All of a run is one
transaction.

SQLite in the data folder, or PostgreSQL, by one code.  Read `facade.py` first, then `replay.py` (the list of any moment
from the log alone); `schema.py` has the tables, `../migrations` how they came to be.
"""

from whimbrel.listings.ledger.erasing import MARK
from whimbrel.listings.ledger.facade import CHECKPOINTS, Ledger, LedgerMovedError, Relisted
from whimbrel.listings.ledger.replay import replayed

__all__ = ["CHECKPOINTS", "MARK", "Ledger", "LedgerMovedError", "Relisted", "replayed"]
