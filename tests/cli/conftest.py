"""A store that the real commands made of a little shipped mail."""

from pathlib import Path
from typing import NamedTuple

import pytest
from tests.cli.running import run
from tests.pipeline.mail import sample

NOW = "2002-12-31"


class Store(NamedTuple):
    """A store, and the paths and labels it was made from."""

    data: Path
    paths: list[str]
    labels: str


@pytest.fixture(scope="session")
def store(shipped_mail: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("mail")
    paths = sample(shipped_mail, folder)
    labels = folder / "labels"
    ham = ("Maildir", "more.mbox")
    labels.write_text("".join(f"{'ham' if Path(path).name in ham else 'spam'} {Path(path).name}\n" for path in paths))
    data = tmp_path_factory.mktemp("store")
    ran = run("ingest", *paths, "--labels", labels, "--profile", "own", "--now", NOW, "--json", data=data)
    assert ran.code == 0, ran.err
    (told,) = ran.rows()
    assert told["read"] == 331
    assert told["listed"] > 20
    return Store(data, paths, str(labels))
