"""The servers that are measured, each with one worker on one loopback port, from the same list.

Those of others are Debian's packages, installed or unpacked by `tools/debian bind knot nsd rbldnsd`.  Each has what it
needs to be fast and nothing else: no log of queries, no additional records, no second thread that answers.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from bench.dns.lists import ZONE, MadeList

ROOT = Path(__file__).resolve().parents[2]
TREES = ROOT / "build" / "debian"
PROGRAMS = ROOT / "build" / "bench-dns"
START_SECONDS = 300.0  # longest a server may take until it answers
_POLL_SECONDS = 0.005
_END_SECONDS = 60.0  # a server of a million names frees them one by one
_GENERAL = 1_000_000  # entries of a server of any zone: ten million take more memory than the machine has

_KNOT = """\
server:
    rundir: "{folder}"
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: error
database:
    storage: "{folder}"
template:
  - id: default
    storage: "{folder}"
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
    semantic-checks: off
zone:
  - domain: {zone}
    file: "{file}"
"""
_NSD = """\
server:
    ip-address: 127.0.0.1@{port}
    server-count: 1
    database: ""
    username: ""
    chroot: ""
    zonesdir: ""
    pidfile: "{folder}/nsd.pid"
    xfrdfile: "{folder}/xfrd.state"
    zonelistfile: "{folder}/zone.list"
    xfrdir: "{folder}"
    minimal-responses: yes
    rrl-ratelimit: 0
    rrl-whitelist-ratelimit: 0
remote-control:
    control-enable: no
zone:
    name: {zone}
    zonefile: "{file}"
"""
_BIND = """\
options {{
    directory "{folder}";
    pid-file none;
    session-keyfile none;
    managed-keys-directory "{folder}";
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    recursion no;
    minimal-responses yes;
    dnssec-validation no;
    notify no;
    querylog no;
    zone-statistics none;
    masterfile-format text;
}};
controls {{ }};
zone "{zone}" {{ type primary; check-names ignore; file "{file}"; }};
"""


class Peer(NamedTuple):
    """A server: how it is called, the command for a list, a folder of its own and a port; the longest list it takes.

    `checked` says whether it answers as a name server (the echo does not); `ours`, whether it must send the very bytes
    of the reference, and is compiled before it is measured; `cookies`, whether it is asked with cookies.
    """

    name: str
    command: Callable[[MadeList, Path, int], list[str]]
    most_entries: int = 100_000_000
    checked: bool = True
    ours: bool = False
    cookies: bool = False


class Running(NamedTuple):
    """A server that answers: its process, its port, the seconds from its start to its first right answer."""

    pid: int
    port: int
    start_seconds: float


class PeerError(Exception):
    """A server that cannot be measured; the text says why."""


def _echo(_: MadeList, __: Path, port: int) -> list[str]:
    return [str(PROGRAMS / "echo"), str(port)]


def _bare(made: MadeList, folder: Path, port: int) -> list[str]:
    return [sys.executable, "-m", "bench.dns.bare", _own_snapshot(made, folder), str(port)]


def _serve(made: MadeList, folder: Path, port: int) -> list[str]:
    whimbrel = str(Path(sys.executable).with_name("whimbrel"))
    return [whimbrel, "serve", "--snapshot", _own_snapshot(made, folder), "--listen", f"127.0.0.1:{port}"]


def _guarded(made: MadeList, folder: Path, port: int) -> list[str]:
    """Nobody is exempt from the limit, which is as high as it can be: each answer is judged, none withheld."""
    return [*_serve(made, folder, port), "--exempt", "none", "--rate-limit", "1000000"]


def _two_workers(made: MadeList, folder: Path, port: int) -> list[str]:
    return [*_serve(made, folder, port), "--workers", "2"]


def _own_snapshot(made: MadeList, folder: Path) -> str:
    """Copy the snapshot: pages of one file would be shared with others here, and their memory with them."""
    return str(shutil.copyfile(made.snapshot, folder / "list.snapshot"))


def _rbldnsd(made: MadeList, _: Path, port: int, *, shuffled: bool = False) -> list[str]:
    kind, text = "ip4set" if made.family == 4 else "ip6tset", made.shuffled_text if shuffled else made.sorted_text
    made.folder.chmod(0o755)  # rbldnsd does not stay root
    text.chmod(0o644)
    # Installed, the package has a user of its own; unpacked it has none.
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    return [program("rbldnsd"), "-n", "-a", "-c", "0", *user, "-b", f"127.0.0.1/{port}", f"{ZONE}:{kind}:{text}"]


def _knot(made: MadeList, folder: Path, port: int) -> list[str]:
    return [program("knotd"), "-c", _configured(_KNOT, made, folder, port)]


def _nsd(made: MadeList, folder: Path, port: int) -> list[str]:
    return [program("nsd"), "-d", "-c", _configured(_NSD, made, folder, port)]


def _bind(made: MadeList, folder: Path, port: int) -> list[str]:
    return [program("named"), "-f", "-n", "1", "-c", _configured(_BIND, made, folder, port)]


def _configured(template: str, made: MadeList, folder: Path, port: int) -> str:
    path = folder / "configuration"
    path.write_text(template.format(folder=folder, port=port, zone=ZONE, file=made.zone_file), encoding="ascii")
    return str(path)


RBLDNSD_SHUFFLED = Peer("rbldnsd, shuffled", lambda *given: _rbldnsd(*given, shuffled=True))
PEERS = (
    Peer("C echo", _echo, checked=False),
    Peer("whimbrel, loop alone", _bare, ours=True),
    Peer("whimbrel serve", _serve, ours=True),
    Peer("whimbrel serve, limits and cookies", _guarded, ours=True, cookies=True),
    Peer("whimbrel serve, two workers", _two_workers, ours=True),
    Peer("rbldnsd", _rbldnsd),
    Peer("Knot", _knot, _GENERAL),
    Peer("NSD", _nsd, _GENERAL),
    Peer("BIND", _bind, _GENERAL),
)


def program(name: str) -> str:
    """Return the path of a Debian package's program; raise PeerError where it is not to be had."""
    found = shutil.which(name, path=":".join([*map(str, TREES.glob("*/usr/sbin")), "/usr/sbin", "/usr/bin"]))
    if found is None:
        raise PeerError(f"{name} is not here; run `tools/debian bind knot nsd rbldnsd`")
    return found


@contextmanager
def running(
    peer: Peer, made: MadeList, folder: Path, core: int, is_first_answer: Callable[[int], bool], **environment: str
) -> Iterator[Running]:
    """Run a server bound to a core until it has answered and then until the caller has done.

    `is_first_answer` asks a port and tells whether the answer is right.  Raises PeerError where none comes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = peer.command(made, folder, port)
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    if TREES in Path(command[0]).parents:
        surroundings["LD_LIBRARY_PATH"] = str(Path(command[0]).parents[1] / "lib" / "x86_64-linux-gnu")
    with (folder / "log").open("wb") as log:
        began = time.monotonic()
        process = subprocess.Popen(
            ["taskset", "-c", str(core), *command],
            stdout=log,
            stderr=log,
            cwd=folder,
            env=surroundings,
            start_new_session=True,
        )
        try:
            while not is_first_answer(port):
                if process.poll() is not None or time.monotonic() - began > START_SECONDS:
                    said = (folder / "log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
                    raise PeerError(f"{peer.name} does not answer: {said[-1] if said else 'it says nothing'}")
                time.sleep(_POLL_SECONDS)
            yield Running(process.pid, port, time.monotonic() - began)
        finally:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a server and what it started, all of which is in its session, which has its number."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_END_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def free_port() -> int:
    """Return a port of the loopback that nobody has, for UDP nor for TCP: name servers want both."""
    while True:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
        ):
            udp.bind(("127.0.0.1", 0))
            with suppress(OSError):
                tcp.bind(udp.getsockname())
                return int(udp.getsockname()[1])
