"""Options of the guards: from settings to a command line and back, and what root leaves behind."""

import json
import os
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import dns.message
import dns.query
import pytest
from tests.cli.running import WHIMBREL
from tests.listed import listing

from whimbrel.cli.guarding import guard_arguments, guard_options
from whimbrel.model.listing import Code
from whimbrel.nameserver import GuardSettings
from whimbrel.pipeline.config.settings import Serve
from whimbrel.publishing import Entries, write_snapshot


def parsed(*arguments: str) -> GuardSettings:
    """Return what a command is given for a command line."""
    given: list[GuardSettings] = []

    @click.command()
    @guard_options
    def command(guards: GuardSettings) -> None:
        given.append(guards)

    command.main(list(arguments), standalone_mode=False)
    return given[0]


def test_settings_and_options_have_the_same_defaults() -> None:
    assert parsed() == parsed(*guard_arguments(Serve())) == GuardSettings()


def test_every_setting_reaches_the_guards() -> None:
    serve = Serve(
        rate_limit=7,
        slip=3,
        exempt=("192.0.2.0/24",),
        allow=("10.0.0.0/8", "2001:db8::/32"),
        deny=("10.1.0.0/16",),
        public=("8.8.8.8",),
        subscribers="/a b",
        cookie_secrets="/c",
        known="/d",
        learned="/e",
    )
    assert parsed(*guard_arguments(serve)) == GuardSettings(
        rate=7,
        slip=3,
        exempt=("192.0.2.0/24",),
        allow=("10.0.0.0/8", "2001:db8::/32"),
        deny=("10.1.0.0/16",),
        public=("8.8.8.8",),
        subscribers=Path("/a b"),
        cookie_secrets=Path("/c"),
        known=Path("/d"),
        learned=Path("/e"),
    )


def test_nobody_may_be_exempt() -> None:
    assert parsed("--exempt", "none").exempt == parsed(*guard_arguments(Serve(exempt=()))).exempt == ()


@pytest.mark.debian
def test_a_server_that_root_started_answers_as_somebody_else() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    now = datetime.now(UTC)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        entries = Entries.of([listing("192.0.2.1", Code.INFECTED, now, 3600)])
        path = folder / "list.snapshot"
        expires = now + timedelta(days=1)
        write_snapshot(path, entries.moment().snapshot(zone="bl.example", serial=1, born=now, expires=expires))
        path.chmod(0o644)
        command = [str(WHIMBREL), "serve", "--snapshot", str(path), "--listen", "127.0.0.1:0", "--json"]
        with subprocess.Popen([*command, "--user", "nobody"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as server:
            assert server.stdout is not None
            port = json.loads(server.stdout.readline())["listening"][0]["port"]
            query = dns.message.make_query("1.2.0.192.bl.example.", "A")
            answered = dns.query.udp(query, "127.0.0.1", port=port, timeout=5)
            status = Path(f"/proc/{server.pid}/status").read_text()
            server.terminate()
            server.communicate(timeout=30)
    assert str(answered.answer[0][0]) == "127.0.0.4"
    uids = next(line.split()[1:] for line in status.splitlines() if line.startswith("Uid:"))
    assert len(set(uids)) == 1
    assert uids[0] != "0"
    assert "CapEff:\t0000000000000000" in status
