"""Runs the real commands, as a user does."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests import forks

WHIMBREL = Path(sys.executable).with_name("whimbrel")


class Ran(NamedTuple):
    """A command's exit code and what it printed."""

    code: int
    out: str
    err: str

    def rows(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


def run(*arguments: str | Path, data: Path, stdin: bytes = b"", columns: int = 0) -> Ran:
    """Run `whimbrel ARGUMENTS` on the store `data`."""
    environment = {**os.environ, "WHIMBREL_DATA": str(data)} | ({"COLUMNS": str(columns)} if columns else {})
    done = forks.run(WHIMBREL, *arguments, stdin=stdin, environment=environment)
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


def in_terminal(*arguments: str | Path, data: Path, columns: int) -> list[str]:
    """Return the lines that a command prints in a terminal so wide; it must succeed."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "WHIMBREL_DATA": str(data), "COLUMNS": str(columns), "TERM": "dumb"}
    with subprocess.Popen([WHIMBREL, *map(str, arguments)], stdout=theirs, env=environment) as running:
        os.close(theirs)
        printed = b""
        while piece := _read(ours):
            printed += piece
        assert running.wait(60) == 0
    os.close(ours)
    return printed.decode().splitlines()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # the other side is closed: how a terminal ends on Linux
        return b""


def refused(ran: Ran, *words: str) -> None:
    """Assert that a command ended with one clear line and nothing else."""
    lines = ran.err.strip().splitlines()
    assert ran.code not in {0, 130}, ran
    assert len(lines) == 1, ran.err
    assert lines[0].startswith("whimbrel: ")
    for word in words:
        assert word in lines[0]


def lines_of(observations: Sequence[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in observations)
