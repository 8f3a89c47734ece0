"""What long-running commands log, on standard error: lines for people, or JSON lines for machines."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import click
import msgspec

_Function = TypeVar("_Function", bound=Callable[..., object])

FORMATS = ("text", "json")
LEVELS = ("debug", "info", "warning", "error")

# What a JSON line always has; `extra` of a record is added as it is.
FIELDS = ("at", "level", "logger", "pid", "message")
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def set_up(form: str, level: str) -> None:
    """Log from here on in a format and from a level on; may be called again."""
    handler = logging.StreamHandler()
    if form == "json":
        handler.setFormatter(JsonLines())
    else:
        text = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
        text.converter = time.gmtime
        text.default_msec_format = "%s.%03dZ"
        handler.setFormatter(text)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("watchfiles", "alembic"):  # they tell of every change, and of every step of making a ledger
        logging.getLogger(name).setLevel(logging.WARNING)


class JsonLines(logging.Formatter):
    """A JSON object a record: `FIELDS`, what the record brings of its own, and `trace` of an exception."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _OWN}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


def log_options(function: _Function) -> _Function:
    """Add `--log-format` and `--log-level`."""
    level = click.option(
        "--log-level", type=click.Choice(LEVELS), default="info", show_default=True, help="The least that is logged."
    )
    form = click.option(
        "--log-format", type=click.Choice(FORMATS), default="text", show_default=True, help="How it is logged."
    )
    return form(level(function))
