"""Disks that fail to sync, fill up, or give back something else than was written.

Each fault ends in one clear line and, once it is mended, in the store that an undisturbed run makes.
"""

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.faults.conftest import COUNT, Ingest, asked, one_line, spread
from tests.pipeline.conftest import Undisturbed

from whimbrel.cli import main
from whimbrel.evidence import Evidence

Same = Callable[[Path], None]
Debian = Callable[[str, str], str]

# The kernel's names for "make it durable"; SQLite calls fdatasync mostly, we fsync.
SYNCS = "fsync,fdatasync"

# On the list of the sample by 2002-09-01.
LISTED = "205.153.154.199"


def tracer(strace: str, log: Path, *inject: str) -> list[str]:
    return [strace, "-f", "-qq", "--seccomp-bpf", "-o", str(log), "-e", f"trace={SYNCS}", *inject]


@pytest.fixture(scope="session")
def syncs(undisturbed: Undisturbed, debian_program: Debian, tmp_path_factory: pytest.TempPathFactory) -> Counter[str]:
    """How often an undisturbed run asks the disk to make something durable, by call."""
    folder = tmp_path_factory.mktemp("syncs")
    log = folder / "calls"
    command = [*tracer(debian_program("strace", "strace"), log), *asked(folder / "store", undisturbed)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return Counter(re.findall(r"(fsync|fdatasync)\(", log.read_text()))


@pytest.mark.debian
@pytest.mark.parametrize("part", range(COUNT))
@pytest.mark.parametrize("call", ["fsync", "fdatasync"])
def test_a_sync_that_fails_is_said_and_the_rerun_ends_in_the_same_store(
    tmp_path: Path, ingest: Ingest, same: Same, syncs: Counter[str], debian_program: Debian, call: str, part: int
) -> None:
    """After a failed sync the kernel may have dropped what it could not write, so nothing may rest on a retry of it."""
    chosen = spread(COUNT, syncs[call])
    if part >= len(chosen):
        pytest.skip(f"a run calls {call} {syncs[call]} times only")
    fault = ("-e", f"inject={call}:error=EIO:when={chosen[part]}")
    store = tmp_path / "store"
    failed = ingest(store, *tracer(debian_program("strace", "strace"), tmp_path / "calls", *fault))
    assert "(INJECTED)" in (tmp_path / "calls").read_text()
    # SQLite may put off moving its log into the database, which is no loss: the log holds all of it.
    if failed.returncode or call == "fsync":
        one_line(failed)
        assert re.search(r"Input/output error|disk I/O error", failed.stderr)
        assert ingest(store).returncode == 0
    same(store)


@pytest.mark.debian
def test_a_disk_that_fills_is_said_and_with_more_room_the_rerun_goes_on(
    tmp_path: Path, ingest: Ingest, same: Same, debian_program: Debian
) -> None:
    """On a file system in memory, in a namespace of its own, that is given a little more room after each refusal."""
    if os.geteuid() != 0:
        pytest.skip("a file system of its own needs root")
    unshare = debian_program("unshare", "util-linux")
    script = tmp_path / "growing"
    # The store that the last run made is copied out, because the file system ends with the namespace.
    script.write_text("""
disk=$1 out=$2 room=$3; shift 3
cp -a "$disk" "$out.before"
mount -t tmpfs -o size=${room}k none "$disk" || exit 90
cp -a "$out.before/store" "$disk/store" || exit 93
while :; do
  "$@" 2>"$out.line"
  code=$?
  [ "$code" = 0 ] && break
  echo "$code $(cat "$out.line")"
  room=$((room + room / 3))
  [ "$room" -lt 200000 ] || exit 91
  mount -o remount,size=${room}k "$disk" || exit 92
done
cp -a "$disk/store" "$out"
""")
    disk, out = tmp_path / "disk", tmp_path / "out"
    grown = ingest(disk / "store", unshare, "--mount", "sh", str(script), str(disk), str(out), "300")
    assert grown.returncode == 0, grown
    refusals = [line for line in grown.stdout.splitlines() if line.startswith(("1 ", "2 ", "-"))]
    assert len(refusals) >= 3, grown.stdout
    for refusal in refusals:
        assert refusal.startswith("1 whimbrel: "), refusal
        assert re.search(r"No space left on device|disk is full", refusal)
    same(out)


Ask = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def ask(capfd: pytest.CaptureFixture[str]) -> Ask:
    """Ask a store by a command, in this process, because there are many questions."""

    def run(store: Path, *question: str) -> subprocess.CompletedProcess[str]:
        command = [*question, "--now", "2002-09-01", "--data", str(store), "--json"]
        with pytest.raises(SystemExit) as ended:
            main(command)
        code = ended.value.code
        return subprocess.CompletedProcess(command, code if isinstance(code, int) else 1, *capfd.readouterr())

    return run


@pytest.mark.parametrize("damage", ["cut short", "zeros at the end", "gone"])
@pytest.mark.parametrize("kind", ["observations", "facts", "host_days", "membership"])
def test_a_damaged_file_is_named_by_whoever_needs_it_and_misleads_nobody(
    tmp_path: Path, undisturbed: Undisturbed, same: Same, ask: Ask, kind: str, damage: str
) -> None:
    store = tmp_path / "store"
    shutil.copytree(undisturbed.data_dir, store)
    questions = [["hosts"], ["campaigns"], ["listings"], ["status"], ["why", LISTED]]
    before = [ask(store, *question) for question in questions]
    victim = largest(store, kind)
    whole = victim.read_bytes()
    if damage == "gone":
        victim.unlink()
    else:
        victim.write_bytes(whole[: len(whole) // 2] if damage == "cut short" else whole[:-16] + bytes(16))
    after = [ask(store, *question) for question in questions]
    assert any(ran.returncode for ran in after), "nobody needed the file"
    for told, ran in zip(before, after, strict=True):
        if ran.returncode:
            one_line(ran, victim.name)
        else:
            assert ran.stdout == told.stdout
    victim.write_bytes(whole)
    same(store)


def largest(store: Path, kind: str) -> Path:
    """Return the largest live file of evidence or of a derived table."""
    with Evidence.open(store) as opened:
        paths = [file.path for file in opened._manifest.files() if file.kind == kind]
        paths += opened._manifest.derived_paths(kind).get(kind, [])
    return max((store / "evidence" / path for path in paths), key=lambda path: path.stat().st_size)
