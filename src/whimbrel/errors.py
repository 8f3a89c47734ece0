"""What can go wrong that the user can mend; every message is one line: what, where, and what to do.

Anything else that is raised is a defect of Whimbrel itself and may show a traceback.  Hostile input is never an
error: parsers return facts and defects (see `whimbrel.messages`).
"""


class WhimbrelError(Exception):
    """The root: the command line prints its text as one line on standard error and exits with `exit_code`."""

    exit_code = 1


class ConfigError(WhimbrelError):
    """An option, setting or input file given by the user is wrong."""

    exit_code = 2


class StoreError(WhimbrelError):
    """The data folder cannot be read, written or locked, or was written by another schema version."""


class SnapshotError(WhimbrelError):
    """A snapshot file is damaged, truncated, of another version, or out of its time."""


class UpstreamError(WhimbrelError):
    """Something others run (a resolver, a scanner, a table) failed or answered nonsense."""
