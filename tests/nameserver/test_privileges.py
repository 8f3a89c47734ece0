"""Becoming somebody else, in a process of its own."""

import os
import subprocess
import sys

import pytest

from whimbrel.errors import ConfigError
from whimbrel.nameserver.privileges import become

PROGRAM = """
import os, sys
from whimbrel.nameserver.privileges import become
become("nobody")
try:
    os.setuid(0)
except PermissionError:
    print(*os.getresuid(), *os.getresgid(), os.getgroups() == [os.getgid()])
"""


def test_a_user_that_is_not_there_is_one_line() -> None:
    with pytest.raises(ConfigError, match=r"there is no user 'whimbrel-nobody-such'.*useradd"):
        become("whimbrel-nobody-such")


@pytest.mark.debian
def test_root_becomes_a_user_for_good() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    *ids, has_own_group_alone = done.stdout.split()
    assert has_own_group_alone == "True"
    assert len(set(ids[:3])) == len(set(ids[3:])) == 1
    assert "0" not in ids


@pytest.mark.debian
def test_nobody_becomes_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    program = PROGRAM.replace('"nobody")', '"nobody"); become("root")')
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "only root can become 'root'" in done.stderr
