"""Messages per CPU-second of two peers over the same mail: rspamd, and the standard library's `email`.

    python bench/peers.py MAIL... [--count N]

rspamd (Debian's package, skipped where it is missing) runs in a temporary folder on loopback: its stock configuration,
two workers, no Redis, no fuzzy servers.  Its resolver is ours and answers NXDOMAIN to everything, so nothing leaves the
machine.  It is measured twice: as configured, where a message costs it some ten look-ups, and with the modules that
look things up turned off, which is the harder peer to beat.  Counted is the processor time of its workers; the client
that feeds them runs beside them on the same cores and is not counted, but is part of the wall time.

`email` is compat32 with every leaf part decoded and text brought to `str`, in one process.
"""

import argparse
import email
import http.client
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from email.message import Message
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from whimbrel.errors import WhimbrelError
from whimbrel.sensors.mailfiles import open_sources

SAMPLE = 6_294  # messages: as many as ship
WORKERS = 2  # one a core of the machine that the goal is stated for
CONNECTIONS = 4  # two a worker: one is being scanned while the next arrives
START_SECONDS = 60.0
SCAN_SECONDS = 20.0  # rspamd itself gives up on a message after 8 s (task_timeout)
WARM_UP = 200  # messages scanned first: maps, regular expressions and caches are then loaded
DEBIAN_USER = "_rspamd"
LOOKING_UP = ("rbl", "surbl", "spf", "dkim", "dmarc", "arc", "asn", "emails", "phishing", "hfilter", "bimi", "mx_check")
# The first two ask servers that are not there; the third tries to load a key for every sender's domain.
NEVER = ("fuzzy_check", "redis", "dkim_signing")
# The root's SOA record, as negative answers carry one (RFC 2308, 3); rspamd drops answers of fewer than some 30 bytes.
_SOA = b"\0\0\6\0\1\0\0\x0e\x10\0\x16" + bytes(22)
_TICKS = os.sysconf("SC_CLK_TCK")

_CONFIG = """\
.include "$CONFDIR/common.conf"
options {{
  .include "$CONFDIR/options.inc"
  .include(priority=10) "$LOCAL_CONFDIR/override.d/options.inc"
}}
logging {{ type = "file"; filename = "{folder}/log"; level = "warning"; }}
worker "normal" {{ bind_socket = "127.0.0.1:{port}"; count = {workers}; }}
"""
_OPTIONS = """\
dns {{ nameserver = ["127.0.0.1:{resolver}"]; }}
control_socket = "{folder}/control.sock mode=0600";
pidfile = "{folder}/pid";
"""


class Rate(NamedTuple):
    """What was measured."""

    messages: int
    cpu_seconds: float
    wall_seconds: float

    @property
    def per_cpu_second(self) -> float:
        """Messages per second of processor time."""
        return self.messages / max(self.cpu_seconds, 1e-9)

    @property
    def per_second(self) -> float:
        """Messages per second of the clock."""
        return self.messages / max(self.wall_seconds, 1e-9)


class PeerError(Exception):
    """A peer that could not be measured; the text says why."""


def messages_of(paths: Sequence[str], count: int) -> list[bytes]:
    """Return the first `count` messages of files, folders and archives."""
    items = (item.content for chunk in open_sources(paths).chunks(lambda _: False) for item in chunk.items)
    return list(islice(items, count))


def email_rate(messages: Sequence[bytes]) -> Rate:
    """Measure the standard library, parts decoded."""
    wall, spent = time.perf_counter(), time.process_time()
    for raw in messages:
        for part in email.message_from_bytes(raw).walk():
            if not part.is_multipart():
                _decoded(part)
    return Rate(len(messages), time.process_time() - spent, time.perf_counter() - wall)


def _decoded(part: Message) -> str | bytes:
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    if part.get_content_maintype() != "text":
        return content
    try:
        return content.decode(part.get_content_charset("us-ascii"))
    except (LookupError, ValueError):
        return content.decode("latin-1")


def rspamd_rate(messages: Sequence[bytes], *, lookups: bool = True) -> Rate | str:
    """Measure rspamd; the text returned instead is why it was not measured."""
    program = shutil.which("rspamd")
    if program is None:
        return "rspamd is not installed (Debian: apt-get install --no-install-recommends rspamd)"
    try:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rspamd-")))
            resolver = stack.enter_context(_resolver())
            port = _free_port()
            _configure(folder, port, resolver, lookups=lookups)
            workers = stack.enter_context(_running(program, folder, port))
            _scan_all(port, messages[:WARM_UP])
            wall, spent = time.perf_counter(), sum(map(_cpu_seconds, workers))
            _scan_all(port, messages)
            cpu = sum(map(_cpu_seconds, workers)) - spent
            return Rate(len(messages), cpu, time.perf_counter() - wall)
    except (PeerError, OSError, http.client.HTTPException) as error:
        return f"rspamd could not be measured: {type(error).__name__}: {error}"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@contextmanager
def _resolver() -> Iterator[int]:
    """Run a name server that knows no name, in a process of its own; yield its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        # A message may ask for dozens of names at once; a lost query costs rspamd a second's wait.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        listening.bind(("127.0.0.1", 0))
        process = multiprocessing.get_context("fork").Process(target=_deny, args=(listening,), daemon=True)
        process.start()
        try:
            yield int(listening.getsockname()[1])
        finally:
            process.kill()
            process.join()


def _deny(listening: socket.socket) -> None:
    while True:
        query, client = listening.recvfrom(4096)
        end = query.find(b"\0", 12) + 5  # the end of the one question: its name, type and class
        flags = bytes([0x80 | (query[2] & 0x79), 0x83])  # an answer to this opcode and RD, RA, NXDOMAIN
        counts = b"\0\1\0\0\0\1\0\0"
        listening.sendto(query[:2] + flags + counts + query[12:end] + _SOA, client)


def _configure(folder: Path, port: int, resolver: int, *, lookups: bool) -> None:
    for name in ("local.d", "override.d", "db"):
        (folder / name).mkdir()
    (folder / "rspamd.conf").write_text(_CONFIG.format(folder=folder, port=port, workers=WORKERS))
    (folder / "override.d" / "options.inc").write_text(_OPTIONS.format(folder=folder, resolver=resolver))
    for module in (*NEVER, *(() if lookups else LOOKING_UP)):
        (folder / "override.d" / f"{module}.conf").write_text("enabled = false;\n")
    if os.geteuid() == 0:  # it gives up root, and must own its folder then
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, DEBIAN_USER)


@contextmanager
def _running(program: str, folder: Path, port: int) -> Iterator[list[int]]:
    """Run rspamd; yield its workers' process ids once they answer and its expressions are compiled."""
    places = [f"--var={name}={folder}" for name in ("LOCAL_CONFDIR", "RUNDIR", "LOGDIR")]
    as_user = ["-u", DEBIAN_USER, "-g", DEBIAN_USER] if os.geteuid() == 0 else []
    command = [program, "-f", "-c", str(folder / "rspamd.conf"), *as_user, *places, f"--var=DBDIR={folder / 'db'}"]
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        _await(lambda: len(_children(process.pid, "normal")) == WORKERS and _answers(port), process, folder)
        _await(lambda: _is_idle(_children(process.pid, "hs_helper")), process, folder)
        yield _children(process.pid, "normal")
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            for pid in (process.pid, *_children(process.pid, "")):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()


def _await(is_so: Callable[[], bool], process: subprocess.Popen[bytes], folder: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while not is_so():
        if process.poll() is not None or time.monotonic() > until:
            told = b"".join(path.read_bytes() for path in (folder / "out", folder / "log") if path.exists())
            last = told.decode("utf-8", "replace").strip().splitlines()[-1:]
            what = "did not get ready" if process.poll() is None else f"ended with {process.returncode}"
            raise PeerError(f"it {what}; its last line: {''.join(last) or 'none'}")
        time.sleep(0.2)


def _answers(port: int) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        connection.request("GET", "/ping")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False


def _is_idle(pids: Sequence[int]) -> bool:
    """Tell whether the compiler of expressions has done nothing for two seconds."""
    before = sum(map(_cpu_seconds, pids))
    time.sleep(2)
    return sum(map(_cpu_seconds, pids)) - before < 0.02


def _children(parent: int, title: str) -> list[int]:
    """Return the child processes whose title, as rspamd sets it, holds `title`."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if int(_stat(path.name)[1]) == parent and f"{title} process" in (path / "cmdline").read_text():
                found.append(int(path.name))
        except OSError:  # it ended while we looked
            continue
    return found


def _stat(pid: int | str) -> list[str]:
    """Return the fields of a process's status from the third on (proc(5)): the name before may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _cpu_seconds(pid: int) -> float:
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _scan_all(port: int, messages: Sequence[bytes]) -> None:
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for outcome in pool.map(lambda raw: _scan(port, raw), messages):
            if outcome != http.HTTPStatus.OK:
                raise PeerError(f"it answered a message with status {outcome}")


def _scan(port: int, raw: bytes) -> int:
    # A connection each: rspamd's scanning workers close it after the answer, whatever is asked for.
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SCAN_SECONDS)
    try:
        connection.request("POST", "/checkv2", raw)
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


class Peer(NamedTuple):
    """A peer by name, and how it did."""

    name: str
    rate: Rate | str


def peers(messages: Sequence[bytes]) -> list[Peer]:
    """Measure every peer, one after another."""
    return [
        Peer("rspamd, stock", rspamd_rate(messages)),
        Peer("rspamd, no look-ups", rspamd_rate(messages, lookups=False)),
        Peer("email, decoded", email_rate(messages)),
    ]


def show(measured: Sequence[Peer]) -> None:
    """Print the table."""
    print(f"{'peer':<22} {'messages':>9} {'CPU s':>8} {'wall s':>8} {'msg/CPU s':>10} {'msg/s':>8} {'us CPU/msg':>11}")
    for name, rate in measured:
        if isinstance(rate, str):
            print(f"{name:<22} skipped: {rate}")
        else:
            cost = 1e6 / rate.per_cpu_second
            print(
                f"{name:<22} {rate.messages:>9,} {rate.cpu_seconds:>8.2f} {rate.wall_seconds:>8.2f}"
                f" {rate.per_cpu_second:>10,.0f} {rate.per_second:>8,.0f} {cost:>11,.0f}"
            )


def main() -> int:
    """Measure the peers over the mail named and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mail", nargs="+", metavar="MAIL")
    parser.add_argument("--count", type=int, default=SAMPLE, help="the first N messages")
    given = parser.parse_args()
    try:
        messages = messages_of(given.mail, given.count)
    except WhimbrelError as error:
        print(f"peers: {error}", file=sys.stderr)
        return 1
    if not messages:
        print("peers: there is no mail in what was named", file=sys.stderr)
        return 1
    print(f"{len(messages):,} messages, {sum(map(len, messages)) / len(messages):,.0f} bytes on average")
    show(peers(messages))
    return 0


if __name__ == "__main__":
    sys.exit(main())
