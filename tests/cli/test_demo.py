"""The demo does the main job on the shipped mail, as README promises."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_demo_once() -> None:
    done = subprocess.run(
        [sys.executable, "samples/demo.py", "--once"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=90
    )
    assert done.returncode == 0, done.stderr
    for word in (
        "2002-07-27",
        "profile `own`",
        "demo",
        "A    127.0.0.",
        "TXT  demo",
        "NXDOMAIN",
        "is listed",
        "is not listed",
        "SIMULATED",
        "family-01  linked",
        "L2 (hosts infected by the family send the campaign): linked",
        "picture: ",
    ):
        assert word in done.stdout
    listed = re.search(r"Listings at .*\((?:\d+ of )?(\d+)\)", done.stdout)
    assert listed is not None
    assert int(listed[1]) >= 5


def test_words_it_does_not_know() -> None:
    done = subprocess.run(["./demo", "--bogus"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip() == "usage: ./demo [--once]"
