"""A service under measurement: its store, its places of mail, its process tree, and questions to its name server."""

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import dns.message
import dns.query
import dns.rcode

WHIMBREL = Path(sys.executable).with_name("whimbrel")
ZONE = "bl.example"


def message(number: int, peer: str, at: datetime) -> bytes:
    """Return a message that `peer` handed to our server at a time."""
    return (
        f"Received: from friend (dsl-{peer.replace('.', '-')}.isp.example.net [{peer}])\n"
        f" by mx1.example.org (Postfix) with ESMTP id {number:X};\n {format_datetime(at)}\n"
        f"From: a{number}@example.net\nTo: b@example.org\nSubject: offer {number}\n\n"
        f"Buy {number} at http://shop{number % 50}.example/\n"
    ).encode()


def deliver(maildir: Path, name: str, content: bytes) -> None:
    """Deliver as a mail server does: written in tmp, then moved to new."""
    draft = maildir / "tmp" / name
    draft.write_bytes(content)
    draft.rename(maildir / "new" / name)


def listed_store(data_dir: Path, hosts: int) -> int:
    """Make a store in which some 2 targets a host are listed; return how many."""
    began = datetime.now(UTC) - timedelta(hours=1)
    with (data_dir.parent / "observations.jsonl").open("w") as file:
        for number in range(hosts):
            host = f"{11 + number // 60_000}.{number % 60_000 // 250}.{number % 250}.9"
            row = {
                "seen_at": (began + timedelta(milliseconds=10 * number)).isoformat().replace("+00:00", "Z"),
                "sensor": "mx1", "host": host, "kind": "message", "label": "spam", "count": 3,
                "helo": "friend", "rdns": f"dsl-{host.replace('.', '-')}.isp.example.net",
            }  # fmt: skip
            file.write(json.dumps(row) + "\n")
    done = subprocess.run(
        [WHIMBREL, "observe", file.name, "--profile", "own", "--data", data_dir, "--json"],
        capture_output=True,
        check=True,
    )
    return int(json.loads(done.stdout)["in_force"])


class Service:
    """A running `whimbrel run`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        self.process = process
        told = json.loads(process.stdout.readline())
        self.pid = int(told["pid"])
        self.name_server = int(told["name_server"])
        self.port = int(told["listening"][0]["port"])
        self._pages = f"http://127.0.0.1:{told['metrics']['port']}"

    def page(self, path: str) -> str:
        """Return a page of the service."""
        with urllib.request.urlopen(self._pages + path, timeout=30) as page:
            return str(page.read().decode())

    def metrics(self) -> dict[str, float]:
        """Return the metrics by name and labels."""
        lines = [line for line in self.page("/metrics").splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    def is_listed(self, address: str) -> bool:
        """Ask the name server."""
        name = ".".join(reversed(address.split("."))) + f".{ZONE}."
        answer = dns.query.udp(dns.message.make_query(name, "A"), "127.0.0.1", port=self.port, timeout=10)
        return answer.rcode() == dns.rcode.NOERROR and bool(answer.answer)


@contextmanager
def running(folder: Path, *, settings: str = "") -> Iterator[Service]:
    """Run the service on `folder/data` and `folder/Maildir`, with more settings in TOML; it must end with code 0."""
    for name in ("new", "cur", "tmp"):
        (folder / "Maildir" / name).mkdir(parents=True, exist_ok=True)
    (folder / "whimbrel.toml").write_text(
        f"""[store]
data = "data"
[[watch]]
path = "Maildir"
sensor = "mx1"
label = "spam"
trust = ["192.0.2.0/24"]
[policy]
profile = "own"
[serve]
listen = ["127.0.0.1:0"]
[metrics]
listen = "127.0.0.1:0"
[log]
level = "warning"
{settings}
"""
    )
    with subprocess.Popen(
        [WHIMBREL, "run", "--config", folder / "whimbrel.toml", "--json"], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Service(process)
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(60)
        if code != 0:
            raise SystemExit(f"the service ended with code {code}")


def wait_until_listed(service: Service, address: str, seconds: float) -> float:
    """Ask until an address is listed; return how long that took, or infinity after `seconds`."""
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        if service.is_listed(address):
            return time.perf_counter() - began
        time.sleep(0.002)
    return float("inf")
