"""Files that only their owner may read."""

from pathlib import Path

from whimbrel.errors import ConfigError, StoreError
from whimbrel.wire import keyfile


def private_text(path: Path, what: str) -> str:
    """Return the text of a file, which holds what is said; raises ConfigError where it cannot be had, or others can."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            keyfile.check_private(path, path.stat().st_mode)
            return file.read()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); it holds {what}") from None
    except StoreError as error:
        raise ConfigError(str(error)) from None
