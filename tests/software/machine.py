"""A mail server's machine: its own network, loopback and nothing else, and Debian software laid over /usr and /etc.

Made of namespaces (network, mounts, processes), so that ports, addresses and configuration files are those that an
operator has, nothing that is asked can leave, and everything ends with the machine.
"""

import ctypes
import os
import shutil
import smtplib
import socket
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar

import dns.message
import dns.query
import dns.rcode

ROOT = Path(__file__).resolve().parents[2]
SNIPPETS = ROOT / "docs" / "software"
TREES = ROOT / "build" / "debian"
PATIENCE_SECONDS = 60.0  # Rspamd compiles its expressions first: 3 s of a free core
_CLONE_NEWNET = 0x40000000

# Written over copies: /etc is an overlay whose changes live in memory and go with the machine.
_SETUP = r"""
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir /run/changed /run/work /run/log
mount -t overlay overlay -o "lowerdir=$ETC:/etc,upperdir=/run/changed,workdir=/run/work" /etc
mount -t overlay overlay -o "lowerdir=$USR:/usr" /usr
for folder in /var/spool /var/lib /var/cache /var/log /var/mail; do
  mkdir -p "$folder"; mount -t tmpfs tmpfs "$folder"
done
ip link set lo up
for address in 192.0.2.1 203.0.113.4 198.51.100.7 198.51.100.25 2001:db8:1:2::5 2001:db8:9::1; do
  ip address add "$address" dev lo nodad
done
number=700
for name in postfix postdrop Debian-exim debian-spamd _rspamd unbound bind knot-resolver dnsmasq knot nsd pdns; do
  number=$((number + 1))
  sed -i "/^$name:/d" /etc/passwd /etc/group
  echo "$name:x:$number:$number::/nonexistent:/usr/sbin/nologin" >> /etc/passwd
  echo "$name:x:$number:" >> /etc/group
done
echo mx.example.org > /etc/hostname
printf '127.0.0.1 localhost\n192.0.2.53 nowhere.example\n198.51.100.25 mx.example.org\n' > /etc/hosts
echo "nameserver 127.0.0.1" > /etc/resolv.conf
echo ready
exec sleep infinity
"""

Result = TypeVar("Result")


class Machine:
    """A machine that runs for as long as the `with` statement; `trees` names what lies over its /usr and /etc.

    Clients connect from the addresses given to its loopback: 192.0.2.1, 203.0.113.4 and 2001:db8:1:2::5 (listed),
    198.51.100.7 and 2001:db8:9::1 (not listed), 198.51.100.25 (its own).
    """

    def __init__(self, *trees: str) -> None:
        folders = [TREES / tree for tree in trees]
        environment = {
            **os.environ,
            "ETC": ":".join(str(folder / "etc") for folder in folders),
            "USR": ":".join(str(folder / "usr") for folder in folders),
        }
        self._unshare = subprocess.Popen(
            [
                "unshare",
                "--net",
                "--mount",
                "--uts",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
                "sh",
                "-c",
                _SETUP,
            ],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._unshare.stdout is not None
        assert self._unshare.stderr is not None
        if self._unshare.stdout.readline() != "ready\n":
            raise AssertionError(self._unshare.stderr.read())
        number = self._unshare.pid
        self._first = int(Path(f"/proc/{number}/task/{number}/children").read_text().split()[0])
        self._services: list[subprocess.Popen[str]] = []
        self._thread = ThreadPoolExecutor(1, initializer=_enter_network, initargs=(self._first,))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()
        self._unshare.kill()  # and with it, the machine's first process, and with that all others
        self._unshare.communicate()
        for service in self._services:
            service.wait(PATIENCE_SECONDS)

    def inside(self, function: Callable[..., Result], *arguments: object, **options: object) -> Result:
        """Call a function in a thread that stands in the machine's network; sockets it opens stay there."""
        return self._thread.submit(function, *arguments, **options).result()

    def _command(self, *command: str | Path) -> list[str]:
        return ["nsenter", "--target", str(self._first), "--net", "--mount", "--pid", "--uts", "--", *map(str, command)]

    def run(self, *command: str | Path, stdin: str = "", check: bool = True) -> str:
        """Run a command to its end and return what it said on both outputs."""
        done = subprocess.run(
            self._command(*command),
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=60,
            cwd="/",
        )
        assert not check or done.returncode == 0, done.stdout
        return done.stdout

    def start(self, *command: str | Path, port: int, address: str = "127.0.0.1") -> "subprocess.Popen[str]":
        """Start a service that stays in the foreground, and wait until it accepts connections."""
        log = Path(f"/proc/{self._first}/root/run/log") / Path(str(command[0])).name
        with log.open("w") as file:
            process = subprocess.Popen(self._command(*command), stdout=file, stderr=file, text=True, cwd="/")
        self._services.append(process)
        self.await_port(port, address, lambda: process.poll() is None, log)
        return process

    def await_port(
        self, port: int, address: str = "127.0.0.1", alive: Callable[[], bool] = lambda: True, log: Path | None = None
    ) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while not self.inside(_accepts, address, port):
            assert alive(), log.read_text() if log else "ended"
            assert time.monotonic() < end, log.read_text() if log else "not answering"
            time.sleep(0.03)

    def write(self, path: str, text: str, *, append: bool = False) -> None:
        """Write a file of the machine, as its operator does."""
        place = Path(f"/proc/{self._first}/root{path}")
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("a" if append else "w", encoding="utf-8") as file:
            file.write(text)
        place.chmod(0o644)

    def read(self, path: str) -> str:
        return Path(f"/proc/{self._first}/root{path}").read_text(encoding="utf-8", errors="replace")

    def await_text(self, text: str, path: str) -> None:
        """Wait until a log says something: what writes it may lag behind the mail server."""
        end = time.monotonic() + PATIENCE_SECONDS
        while text not in self.read(path):
            assert time.monotonic() < end, self.read(path)
            time.sleep(0.05)

    def look_up(self, name: str, type_: str = "A", *, port: int = 53) -> list[str] | None:
        """Ask the machine's resolver for a name beneath the zone: the records, or None where it does not exist."""
        query = dns.message.make_query(f"{name}.bl.example.", type_)
        response = self.inside(dns.query.udp, query, "127.0.0.1", timeout=PATIENCE_SECONDS, port=port)
        if response.rcode() == dns.rcode.NXDOMAIN:
            return None
        assert response.rcode() == dns.rcode.NOERROR, response
        return [record.to_text() for rrset in response.answer for record in rrset]

    def send_from(self, client: str, *, port: int = 25, recipient: str = "user@example.org") -> str:
        """Send a message from an address, as far as the mail server lets it; return its last reply, lines joined."""
        return self.inside(_send, client, port, recipient)


def snippet(name: str) -> str:
    """Return a configuration file of the documents, which operators paste."""
    return (SNIPPETS / name).read_text(encoding="utf-8")


def missing(*trees: str) -> str | None:
    """Say why machines cannot be made here, or return None."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return "machines of namespaces need root, and Debian's util-linux and iproute2"
    absent = [tree for tree in trees if not (TREES / tree / "complete").exists()]
    return f"not unpacked: {', '.join(absent)}; run tools/debian" if absent else None


def _enter_network(process: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    with Path(f"/proc/{process}/ns/net").open() as namespace:
        if libc.setns(namespace.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")


def _accepts(address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        return probe.connect_ex((address, port)) == 0


def _send(client: str, port: int, recipient: str) -> str:
    server = "::1" if ":" in client else "127.0.0.1"
    with smtplib.SMTP(server, port, "client.example.net", PATIENCE_SECONDS, (client, 0)) as smtp:
        smtp.ehlo()
        for step, address in ((smtp.mail, "somebody@example.net"), (smtp.rcpt, recipient)):
            code, text = step(address)
            if code >= 400:
                return f"{code} {' '.join(text.decode().splitlines())}"
        code, text = smtp.data(b"From: somebody@example.net\r\nTo: user@example.org\r\nSubject: hello\r\n\r\nhello\r\n")
        return f"{code} {' '.join(text.decode().splitlines())}"
