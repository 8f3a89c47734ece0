"""`whimbrel key`, as a user types it."""

import subprocess
import sys
from pathlib import Path

from tests.cli.conftest import NOW, Store
from tests.cli.running import refused, run

from whimbrel.wire.snapshot import PublicKey, Snapshot


def test_from_a_new_key_to_a_signed_list(tmp_path: Path, store: Store) -> None:
    """Published without a key in the store, with one named, and signed afterwards: what readers trust."""
    out = tmp_path / "list"
    key = ("--file", tmp_path / "my.key")
    (made,) = run("key", "new", "signing", *key, "--json", data=tmp_path).rows()
    exported = run("key", "export", *key, data=tmp_path).out
    assert exported == made["public"] + "\n"
    trusted = [PublicKey.parse(exported)]
    (plain,) = run("publish", "--out", out, "--now", NOW, "--json", data=store.data).rows()
    assert plain["signed_by"] == []
    assert Snapshot(out.read_bytes()).signatures() == {}
    (told,) = run("key", "sign", out, *key, "--json", data=tmp_path).rows()
    assert told["signed_by"] == [made["id"]]
    assert Snapshot(out.read_bytes(), trusted).serial == plain["serial"]
    ran = run("publish", "--out", out, "--now", NOW, "--signing-key", key[1], data=store.data)
    assert f"signed by {made['id']}" in ran.out
    assert Snapshot(out.read_bytes(), trusted).serial > plain["serial"]


def test_a_store_with_a_key_signs_by_itself(tmp_path: Path) -> None:
    row = b'{"seen_at":"2026-01-01T00:00:00Z","sensor":"mx","host":"192.0.2.1","kind":"connection"}\n'
    assert run("observe", "-", data=tmp_path, stdin=row).code == 0
    (old,) = run("key", "new", "signing", "--json", data=tmp_path).rows()
    (new,) = run("key", "rotate", "signing", "--json", data=tmp_path).rows()
    (told,) = run("publish", "--json", data=tmp_path).rows()
    assert told["signed_by"] == [old["id"], new["id"]]
    assert run("key", "retire", old["id"], data=tmp_path).code == 0
    (told,) = run("publish", "--json", data=tmp_path).rows()
    assert told["signed_by"] == [new["id"]]
    (status,) = run("status", "--json", data=tmp_path).rows()
    assert status["snapshot"]["signatures"] == [new["id"]]
    assert f"signed by {new['id']}" in run("status", data=tmp_path).out
    (tmp_path / "signing.key").chmod(0o644)
    refused(run("publish", data=tmp_path), "can be read by others")


def test_no_output_has_a_secret(tmp_path: Path) -> None:
    said = [run("key", "new", kind, data=tmp_path) for kind in ("signing", "recipients")]
    said += [run("key", "rotate", kind, data=tmp_path) for kind in ("signing", "recipients")]
    said += [run("key", "list", *json, data=tmp_path, columns=1_000) for json in ((), ("--json",))]
    said += [run("key", "export", data=tmp_path)]
    secrets = [
        line.split()[1]
        for file in (tmp_path / "signing.key", tmp_path / "evidence" / "recipients.key")
        for line in file.read_text().splitlines()[1:]
    ]
    assert len(secrets) == 4
    for ran in said:
        assert ran.code == 0, ran.err
        assert not any(secret in ran.out + ran.err for secret in secrets)


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    refused(run("key", "export", data=tmp_path), "whimbrel key list")
    refused(run("key", "new", "other", data=tmp_path), "signing")
    refused(run("key", "sign", tmp_path / "none", data=tmp_path), "whimbrel key new signing")
    run("key", "new", "signing", data=tmp_path)
    refused(run("key", "sign", tmp_path / "signing.key", data=tmp_path), "snapshot refused")
    refused(run("key", "export", "0123", data=tmp_path), "no such signing key")


def test_who_signs_off_line_loads_no_engine(tmp_path: Path) -> None:
    program = f"""
import os, sys
from whimbrel.cli import main
sys.argv[1:] = ["key", "new", "signing", "--data", {str(tmp_path)!r}]
os._exit = lambda code: print(sorted({{"duckdb", "pyarrow", "sqlalchemy"}} & set(sys.modules)))
main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
