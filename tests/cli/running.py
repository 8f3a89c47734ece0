"""Runs the real commands, as a user does."""

import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests import forks

from whimbrel.cli import main

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


def called(*arguments: str | Path, data: Path) -> Ran:
    """As `run`, but within this process, where engines are loaded: for tests of what is said, not of how it starts."""
    out, err = io.TextIOWrapper(io.BytesIO()), io.TextIOWrapper(io.BytesIO())  # JSON is written as bytes
    with redirect_stdout(out), redirect_stderr(err), pytest.MonkeyPatch.context() as patch:
        patch.setenv("WHIMBREL_DATA", str(data))
        with pytest.raises(SystemExit) as ended:
            main([*map(str, arguments)])
    assert isinstance(ended.value.code, int)
    texts = []
    for stream in (out, err):
        stream.seek(0)
        texts.append(stream.read())
    return Ran(ended.value.code, *texts)


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
