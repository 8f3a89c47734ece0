"""A command line does not load what it does not use."""

import json
import os
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


_TELLS_ALLOCATOR = _TELLS.replace(
    '"pandas" in sys.modules', 'sys.modules["pyarrow"].default_memory_pool().backend_name'
)


# Threads are called as their process is, where their library gives them no name: Arrow's allocator does, OpenBLAS not.
_TELLS_THREADS = _TELLS.replace(
    '"pandas" in sys.modules',
    '[open(f"/proc/self/task/{{thread}}/comm").read() for thread in os.listdir("/proc/self/task")].count('
    'open("/proc/self/comm").read())',
)


def _run(*arguments: str, tells: str = _TELLS) -> list[object]:
    code = tells.format(arguments=list(arguments))
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ARROW_")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    told: list[object] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_what_readers_load_of_the_command_line_has_no_command() -> None:
    script = "import sys, whimbrel.cli\nassert not {'click', 'whimbrel.cli.commands'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_ingest_leaves_the_parsers_to_its_readers() -> None:
    script = "import sys, whimbrel.cli.ingest\nassert not [name for name in sys.modules if 'whimbrel.messages' in name]"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_observe_goes_without_pandas(tmp_path: Path) -> None:
    given = tmp_path / "given.jsonl"
    given.write_text('{"seen_at":"2026-01-01T00:00:00Z","sensor":"mx","host":"192.0.2.1","kind":"connection"}\n')
    assert _run("observe", str(given), "--data", str(tmp_path / "data")) == [0, False]


def test_links_has_pandas_where_ibis_wants_it(tmp_path: Path) -> None:
    given = tmp_path / "given.jsonl"
    given.write_text('{"seen_at":"2026-01-01T00:00:00Z","sensor":"mx","host":"192.0.2.1","kind":"connection"}\n')
    _run("observe", str(given), "--data", str(tmp_path / "data"))
    assert _run("links", "--data", str(tmp_path / "data"), "--json") == [0, True]


def test_numpy_starts_no_threads(tmp_path: Path) -> None:
    assert _run("status", "--data", str(tmp_path), tells=_TELLS_THREADS) == [1, 1]


def test_a_service_gives_back_the_memory_that_arrow_needed_for_a_moment(tmp_path: Path) -> None:
    settings = tmp_path / "whimbrel.toml"
    settings.write_text('[store]\ndata = "data"\n')
    assert _run("run", "--once", "--config", str(settings), tells=_TELLS_ALLOCATOR) == [0, "system"]
