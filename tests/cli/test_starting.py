"""A command line does not load what it does not use."""

import json
import subprocess
import sys
from pathlib import Path

# Runs a command as the process's own, and tells which modules were there at its end.
_TELLS = """
import os, sys, json
from whimbrel.cli import main
sys.argv[1:] = {arguments!r}
os._exit = lambda code: print(json.dumps([code, "pandas" in sys.modules]))
main()
"""


def _run(*arguments: str) -> list[object]:
    code = _TELLS.format(arguments=list(arguments))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    told: list[object] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_observe_goes_without_pandas(tmp_path: Path) -> None:
    given = tmp_path / "given.jsonl"
    given.write_text('{"seen_at":"2026-01-01T00:00:00Z","sensor":"mx","host":"192.0.2.1","kind":"connection"}\n')
    assert _run("observe", str(given), "--data", str(tmp_path / "data")) == [0, False]


def test_links_has_pandas_where_ibis_wants_it(tmp_path: Path) -> None:
    given = tmp_path / "given.jsonl"
    given.write_text('{"seen_at":"2026-01-01T00:00:00Z","sensor":"mx","host":"192.0.2.1","kind":"connection"}\n')
    _run("observe", str(given), "--data", str(tmp_path / "data"))
    assert _run("links", "--data", str(tmp_path / "data"), "--json") == [0, True]
