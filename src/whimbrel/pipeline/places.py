"""Where the parts of a store lie in its data folder."""

from pathlib import Path

LEDGER_FILE = "ledger.sqlite"
SNAPSHOT_FILE = "list.snapshot"


def ledger_path(data_dir: Path) -> Path:
    """Return where the ledger is."""
    return data_dir / LEDGER_FILE


def snapshot_path(data_dir: Path) -> Path:
    """Return where the snapshot for name servers is."""
    return data_dir / SNAPSHOT_FILE
