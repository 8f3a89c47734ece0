"""A user's mistake gets one clear line: what, where, and what to do; and a code that is not 0."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.cli.conftest import NOW, Store
from tests.cli.running import lines_of, refused, run

from whimbrel.evidence.manifest import VERSION, Manifest

OBSERVATION = {"seen_at": "2026-01-31T12:00:00Z", "sensor": "mx1", "host": "24.1.2.3", "kind": "message"}


def test_paths_that_are_no_mail(tmp_path: Path) -> None:
    refused(run("ingest", tmp_path / "missing", data=tmp_path / "s"), "missing", "check the path")
    text = tmp_path / "text"
    text.write_text("just some words\n")
    refused(run("ingest", text, data=tmp_path / "s"), "neither mail nor an archive")
    assert not (tmp_path / "s").exists()


def test_a_file_that_fails_while_it_is_read(tmp_path: Path) -> None:
    """`/proc/self/mem` can be opened, and every read of it fails, for root too."""
    link = tmp_path / "mail"
    link.symlink_to("/proc/self/mem")
    refused(run("ingest", link, data=tmp_path / "s"), "cannot be read")


def test_archives_that_are_cut(tmp_path: Path, store: Store) -> None:
    for name in ("more.mbox.xz", "pack.zip", "pack.tar.gz"):
        whole = next(Path(path) for path in store.paths if path.endswith(name)).read_bytes()
        cut = tmp_path / name
        cut.write_bytes(whole[: len(whole) * 2 // 3])
        refused(run("ingest", cut, data=tmp_path / name.replace(".", "-")), name)


def test_words_that_are_no_options(tmp_path: Path, store: Store) -> None:
    mail = store.paths[0]
    refused(run("ingest", mail, "--label", "spamm", data=tmp_path), "spamm")
    refused(run("ingest", mail, "--trust", "not an address", data=tmp_path), "not an address", "192.0.2.0/24")
    refused(run("ingest", mail, "--now", "yesterday", data=tmp_path), "yesterday", "2002-07-27")
    refused(run("ingest", mail, "--sensor", "", data=tmp_path), "sensor")
    refused(run("ingest", mail, "--labels", tmp_path / "none", data=tmp_path), "none")
    (tmp_path / "index").write_text("spam a\nhamm b\n")
    refused(run("ingest", mail, "--labels", tmp_path / "index", data=tmp_path), "index:2", "hamm")
    refused(run("hosts", "--network", "192.0.2.300/24", data=store.data), "192.0.2.300/24")
    refused(run("why", "no such thing", data=store.data), "no such thing")
    refused(run("frob", data=tmp_path), "frob")
    refused(run("hosts", "--frob", data=tmp_path), "--frob", "whimbrel hosts --help")


def test_a_store_decides_by_one_profile(store: Store) -> None:
    refused(run("ingest", store.paths[0], "--profile", "shared", data=store.data), "own", "shared", "--data")


def test_no_store_yet(tmp_path: Path) -> None:
    for command in (["hosts"], ["campaigns"], ["listings"], ["status"], ["why", "192.0.2.1"], ["publish"]):
        ran = run(*command, data=tmp_path)
        if command != ["listings"]:
            refused(ran, "ingest")
    refused(run("serve", data=tmp_path), "whimbrel publish")


def test_a_store_of_another_version(tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    folder.mkdir()
    manifest = Manifest(folder, write=True)
    manifest.db.execute("UPDATE store SET value = '0.0'")
    manifest.close()
    refused(run("status", data=tmp_path), "0.0", VERSION)


def test_two_writers(tmp_path: Path) -> None:
    with subprocess.Popen(
        [Path(sys.executable).with_name("whimbrel"), "observe", "-", "--data", tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as first:
        due = time.monotonic() + 30
        while not (tmp_path / "evidence" / "write.lock").exists():
            assert time.monotonic() < due
            time.sleep(0.01)
        refused(run("observe", "-", data=tmp_path, stdin=lines_of([OBSERVATION])), "another process", str(first.pid))
        first.communicate(b"", timeout=60)
    assert run("observe", "-", data=tmp_path, stdin=lines_of([OBSERVATION])).code == 0


def test_observations_with_errors(tmp_path: Path) -> None:
    bad = {**OBSERVATION, "hots": 1}
    refused(run("observe", "-", data=tmp_path, stdin=lines_of([OBSERVATION, bad])), "line 2", "hots", "--max-errors")
    assert run("status", "--json", data=tmp_path).rows()[0]["evidence"]["observations"]["rows"] == 0
    ran = run("observe", "-", "--max-errors", "1", "--json", data=tmp_path, stdin=lines_of([OBSERVATION, bad]))
    assert ran.code == 0
    assert "line 2" in ran.err
    assert [ran.rows()[0][name] for name in ("new", "known", "errors")] == [1, 0, 1]
    again = run("observe", "-", "--json", data=tmp_path, stdin=lines_of([OBSERVATION])).rows()[0]
    assert (again["new"], again["known"]) == (0, 1)


def test_snapshots_that_are_no_good_and_ports_in_use(tmp_path: Path, store: Store) -> None:
    good = tmp_path / "list.snapshot"
    assert run("publish", "--out", good, "--now", NOW, data=store.data).code == 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        refused(run("serve", "--snapshot", good, "--listen", place, "--now", NOW, data=store.data), "in use")
    refused(run("serve", "--snapshot", good, "--listen", "localhost:1", data=store.data), "localhost:1")
    refused(run("serve", "--snapshot", good, "--listen", "127.0.0.1:0", data=store.data), "expired")
    damaged = bytearray(good.read_bytes())
    damaged[-5] ^= 1
    good.write_bytes(damaged)
    refused(run("serve", "--snapshot", good, "--listen", "127.0.0.1:0", data=store.data), "damaged")
    refused(run("publish", "--out", tmp_path / "none" / "list", "--now", NOW, data=store.data), "cannot be written")
    refused(run("publish", "--zone", "a..b", "--now", NOW, data=store.data), "a..b")


def test_a_demo_is_served_on_loopback_only(tmp_path: Path, store: Store) -> None:
    ran = run("ingest", store.paths[-1], "--label", "spam", "--demo", "--now", NOW, data=tmp_path)
    assert ran.code == 0
    assert run("publish", "--now", NOW, data=tmp_path).code == 0
    refused(run("serve", "--listen", "0.0.0.0:0", "--now", NOW, data=tmp_path), "demo", "127.0.0.1")


@pytest.mark.debian
def test_a_full_disk_and_the_rerun(tmp_path: Path, store: Store) -> None:
    """A small file system of its own: reading stops with one line, and goes on where it stopped once there is room."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = os.geteuid() == 0 and shutil.which("mount") is not None
    if mounted:
        options = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)]
        mounted = subprocess.run(options, check=False, capture_output=True).returncode == 0
    if not mounted:
        if os.environ.get("WHIMBREL_REQUIRE_DEBIAN") == "1":
            pytest.fail("mounting a small tmpfs needs root")
        pytest.skip("mounting a small tmpfs needs root")
    try:
        command = ["ingest", *store.paths, "--labels", store.labels, "--profile", "own", "--now", NOW, "--json"]
        refused(run(*command, data=place), "No space left", "run again")
        subprocess.run(["mount", "-o", "remount,size=64m", str(place)], check=True)
        ran = run(*command, data=place)
        assert ran.code == 0, ran.err
        hosts = run("hosts", "--limit", "0", "--json", "--now", NOW, data=place)
        assert hosts.out == run("hosts", "--limit", "0", "--json", "--now", NOW, data=store.data).out
    finally:
        subprocess.run(["umount", str(place)], check=True)
