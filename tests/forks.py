"""Python programs in processes of their own, without each loading the same engines again.

A process that has loaded them forks for each program asked for.  **Nothing of Whimbrel is loaded in it**: a program
loads that for itself, as it does when a shell starts it, so what it does not load and needs is found out.  What depends
on the interpreter's own start (its options, signals that come early, which engines a command loads) needs
`subprocess`.
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Any

NUMBER_BYTES = 8
_SCRIPT = Path(__file__).with_name("forks_script.py")


def run(
    script: str | Path,
    *arguments: str | Path,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    timeout_seconds: int = 120,
) -> subprocess.CompletedProcess[bytes]:
    """Run a file of Python with arguments, as `python FILE ARGUMENTS`; as `subprocess.run`, with what it printed.

    Raises TimeoutError where it takes longer.
    """
    command = [str(script), *map(str, arguments)]
    told = {"command": command, "environment": dict(environment or os.environ), "folder": str(Path.cwd())}
    reading, writing = os.pipe()
    feeding = Thread(target=_feed, args=(writing, stdin))
    feeding.start()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            code = _asked(told, [reading, out.fileno(), err.fileno()], timeout_seconds)
        finally:
            os.close(reading)
            feeding.join()
        printed = []
        for file in (out, err):
            file.seek(0)
            printed.append(file.read())
    return subprocess.CompletedProcess(command, code, *printed)


def _feed(writing: int, stdin: bytes) -> None:
    with os.fdopen(writing, "wb") as file, suppress(BrokenPipeError):
        file.write(stdin)


def _asked(told: dict[str, Any], files: list[int], timeout_seconds: int) -> int:
    """Return the exit code, or less than 0: by which signal it ended."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(timeout_seconds)
        asking.connect(_address())
        told_bytes = json.dumps(told).encode()
        socket.send_fds(asking, [len(told_bytes).to_bytes(NUMBER_BYTES, "big")], files)
        asking.sendall(told_bytes)
        pid = _number(asking)
        try:
            return _number(asking)
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise


def _number(asking: socket.socket) -> int:
    answer = asking.recv(NUMBER_BYTES)
    assert len(answer) == NUMBER_BYTES, "the process that forks has ended"
    return int.from_bytes(answer, "big", signed=True)


@cache
def _address() -> str:
    """Start the process that forks, once for the process that asks, and return where it listens."""
    address = str(Path(tempfile.mkdtemp(prefix="whimbrel-forks-")) / "socket")
    forks = subprocess.Popen(
        [sys.executable, str(_SCRIPT), address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert forks.stdin is not None
    assert forks.stdout is not None
    assert forks.stdout.readline() == "ready\n"

    def end() -> None:
        assert forks.stdin is not None
        forks.stdin.close()  # it ends when whoever started it does
        forks.wait()
        Path(address).unlink()
        Path(address).parent.rmdir()

    atexit.register(end)
    return address
