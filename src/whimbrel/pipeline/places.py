"""Where the parts of a store lie in its data folder."""

from pathlib import Path

LEDGER_FILE = "ledger.sqlite"
SNAPSHOT_FILE = "list.snapshot"
SIGNING_KEY_FILE = "signing.key"
EVIDENCE_FOLDER = "evidence"
RECIPIENTS_KEY_FILE = "recipients.key"


def ledger_path(data_dir: Path) -> Path:
    """Return where the ledger is."""
    return data_dir / LEDGER_FILE


def snapshot_path(data_dir: Path) -> Path:
    """Return where the snapshot for name servers is."""
    return data_dir / SNAPSHOT_FILE


def signing_key_path(data_dir: Path) -> Path:
    """Return where the keys are that sign the snapshot."""
    return data_dir / SIGNING_KEY_FILE


def recipients_key_path(data_dir: Path) -> Path:
    """Return where the keys are that recipients are hashed with."""
    return data_dir / EVIDENCE_FOLDER / RECIPIENTS_KEY_FILE
