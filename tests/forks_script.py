"""Run by forks.py in a process of its own: `forks_script.py SOCKET`; forks for each program it is asked to run.

Ends when its standard input does.
"""

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any

NUMBER_BYTES = 8  # as in forks.py, which is not found from here

# What takes long to load, and is not Whimbrel's own.  No threads of theirs run by the time of a fork but idle ones of
# BLAS and Arrow, which both know of forks.
ENGINES = (
    "numpy", "pandas", "pyarrow.compute", "pyarrow.dataset", "pyarrow.parquet", "duckdb", "ibis",
    "ibis.backends.duckdb.converter", "numba", "sqlalchemy.dialects.sqlite", "alembic.migration", "click",
    "cryptography.hazmat.primitives.asymmetric.ed25519", "dns.message", "dns.tsigkeyring", "msgspec.json",
    "rich.console", "rich.progress", "rich.table",
)  # fmt: skip


def main(address: str) -> None:
    for name in ENGINES:
        importlib.import_module(name)
    gc.freeze()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen(16)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    children: dict[int, socket.socket] = {}
    ended, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda *_: os.write(woken, b"."))
    while True:
        ready, _, _ = select.select([sys.stdin, listening, ended], [], [])
        if sys.stdin in ready:
            return
        if ended in ready:
            os.read(ended, 1024)
            report(children)
        if listening in ready:
            start(listening, children)


def report(children: dict[int, socket.socket]) -> None:
    """Tell of each program that has ended, to whoever waits for it."""
    for pid in list(children):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            with children.pop(pid) as asking, contextlib.suppress(OSError):
                asking.sendall(number(os.waitstatus_to_exitcode(status)))


def number(value: int) -> bytes:
    return value.to_bytes(NUMBER_BYTES, "big", signed=True)


def start(listening: socket.socket, children: dict[int, socket.socket]) -> None:
    asking, _ = listening.accept()
    size, files, _, _ = socket.recv_fds(asking, NUMBER_BYTES, 3)
    told = b""
    while len(told) < int.from_bytes(size, "big"):
        told += asking.recv(1 << 20)
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        listening.close()
        asking.close()
        for place, file in enumerate(files):
            os.dup2(file, place)
            os.close(file)
        become(json.loads(told))
    for file in files:
        os.close(file)
    children[pid] = asking
    asking.sendall(number(pid))


def become(told: dict[str, Any]) -> None:
    """Run the program in this process, and end."""
    script = told["command"][0]
    os.environ.clear()
    os.environ.update(told["environment"])
    os.chdir(told["folder"])
    sys.argv[:] = told["command"]
    sys.path[0] = str(Path(script).resolve().parent)
    code = 0
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
    except BaseException:  # noqa: BLE001 - as the interpreter does
        sys.excepthook(*sys.exc_info())
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1])
