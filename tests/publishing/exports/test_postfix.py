"""`postmap` looks clients up in the exported table and finds what the snapshot says."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.publishing.exports.conftest import ROOT, World, missing, snippet, text_of, written

# Unpacked and not installed, it has no user of its own.
BASE = "compatibility_level = 3.6\nmail_owner = daemon\nsetgid_group = mail\n"


class Postfix(NamedTuple):
    """Where Postfix's programs are, and the environment in which they find their libraries."""

    programs: Path
    environment: dict[str, str]


@pytest.fixture(scope="session")
def postfix() -> Postfix:
    """Postfix as installed, else as `tools/debian` unpacks it: it cannot be installed beside another mail server."""
    installed = shutil.which("postmap", path="/usr/sbin:/usr/bin")
    if installed is not None:
        return Postfix(Path(installed).parent, dict(os.environ))
    tree = ROOT / "build" / "debian" / "postfix"
    if not (tree / "complete").exists():
        missing("postmap is not installed (Debian package postfix), nor unpacked by tools/debian")
    return Postfix(tree / "usr" / "sbin", os.environ | {"LD_LIBRARY_PATH": str(tree / "usr" / "lib" / "postfix")})


@pytest.mark.debian
def test_postfix_finds_what_the_snapshot_says(postfix: Postfix, world: World, tmp_path: Path) -> None:
    table = written(world.content, "postfix", tmp_path / "whimbrel.cidr")
    configured = snippet("Postfix").replace("/etc/postfix/whimbrel.cidr", str(table))
    (tmp_path / "main.cf").write_text(f"{BASE}{configured}")
    read = subprocess.run(
        [postfix.programs / "postconf", "-c", tmp_path, "-h", "smtpd_client_restrictions"],
        capture_output=True,
        text=True,
        check=True,
        env=postfix.environment,
    )
    name = next(word for word in read.stdout.replace(",", " ").split() if word.startswith("cidr:"))
    asked = "".join(f"{address}\n" for address in world.questions)
    found = subprocess.run(
        [postfix.programs / "postmap", "-c", tmp_path, "-q", "-", name],
        input=asked,
        capture_output=True,
        text=True,
        check=False,
        env=postfix.environment,
    )
    assert not found.stderr
    results = dict(line.split("\t", 1) for line in found.stdout.splitlines())
    for address in world.questions:
        entry, result = world.find(address), results.get(str(address))
        if entry is None:
            assert result in (None, "DUNNO"), address  # DUNNO: it is excluded from what lies around it
        else:
            assert result is not None, address
            target = result.removeprefix("REJECT ").split()[0]
            assert result == f"REJECT {entry.reason(target)}"


def test_blocks_are_closed_and_hold_what_they_say(world: World) -> None:
    depth = 0
    for line in text_of(world.content, "postfix").splitlines():
        depth += line.startswith("if ")
        depth -= line == "endif"
        assert 0 <= depth <= 2
    assert depth == 0
