"""A program that is forked ends, prints and finds its surroundings as one that is started."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests import forks

_PROGRAM = """
import os, signal, sys
sys.stdout.write(f"{sys.argv[1:]} {sys.stdin.read()} {os.environ.get('SAID')} {os.getcwd()} {sys.path[0]} {__name__}")
sys.stderr.write("told")
print()
if sys.argv[1] == "raise":
    raise ValueError("so")
if sys.argv[1] == "kill":
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)
sys.exit({"word": "a word", "none": None}.get(sys.argv[1], 7))
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(_PROGRAM)
    return path


@pytest.mark.parametrize("ending", ["seven", "none", "word", "raise", "kill"])
def test_as_one_that_is_started(ending: str, program: Path) -> None:
    environment = {**os.environ, "SAID": "something"}
    command = [sys.executable, str(program), ending, "b c"]
    started = subprocess.run(command, input=b"given", capture_output=True, env=environment, check=False)
    forked = forks.run(program, ending, "b c", stdin=b"given", environment=environment)
    assert (forked.returncode, forked.stdout) == (started.returncode, started.stdout)
    assert forked.stderr.splitlines()[-1:] == started.stderr.splitlines()[-1:]


def test_it_is_another_process_each_time_and_has_nothing_of_whimbrel(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import os, sys; print(os.getpid(), [n for n in sys.modules if n.startswith('whimbrel')])")
    told = [forks.run(program).stdout.split(maxsplit=1) for _ in range(3)]
    assert len({pid for pid, _ in told} | {str(os.getpid()).encode()}) == 4
    assert {modules for _, modules in told} == {b"[]\n"}


def test_one_that_does_not_end_is_ended(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    told = tmp_path / "pid"
    program.write_text(
        f"import os, pathlib, time; pathlib.Path({str(told)!r}).write_text(str(os.getpid())); time.sleep(60)"
    )
    with pytest.raises(TimeoutError):
        forks.run(program, timeout_seconds=2)
    pid, until = int(told.read_text()), time.monotonic() + 10
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < until
