"""The list that the software asks: observed, decided, published and served by the real commands."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.cli.running import WHIMBREL, lines_of, run
from tests.software.machine import Machine, missing, snippet

NOW = "2026-03-02"
SEEN = {"seen_at": "2026-03-01T12:00:00Z", "sensor": "mx1"}
OBSERVED = (
    {**SEEN, "host": "192.0.2.1", "kind": "message", "label": "spam"},
    {**SEEN, "host": "203.0.113.4", "kind": "infection", "family": "Storm", "method": "payload"},
    {**SEEN, "host": "2001:db8:1:2::5", "kind": "message", "label": "spam"},
    {**SEEN, "host": "198.51.100.7", "kind": "message", "label": "ham"},
)

MakeMachine = Callable[..., Machine]
Serve = Callable[..., None]


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot that lists 192.0.2.1 (2), 203.0.113.4 (4) and 2001:db8:1:2::/64 (2)."""
    folder = tmp_path_factory.mktemp("list")
    data = folder / "data"
    (folder / "observed.jsonl").write_bytes(lines_of(OBSERVED))
    assert run("observe", folder / "observed.jsonl", "--profile", "own", "--now", NOW, data=data).code == 0
    told = run("listings", "--json", "--now", NOW, data=data).rows()
    assert {row["target"]: row["code"] for row in told} == {
        "192.0.2.1": 2,
        "203.0.113.4": 4,
        "2001:db8:1:2::/64": 2,
    }, json.dumps(told)
    assert run("publish", "--now", NOW, data=data).code == 0
    return data / "list.snapshot"


@pytest.fixture
def machine() -> Iterator[MakeMachine]:
    """Make a machine with some trees of software, and a resolver of its own that finds `bl.example` at port 5300."""
    with ExitStack() as stack:

        def make(*trees: str, resolver: bool = True) -> Machine:
            needed = (*trees, "unbound") if resolver else trees
            reason = missing(*needed)
            if reason and os.environ.get("WHIMBREL_REQUIRE_DEBIAN") == "1":
                pytest.fail(reason)
            if reason:
                pytest.skip(reason)
            made = stack.enter_context(Machine(*needed))
            if resolver:
                made.write("/etc/unbound/unbound.conf.d/whimbrel.conf", snippet("unbound.conf"))
                # Its root key is made when the package is installed; there is no root here.
                made.write("/etc/unbound/unbound.conf.d/root-auto-trust-anchor-file.conf", "")
                made.write("/etc/unbound/unbound.conf.d/test.conf", UNBOUND_IN_FOREGROUND)
                made.start("unbound", "-d", port=53)
            return made

        yield make


# The package's own file comes with it; this is what its service unit says beside.
UNBOUND_IN_FOREGROUND = """
server:
  do-daemonize: no
  use-syslog: no
  chroot: ""
  pidfile: ""
"""


@pytest.fixture
def serve(published: Path) -> Serve:
    """Serve the list in a machine, at port 5300 as `docs/dns.md` says, or elsewhere."""

    def start(machine: Machine, address: str = "127.0.0.1", port: int = 5300) -> None:
        options = ("--listen", f"{address}:{port}", "--snapshot", published, "--now", NOW)
        machine.start(WHIMBREL, "serve", *options, address=address, port=port)

    return start
