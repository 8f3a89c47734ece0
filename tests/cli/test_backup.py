"""`whimbrel backup` and `whimbrel restore`, as a user types them."""

from pathlib import Path

from tests.cli.conftest import NOW, Store
from tests.cli.running import refused, run

from whimbrel.evidence import Evidence


def test_there_and_back(tmp_path: Path, store: Store) -> None:
    goal, new = tmp_path / "backups", tmp_path / "new"
    ran = run("backup", goal, data=store.data)
    assert ran.code == 0, ran.err
    assert "secret keys are in it (evidence/recipients.key)" in ran.out
    (told,) = run("backup", goal, "--keep", "1", "--json", data=store.data).rows()
    assert (told["copied"], told["removed"]) == (0, 1)
    assert run("check", "--now", NOW, data=Path(told["path"])).code == 0
    (restored,) = run("restore", goal, "--json", data=new).rows()
    assert (restored["source"], restored["replaced"], restored["at"]) == (told["path"], None, told["at"])
    listings = [
        run("listings", "--json", "--limit", "0", "--now", "2002-09-01", data=data).out for data in (store.data, new)
    ]
    assert listings[0] == listings[1] != ""
    refused(run("restore", goal, data=new), "--force")
    ran = run("restore", goal, "--force", data=new)
    assert "what was there before is in" in ran.out


def test_without_keys_it_says_so(tmp_path: Path, store: Store) -> None:
    goal = tmp_path / "backups"
    ran = run("backup", goal, "--without-keys", data=store.data)
    assert "no key is in it" in ran.out
    assert not list(goal.rglob("*.key"))
    ran = run("restore", goal, data=tmp_path / "new")
    assert "put recipients.key and signing.key back" in ran.out
    ran = run("check", "--now", NOW, data=tmp_path / "new")
    assert ran.code == 0
    assert "note: evidence/recipients.key: has no key" in ran.out


def test_before_anything_is_decided_it_says_that_no_ledger_is_in_it(tmp_path: Path) -> None:
    Evidence.open(tmp_path / "store", write=True).close()
    assert "no ledger is in it" in run("backup", tmp_path / "backups", data=tmp_path / "store").out
    ran = run("restore", tmp_path / "backups", data=tmp_path / "new")
    assert "no ledger was in it" in ran.out
    assert "no key was in it" in ran.out


def test_mistakes_are_one_line(tmp_path: Path, store: Store) -> None:
    refused(run("backup", tmp_path / "backups", data=tmp_path / "none"), "no evidence")
    refused(run("restore", tmp_path, data=tmp_path / "new"), "is no backup")
    refused(run("backup", store.data / "evidence" / "x", data=store.data), "lies in the store itself")
