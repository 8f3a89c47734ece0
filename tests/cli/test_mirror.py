"""`whimbrel mirror`, run as a user does: fetched over HTTP or from a folder, answered over DNS, swapped, ended."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dns.rcode
import pytest
from tests.cli.running import WHIMBREL, refused, run
from tests.cli.test_serving import asked, name_of
from tests.listed import listing
from tests.websites import publishing, site

from whimbrel.model.listing import Code
from whimbrel.publishing import Entries, write_snapshot
from whimbrel.publishing.signing import new_key, public_key, signed
from whimbrel.wire.snapshot import Snapshot

NOW = datetime(2002, 7, 27, 12, tzinfo=UTC)
OLD, NEW = new_key(), new_key()


def made(serial: int, host: str, *keys: object, demo: bool = False) -> bytes:
    entries = [listing(host, Code.INFECTED, NOW, 3_600)]
    expires = NOW + timedelta(hours=2)
    data = Entries.of(entries).moment().snapshot(zone="bl.example", serial=serial, born=NOW, expires=expires, demo=demo)
    return signed(data, keys or [OLD])  # type: ignore[arg-type]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    path = folder / "list.snapshot"
    write_snapshot(path, made(7, "192.0.2.1"))
    return path


@contextmanager
def mirroring(source: str | Path, data: Path, *options: str | Path) -> Iterator[int]:
    """Run `whimbrel mirror` and give its port; told to stop, it ends with 0."""
    command: list[str | Path] = [WHIMBREL, "mirror", source, "--data", data, "--every", "0.05", "--json", *options]
    command += ["--key", public_key(OLD).line(), "--listen", "127.0.0.1:0", "--now", NOW.isoformat()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as mirror:
        assert mirror.stdout is not None
        line = mirror.stdout.readline()
        try:
            yield json.loads(line)["listening"][0]["port"]
        finally:
            mirror.send_signal(signal.SIGTERM)
            _, said = mirror.communicate(timeout=30)
        assert mirror.returncode == 0, said


def rcode(port: int, host: str) -> int:
    return asked(port, name_of(host)).rcode()


def until(port: int, host: str, code: int) -> None:
    due = time.monotonic() + 20
    while rcode(port, host) != code:
        assert time.monotonic() < due
        time.sleep(0.02)


def test_over_http_a_new_list_is_swapped_in_and_no_query_lost(tmp_path: Path, source: Path) -> None:
    """Queries run while the list changes: each has the old answer or the new one, and once the new one, for good."""
    answers: list[int] = []
    stop = threading.Event()

    def ask_on(port: int) -> None:
        while not stop.is_set() and len(answers) < 20_000:
            answers.append(rcode(port, "192.0.2.1"))

    with site(publishing(source)) as (url, _), mirroring(url, tmp_path / "data") as port:
        assert rcode(port, "192.0.2.1") == dns.rcode.NOERROR
        asking = threading.Thread(target=ask_on, args=(port,))
        asking.start()
        time.sleep(0.2)
        write_snapshot(source, made(8, "192.0.2.2"))
        due = time.monotonic() + 20
        while dns.rcode.NXDOMAIN not in answers[-1:] and time.monotonic() < due:
            time.sleep(0.02)
        stop.set()
        asking.join(timeout=10)
        assert rcode(port, "192.0.2.2") == dns.rcode.NOERROR
    assert not asking.is_alive()
    changed = answers.index(dns.rcode.NXDOMAIN)
    assert changed > 0
    assert set(answers[:changed]) == {dns.rcode.NOERROR}
    assert set(answers[changed:]) == {dns.rcode.NXDOMAIN}
    assert (tmp_path / "data" / "list.snapshot").read_bytes() == source.read_bytes()


def test_a_mirror_that_knows_the_old_key_goes_on_through_the_overlap(tmp_path: Path, source: Path) -> None:
    with (
        mirroring(source.parent, tmp_path / "old") as old,
        mirroring(source.parent, tmp_path / "both", "--key", public_key(NEW).line()) as both,
    ):
        write_snapshot(source, made(8, "192.0.2.8", OLD, NEW))
        for port in (old, both):
            until(port, "192.0.2.8", dns.rcode.NOERROR)
        write_snapshot(source, made(9, "192.0.2.9", NEW))
        until(both, "192.0.2.9", dns.rcode.NOERROR)
        assert rcode(old, "192.0.2.8") == dns.rcode.NOERROR  # it keeps what it has


def test_it_begins_with_what_it_kept_where_the_source_is_away(tmp_path: Path, source: Path) -> None:
    with mirroring(source, tmp_path / "data"):
        pass
    source.unlink()
    with mirroring(source, tmp_path / "data") as port:
        assert rcode(port, "192.0.2.1") == dns.rcode.NOERROR
        write_snapshot(source, made(8, "192.0.2.2"))
        until(port, "192.0.2.2", dns.rcode.NOERROR)


def test_to_begin_with_a_good_list_is_needed(tmp_path: Path, source: Path) -> None:
    trusting = ("--now", NOW.isoformat(), "--key")
    key, other = public_key(OLD).line(), public_key(NEW).line()
    refused(run("mirror", source, *trusting, other, data=tmp_path / "data"), "not signed by")
    refused(run("mirror", source, "--key", key, data=tmp_path / "data"), "expired")
    refused(run("mirror", tmp_path / "none", *trusting, key, data=tmp_path / "data"), "No such file")
    refused(run("mirror", "ftp://x/", *trusting, key, data=tmp_path / "data"), "is no source")
    refused(run("mirror", source, *trusting, key[:-2], data=tmp_path / "data"), "is no public key")
    refused(run("mirror", source, *trusting, tmp_path / "none", data=tmp_path / "data"), "no public key")
    (tmp_path / "signing.key").write_text(f"# secret\n{OLD.id} {OLD.secret.hex()}\n")
    confused = run("mirror", source, *trusting, tmp_path / "signing.key", data=tmp_path / "data")
    refused(confused, "signing.key: this is no public key")
    assert OLD.secret.hex()[:8] not in confused.err
    refused(run("mirror", source, data=tmp_path / "data"), "--key")
    write_snapshot(source, made(9, "192.0.2.1", demo=True))
    refused(run("mirror", source, *trusting, key, "--listen", "192.0.2.53:53", data=tmp_path / "data"), "demo")
    assert not (tmp_path / "data" / "list.snapshot").exists()


def test_it_keeps_the_list_for_others_to_serve(tmp_path: Path, source: Path) -> None:
    """With --no-serve, and the list where another program wants it."""
    kept = tmp_path / "elsewhere" / "list"
    command: list[str | Path] = [
        WHIMBREL,
        "mirror",
        source,
        "--no-serve",
        "--every",
        "0.05",
        "--snapshot",
        kept,
        "--now",
        NOW.isoformat(),
    ]
    with subprocess.Popen([*command, "--key", public_key(OLD).line()], stderr=subprocess.PIPE) as mirror:
        for serial in (7, 8):
            write_snapshot(source, made(serial, "192.0.2.1"))
            due = time.monotonic() + 20
            while not kept.exists() or Snapshot(kept.read_bytes()).serial != serial:
                assert time.monotonic() < due
                time.sleep(0.02)
        mirror.send_signal(signal.SIGINT)
        mirror.communicate(timeout=30)
    assert mirror.returncode == 0


def test_it_ends_at_once_when_told_though_the_source_hangs(tmp_path: Path, source: Path) -> None:
    """A slow transfer is left, not waited for."""
    hang, hangs, enough = threading.Event(), threading.Event(), threading.Event()
    calm = publishing(source)

    def respond(handler: object) -> None:
        if hang.is_set():
            hangs.set()
            enough.wait(20)
        else:
            calm(handler)  # type: ignore[arg-type]

    with site(respond) as (url, _):
        with mirroring(url, tmp_path / "data") as port:
            hang.set()
            assert hangs.wait(20)
            assert rcode(port, "192.0.2.1") == dns.rcode.NOERROR
            began = time.monotonic()
        assert time.monotonic() - began < 3
        enough.set()


def test_a_mirror_loads_no_evidence_and_no_database(tmp_path: Path, source: Path) -> None:
    program = f"""
import os, signal, sys, threading, time
from whimbrel.cli import main
def end():
    while signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:  # till it can be told to end
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)
sys.argv[1:] = ["mirror", {str(source)!r}, "--now", {NOW.isoformat()!r}, "--data", {str(tmp_path / "data")!r},
    "--key", {public_key(OLD).line()!r}, "--listen", "127.0.0.1:0"]
os._exit = lambda code: print(code, sorted({{"duckdb", "pyarrow", "sqlalchemy", "sqlite3"}} & set(sys.modules)))
threading.Thread(target=end, daemon=True).start()
main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"


def test_serve_with_a_key_refuses_what_nobody_signed(tmp_path: Path, source: Path) -> None:
    data = tmp_path / "data"
    given = ("--snapshot", source, "--now", NOW.isoformat(), "--trust-key")
    refused(run("serve", *given, public_key(NEW).line(), data=data), "not signed by")
    keys = tmp_path / "keys.pub"
    keys.write_text("# nothing\n")
    refused(run("serve", *given, keys, data=data), "whimbrel key export")
    keys.write_text(f"# both\n{public_key(NEW).line()}\n{public_key(OLD).line()}\n")
    command: list[str | Path] = [WHIMBREL, "serve", "--listen", "127.0.0.1:0", "--json", *given, keys]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        port = json.loads(server.stdout.readline())["listening"][0]["port"]
        assert rcode(port, "192.0.2.1") == dns.rcode.NOERROR
        server.send_signal(signal.SIGTERM)
    assert server.returncode == 0
