"""A `whimbrel run` for tests: its folder, its mail, its settings, and questions to it."""

import json
import os
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import dns.message
import dns.query
import dns.rcode
from tests.cli.running import WHIMBREL
from tests.pipeline.mail import message, received

ZONE = "bl.example"
# Longer than anything takes on a machine that is busy with other tests.
PATIENCE_SECONDS = 30.0


def spam(peer: str, *, number: int = 1, at: datetime | None = None) -> bytes:
    """Return a message that a host without a name of its own just handed to our server."""
    name = f"dsl-{peer.replace('.', '-')}.isp.example.net"
    return message(received(peer, at or datetime.now(UTC), name=name, id_=f"{number:X}"), subject=f"offer {number}")


def deliver(maildir: Path, name: str, content: bytes) -> None:
    """Deliver as a mail server does: written in tmp, then moved to new."""
    for each in ("new", "cur", "tmp"):
        (maildir / each).mkdir(parents=True, exist_ok=True)
    (maildir / "tmp" / name).write_bytes(content)
    (maildir / "tmp" / name).rename(maildir / "new" / name)


class Service:
    """One service in a folder; a context manager that must see it end with code 0, unless it was killed."""

    def __init__(
        self,
        folder: Path,
        *,
        program: Sequence[str] = (str(WHIMBREL),),
        environment: dict[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.maildir = folder / "Maildir"
        self.data = folder / "data"
        self.config = folder / "whimbrel.toml"
        self._program = program
        self._environment = {**os.environ, **(environment or {})}
        for each in ("new", "cur", "tmp"):
            (self.maildir / each).mkdir(parents=True, exist_ok=True)
        self.settings()

    def settings(self, **changed: str) -> None:
        """Write the settings file, with some tables changed or added (`watch` adds to the maildir)."""
        tables = {
            "store": 'data = "data"',
            "policy": 'profile = "own"',
            "serve": 'listen = ["127.0.0.1:0"]',
            "metrics": 'listen = "127.0.0.1:0"',
            "log": 'format = "json"',
        } | changed
        watch = '[[watch]]\npath = "Maildir"\nsensor = "mx1"\nlabel = "spam"\ntrust = ["192.0.2.0/24"]\n'
        watch += tables.pop("watch", "")
        written = "\n".join(f"[{name}]\n{content}" for name, content in tables.items())
        self.config.write_text(f"{watch}\n{written}\n")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE_SECONDS)
        self.close()
        if error is None:
            assert self.process.returncode == 0, self.log()

    def close(self) -> None:
        assert self.process.stdout is not None
        self.process.stdout.close()

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self._program, "run", "--config", str(self.config), "--json"],
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._environment,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.process.wait(PATIENCE_SECONDS)
            self.close()
        assert line, self.log()
        self.told: dict[str, Any] = json.loads(line)
        self.port = int(self.told["listening"][0]["port"]) if self.told["listening"] else 0

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def logged(self) -> list[dict[str, Any]]:
        """Return the log's lines, each of which must be JSON."""
        return [json.loads(line) for line in self.log().splitlines()]

    def ask(self, address: str) -> int:
        """Return the return code for an address."""
        name = ".".join(reversed(address.split("."))) + f".{ZONE}."
        return dns.query.udp(dns.message.make_query(name, "A"), "127.0.0.1", port=self.port, timeout=10).rcode()

    def is_listed(self, address: str) -> bool:
        return self.ask(address) == dns.rcode.NOERROR

    def is_listed_itself(self, address: str) -> bool:
        """Tell whether a host is listed, and not only its network, which has another code."""
        name = ".".join(reversed(address.split("."))) + f".{ZONE}."
        query = dns.message.make_query(name, "A")
        answer = dns.query.udp(query, "127.0.0.1", port=self.port, timeout=10).answer
        return any(str(record) == "127.0.0.2" for rrset in answer for record in rrset)

    def page(self, path: str) -> tuple[int, str]:
        """Return status and content of a page."""
        where = f"http://127.0.0.1:{self.told['metrics']['port']}{path}"
        try:
            with urllib.request.urlopen(where, timeout=PATIENCE_SECONDS) as page:
                return page.status, page.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name: str) -> float:
        lines = self.page("/metrics")[1].splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.partition("{")[0].split()[0] == name)


class Asking:
    """Asks without a pause, from a thread of its own, until told to stop; a query without an answer fails the test."""

    def __init__(self, service: Service, address: str) -> None:
        self.answers: list[int] = []
        self.fault: Exception | None = None
        self._stop = threading.Event()

        def ask() -> None:
            try:
                while not self._stop.is_set():
                    self.answers.append(service.ask(address))
            except Exception as error:  # noqa: BLE001 - told to the test
                self.fault = error

        self._thread = threading.Thread(target=ask)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        assert self.fault is None
        assert set(self.answers) == {0}


def until(true: Callable[[], bool], what: str) -> None:
    """Wait until something is so."""
    due = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < due, what
        time.sleep(0.02)
