"""The name server as a child process: started, listened to, and started again when it dies or falls silent.

It answers on sockets that this process has bound and keeps open, so queries that come while there is no child wait in
the kernel and are answered by the next one; and it ends by itself when this process does, however that ends, for its
standard input ends then.
"""

import json
import logging
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from whimbrel.pipeline.running.metrics import Metrics

FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 30.0
# It reports every second; a machine that swaps, or a start on a busy one, takes a few.
SILENT_SECONDS = 15.0
# After this long in good order the next death is a first one again.
HEALTHY_SECONDS = 60.0
# How long it may take to end when told to: TCP clients in the middle of an answer.
END_SECONDS = 5.0

_log = logging.getLogger(__name__)


class NameServer:
    """Keeps one name server running from `start` to `end`."""

    def __init__(self, command: Callable[[], Sequence[str]], descriptors: Sequence[int], metrics: Metrics) -> None:
        self._command = command
        self._descriptors = descriptors
        self._metrics = metrics
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._ending = threading.Event()
        self._heard = 0.0  # by the monotonic clock
        self.is_answering = False
        self.serial: int | None = None

    @property
    def pid(self) -> int | None:
        """The process now, if there is one."""
        process = self._process
        return None if process is None else process.pid

    def start(self) -> None:
        """Start it, and watch over it."""
        self._thread = threading.Thread(target=self._keep, daemon=True, name="name server")
        self._thread.start()

    def check(self) -> None:
        """End a child that has fallen silent, so that it is started again."""
        process = self._process
        if process is not None and process.poll() is None and time.monotonic() - self._heard > SILENT_SECONDS:
            _log.error("the name server (pid %d) says nothing any more: it is killed", process.pid)
            process.kill()

    def end(self) -> None:
        """End it in good order; killed where it does not."""
        self._ending.set()
        process = self._process
        if process is not None:
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                _log.warning("the name server (pid %d) does not end: it is killed", process.pid)
                process.kill()
        if self._thread is not None:
            self._thread.join(END_SECONDS)

    def _keep(self) -> None:
        wait_seconds = FIRST_WAIT_SECONDS
        while not self._ending.is_set():
            began = time.monotonic()
            code = self._run()
            self.is_answering = False
            if self._ending.is_set():
                return
            if time.monotonic() - began > HEALTHY_SECONDS:
                wait_seconds = FIRST_WAIT_SECONDS
            self._metrics.restarts.inc()
            _log.error(
                "the name server ended by itself (code %s); queries wait; it is started again in %g s",
                code, wait_seconds, extra={"code": code, "retry_seconds": wait_seconds},
            )  # fmt: skip
            self._ending.wait(wait_seconds)
            wait_seconds = min(2 * wait_seconds, LONGEST_WAIT_SECONDS)

    def _run(self) -> int | None:
        """Start it, take what it says until it ends, and return its exit code."""
        self._heard = time.monotonic()
        try:
            process = subprocess.Popen(  # noqa: S603 - our own program
                self._command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=self._descriptors,
                start_new_session=True,  # Ctrl-C is the control process's to handle
            )
        except OSError as error:
            _log.error("the name server cannot be started: %s", error.strerror)
            return None
        with process:
            self._process = process
            if self._ending.is_set():
                process.terminate()
            assert process.stdout is not None
            for line in process.stdout:
                self._take(line, process.pid)
            code = process.wait()
        self._process = None
        self._metrics.served.ended(process.pid)
        return code

    def _take(self, line: bytes, pid: int) -> None:
        self._heard = time.monotonic()
        try:
            said: dict[str, Any] = json.loads(line)
        except ValueError:
            return
        if "listening" in said:
            self.is_answering = True
        if "counts" in said:
            self._metrics.served.report(pid, said["counts"])
            self.serial = said["serial"]
