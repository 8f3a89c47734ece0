"""No packet makes the compiled answer read outside its arrays, in a build that looks and between pages that kill.

`WHIMBREL_FUZZ` sets the number of packets (10,000 here for each; `make fuzz` runs 1,000,000).
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKETS = int(os.environ.get("WHIMBREL_FUZZ", "10000"))
SCRIPT = Path(__file__).parent / "safety_script.py"
ROOT = Path(__file__).parents[3]


def run(build: str, packets: int, seed: int, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(SCRIPT), str(packets), str(seed), build]
    settings = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, capture_output=True, text=True, env=settings, cwd=ROOT, check=False)


@pytest.mark.parametrize(("build", "check"), [("checked", "1"), ("guarded", "0")])
def test_nothing_outside_is_touched(build: str, check: str) -> None:
    told = run(build, PACKETS, 7, NUMBA_BOUNDSCHECK=check)
    assert told.returncode == 0, told.stderr[-2000:]
    assert "none outside" in told.stdout
    assert int(told.stdout.split()[2]) > PACKETS / 20


PROBE = """
import sys
from tests.nameserver.fast import safety_script as script
import numpy as np
from whimbrel.nameserver.fast.insides import compiled, unsigned
array = script.at_the_edge(np.zeros(100, np.uint8)) if sys.argv[1] == "guarded" else np.zeros(100, np.uint8)
compiled(lambda numbers, at: numbers[at], checked=sys.argv[1] == "checked")(array, np.uint64(100))
"""


@pytest.mark.parametrize(("build", "check", "code"), [("checked", "1", 1), ("guarded", "0", -11)])
def test_a_read_outside_would_show(build: str, check: str, code: int) -> None:
    """One element behind the end: an error in the one build, the end of the process (SIGSEGV) in the other."""
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_BOUNDSCHECK": check, "XDG_CACHE_HOME": "/proc"}
    command = [sys.executable, "-c", PROBE, build]
    told = subprocess.run(command, capture_output=True, text=True, env=settings, cwd=ROOT, check=False)
    assert told.returncode == code, told.stderr[-2000:]
