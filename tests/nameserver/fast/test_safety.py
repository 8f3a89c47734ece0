"""No packet makes the compiled answer read outside its arrays, in a build that looks and between pages that kill.

`WHIMBREL_FUZZ` sets the number of packets (100,000 here for each; `make fuzz` runs 5,000,000).
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKETS = int(os.environ.get("WHIMBREL_FUZZ", "100000"))
SCRIPT = Path(__file__).parent / "safety_script.py"
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("build", "check", "code", "said"),
    [("checked", "1", 1, "IndexError: index is out of bounds"), ("guarded", "0", -11, "")],
)
def test_nothing_outside_is_touched(build: str, check: str, code: int, said: str) -> None:
    """And a read outside would show, as the script's last: an error in the one build, in the other SIGSEGV."""
    command = [sys.executable, "-W", "error", str(SCRIPT), str(PACKETS), "7", build]
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_BOUNDSCHECK": check}
    told = subprocess.run(command, capture_output=True, text=True, env=settings, cwd=ROOT, check=False)
    assert "none outside" in told.stdout, told.stderr[-2000:]
    assert int(told.stdout.split()[2]) > PACKETS / 20
    assert told.returncode == code, told.stderr[-2000:]
    assert told.stderr.strip().endswith(said)
