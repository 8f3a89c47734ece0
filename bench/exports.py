"""Size, processor time, memory and load time of every export, against the number of entries.

    python bench/exports.py [--entries N ...]

A list of made-up hosts and networks (95 % IPv4 hosts, 2 % /24s that lie around some of them, 3 % IPv6 /64s) is cut into
a snapshot.  Each format is then written by a process of its own: its processor time without start-up, and the peak of
its memory above what the interpreter and the libraries take.  Exponents are the slope of log time and log memory over
log entries from the first count to the last: 1 is linear.

Load is the time until the real reader has all of it, where that is installed: rbldnsd and Unbound until they answer
(loopback, with no way out), nft and ipset in a network namespace of their own, Postfix until `postmap` has looked an
address up.
"""

# ruff: noqa: E402 - the project's folder is put on the path before `tests` is imported
import argparse
import math
import multiprocessing
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from tests.listed import listing

from whimbrel.model.listing import Code
from whimbrel.pipeline.export import export, read
from whimbrel.publishing import Entries
from whimbrel.publishing.exports import FORMATS

COUNTS = (10_000, 100_000, 1_000_000)
SNAPSHOT = "list.snapshot"
START_SECONDS = 300.0  # longest a reader may take to have a list
MOST_STIX_OBJECTS = 100_000  # a bundle of a million is 600 MB, and no consumer takes it
_UNBOUND = """
server:
  interface: 127.0.0.1@{port}
  outgoing-interface: 127.0.0.1
  local-zone: "." refuse
  do-daemonize: no
  use-syslog: no
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: ""
  module-config: "respip validator iterator"
remote-control:
  control-enable: no
rpz:
  name: "whimbrel.rpz"
  zonefile: "{file}"
"""


class Written(NamedTuple):
    """What writing one export took; `peak` is memory in bytes above the level before."""

    seconds: float
    bytes: int
    peak: int


def made_list(entries: int, path: Path) -> None:
    """Write a snapshot of about `entries` entries."""
    chance = random.Random(entries)
    now = datetime.now(UTC)
    targets = {str(IPv4Address(chance.randrange(0x01000000, 0x7F000000))) for _ in range(entries * 95 // 100)}
    around = chance.sample(sorted(targets), entries * 2 // 100)
    targets |= {str(IPv4Network(f"{each}/24", strict=False)) for each in around}
    prefix = 0x2001_0DB8 << 32
    targets |= {
        str(IPv6Network((IPv6Address(prefix + chance.randrange(1 << 32) << 64), 64))) for _ in range(entries * 3 // 100)
    }
    codes = (Code.SPAM_SOURCE, Code.INFECTED, Code.POLICY)
    listings = [
        listing(target, chance.choice(codes), now, 60 * chance.randrange(120, 10_000)) for target in sorted(targets)
    ]
    data = (
        Entries.of(listings).moment().snapshot(zone="bl.example", serial=1, born=now, expires=now + timedelta(days=2))
    )
    path.write_bytes(data)


def written(folder: Path, name: str) -> Written:
    """Write one export in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_write, args=(folder, name, theirs))
    process.start()
    told = Written(*ours.recv())
    process.join()
    return told


def _write(folder: Path, name: str, pipe: "multiprocessing.connection.Connection") -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak counts from here (proc(5))
    before = _peak_bytes()
    start = time.process_time()
    content = read(folder, datetime.now(UTC), snapshot=folder / SNAPSHOT, codes=(), force=False)
    done = export(content, name, folder / name)
    seconds = time.process_time() - start
    pipe.send((seconds, done.bytes, _peak_bytes() - before))


def _peak_bytes() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def load_seconds(name: str, file: Path) -> float | None:
    """Return how long the real reader takes to have an export, or None where there is none here to ask."""
    if name in {"ip4set", "ip4trie", "ip6trie", "dnset"}:
        return _until_answering("rbldnsd", lambda port: ["-n", "-b", f"127.0.0.1/{port}", f"bl.example:{name}:{file}"])
    if name == "rpz":
        return _until_answering("unbound", lambda port: ["-d", "-c", str(_configured(file, port))])
    if name in {"nftables", "ipset"}:
        if os.geteuid() != 0 or not shutil.which("unshare"):
            return None
        script = f"nft -f {file}" if name == "nftables" else f"ipset restore < {file}"
        return _timed(["unshare", "-n", "sh", "-ec", script])
    if name == "postfix":
        tree = HERE.parent / "build" / "debian" / "postfix" / "usr"  # as tools/debian unpacks it
        postmap = tree / "sbin" / "postmap"
        libraries = {**os.environ, "LD_LIBRARY_PATH": str(tree / "lib" / "postfix")}
        file.with_name("main.cf").write_text(
            "compatibility_level = 3.6\nmail_owner = daemon\nsetgid_group = mail\n", encoding="ascii"
        )
        asking = [str(postmap), "-c", str(file.parent), "-q", "192.0.2.1", f"cidr:{file}"]
        return _timed(asking, libraries) if postmap.exists() else None
    return None


def _timed(command: Sequence[str], environment: dict[str, str] | None = None) -> float | None:
    start = time.monotonic()
    done = subprocess.run(command, capture_output=True, check=False, timeout=START_SECONDS, env=environment)
    # postmap ends with 1 where it found nothing, which is an answer.
    return time.monotonic() - start if done.returncode in {0, 1} and not done.stderr else None


def _configured(file: Path, port: int) -> Path:
    path = file.with_name("unbound.conf")
    path.write_text(_UNBOUND.format(port=port, folder=file.parent, file=file), encoding="utf-8")
    return path


def _until_answering(program: str, arguments: Callable[[int], Sequence[str]]) -> float | None:
    """Return the seconds until a name server on loopback answers anything at all: it loads before it does."""
    found = shutil.which(program, path="/usr/sbin:/usr/bin")
    if found is None:
        return None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    question = b"\x12\x34\x01\x00\0\1\0\0\0\0\0\0\x012\x010\x010\x03127\x02bl\x07example\0\0\x01\0\x01"
    start = time.monotonic()
    process = subprocess.Popen([found, *arguments(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ask:
            ask.settimeout(0.05)
            while time.monotonic() - start < START_SECONDS and process.poll() is None:
                ask.connect(("127.0.0.1", port))
                try:
                    ask.send(question)
                    ask.recv(512)
                except OSError:
                    time.sleep(0.005)
                    continue
                return time.monotonic() - start
        return None
    finally:
        process.terminate()
        process.wait(10)


def exponent(first: float, last: float, counts: Sequence[int]) -> float:
    """Return the slope of log cost over log size between the smallest and the largest list."""
    return math.log(last / first) / math.log(counts[-1] / counts[0])


def main() -> int:
    """Print a table a count, and the exponents of growth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, nargs="+", default=list(COUNTS))
    counts = sorted(parser.parse_args().entries)
    found: dict[str, list[Written]] = {}
    for count in counts:
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            folder.chmod(0o755)  # rbldnsd does not stay root
            made_list(count, folder / SNAPSHOT)
            size = (folder / SNAPSHOT).stat().st_size
            print(f"\n{count:,} entries; the snapshot has {size / 1e6:.1f} MB\n")
            print("format     CPU s      MB  peak MiB  load s")
            for name in FORMATS:
                if name == "stix" and count > MOST_STIX_OBJECTS:
                    continue
                told = written(folder, name)
                found.setdefault(name, []).append(told)
                load = load_seconds(name, folder / name)
                loaded = "-" if load is None else f"{load:.2f}"
                print(
                    f"{name:9} {told.seconds:6.2f} {told.bytes / 1e6:7.1f} {told.peak / 2**20:9.0f} {loaded:>7}",
                    flush=True,
                )
    if len(counts) > 1:
        print("\nexponents of growth (1: linear; memory holds the list's columns)\n\nformat      time  memory")
        for name, told_of in found.items():
            if len(told_of) > 1:
                of = counts[: len(told_of)]
                time_, memory = (
                    exponent(getattr(told_of[0], part), getattr(told_of[-1], part), of) for part in ("seconds", "peak")
                )
                print(f"{name:9} {time_:6.2f} {memory:7.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
