"""The sample of shipped mail, and what one undisturbed ingest of it makes."""

import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.pipeline.mail import sample
from tests.pipeline.stores import contents, ingested

# Readers of the pool are other processes, which find `tests.pipeline.readers` only where the path names its folder.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


class Undisturbed(NamedTuple):
    """Paths of mail, the index that labels them, the store that one ingest made of them, and all that it says."""

    paths: list[str]
    labels: str
    data_dir: Path
    contents: dict[str, Any]


@pytest.fixture(scope="session")
def undisturbed(shipped_mail: Path, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("sample")
    paths = sample(shipped_mail, folder)
    labels = folder / "labels"
    # one.eml lies in the folder too, as spam: the same one of the two must always win.
    ham = ("Maildir", "more.mbox", "one.eml")
    labels.write_text("".join(f"{'ham' if Path(path).name in ham else 'spam'} {Path(path).name}\n" for path in paths))
    data_dir = tmp_path_factory.mktemp("undisturbed")
    ingested(data_dir, paths, labels=str(labels))
    return Undisturbed(paths, str(labels), data_dir, contents(data_dir))
