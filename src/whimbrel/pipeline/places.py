"""Where the parts of a store lie: in its data folder, but for a ledger on a database server."""

import stat
from pathlib import Path

from whimbrel.errors import ConfigError, StoreError
from whimbrel.wire.snapshot import overlay_path

LEDGER_FILE = "ledger.sqlite"
LEDGER_URL_FILE = "ledger.url"
SNAPSHOT_FILE = "list.snapshot"
STATISTICS_FILE = "serving.statistics"
SIGNING_KEY_FILE = "signing.key"
EVIDENCE_FOLDER = "evidence"
RECIPIENTS_KEY_FILE = "recipients.key"


def ledger_place(data_dir: Path) -> Path | str:
    """Return where the ledger is: the URL in `ledger.url` where there is such a file, otherwise a file of its own.

    Raises ConfigError where the file is not one line, StoreError where others may read it: it may hold a password.
    """
    path = data_dir / LEDGER_URL_FILE
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split()
    except FileNotFoundError:
        return data_dir / LEDGER_FILE
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise StoreError(
            f"{path} can be read by others (mode {mode:04o}) and may hold a password: run chmod 600 {path}"
        )
    if len(lines) != 1:
        raise ConfigError(f"{path} is not one line with a URL; write postgresql://USER:PASSWORD@HOST/DATABASE into it")
    return lines[0]


def snapshot_path(data_dir: Path) -> Path:
    """Return where the snapshot for name servers is: in the store, or where the store's link of that name leads."""
    path = data_dir / SNAPSHOT_FILE
    return data_dir / path.readlink() if path.is_symlink() else path


def keep_snapshot_at(data_dir: Path, snapshot: Path) -> None:
    """Have a store know where its snapshot is kept: elsewhere than under its usual name, that becomes a link.

    So every command finds the list, the overlay and the statistics beside it.  An older list in the link's place goes.
    """
    usual, place = (data_dir / SNAPSHOT_FILE).absolute(), snapshot.absolute()
    if snapshot_path(data_dir).absolute() == place:
        return
    if place == usual:
        usual.unlink()
        return
    overlay_path(usual).unlink(missing_ok=True)
    link = usual.with_name(f".{SNAPSHOT_FILE}.link")
    link.unlink(missing_ok=True)
    link.symlink_to(place)
    link.replace(usual)


def statistics_path(snapshot: Path) -> Path:
    """Return where the name server that answers from a snapshot tells how it goes."""
    return snapshot.parent / STATISTICS_FILE


def signing_key_path(data_dir: Path) -> Path:
    """Return where the keys are that sign the snapshot."""
    return data_dir / SIGNING_KEY_FILE


def recipients_key_path(data_dir: Path) -> Path:
    """Return where the keys are that recipients are hashed with."""
    return data_dir / EVIDENCE_FOLDER / RECIPIENTS_KEY_FILE
