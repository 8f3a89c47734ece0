"""Run by test_backup.py in a process of its own: ingests each path by itself, one after the other.

Arguments: the data folder, the index of labels, the paths.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.pipeline.stores import ingested


def write(data_dir: Path, labels: str, paths: list[str]) -> None:
    for path in paths:
        ingested(data_dir, [path], labels=labels)


if __name__ == "__main__":
    DATA_DIR, LABELS, *PATHS = sys.argv[1:]
    write(Path(DATA_DIR), LABELS, PATHS)
