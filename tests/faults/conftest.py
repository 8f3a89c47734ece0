"""One ingest that nothing disturbed, the command that makes the same store, and how many faults a run injects."""

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.cli.running import Ran, refused
from tests.pipeline.conftest import Undisturbed, undisturbed
from tests.pipeline.stores import assert_same, command, contents

__all__ = ["undisturbed"]

# `make crash` injects many times as many.
COUNT = int(os.environ.get("WHIMBREL_FAULTS", "3"))

Ingest = Callable[..., subprocess.CompletedProcess[str]]


def asked(data_dir: Path, of: Undisturbed, *, jobs: int = 1) -> list[str]:
    """Return the command that makes the undisturbed store in `data_dir`."""
    return command(data_dir, of.paths, of.labels, jobs=jobs)


@pytest.fixture
def ingest(undisturbed: Undisturbed) -> Ingest:
    """Run the ingest into a folder, behind a prefix such as a tracer; its output is captured."""

    def run(data_dir: Path, *prefix: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*prefix, *asked(data_dir, undisturbed)], capture_output=True, text=True, check=False, timeout=300
        )

    return run


@pytest.fixture
def same(undisturbed: Undisturbed) -> Callable[[Path], None]:
    """Assert that a store says, row by row, what the undisturbed one says."""
    return lambda data_dir: assert_same(contents(data_dir), undisturbed.contents)


def one_line(ran: subprocess.CompletedProcess[str], *words: str) -> None:
    """Assert that a command refused in one clear line which has the words."""
    assert ran.returncode == 1, ran
    refused(Ran(ran.returncode, ran.stdout, ran.stderr), *words)


def spread(count: int, most: int) -> Sequence[int]:
    """Return `count` (at least 2) numbers evenly spread from 1 to `most`, both included; all where there are fewer."""
    if count >= most:
        return range(1, most + 1)
    return sorted({1 + round(place * (most - 1) / (count - 1)) for place in range(count)})
