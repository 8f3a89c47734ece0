"""`whimbrel check`, as a user types it."""

import shutil
from pathlib import Path

from tests.cli.conftest import NOW, Store
from tests.cli.running import refused, run


def test_sound_is_0_and_not_sound_is_1(tmp_path: Path, store: Store) -> None:
    data = tmp_path / "store"
    shutil.copytree(store.data, data)
    ran = run("check", "--now", NOW, data=data)
    assert (ran.code, ran.out) == (0, f"{data} is sound\n")
    torn = min((data / "evidence" / "observations").iterdir())
    torn.write_bytes(torn.read_bytes()[:-1])
    ran = run("check", "--now", NOW, data=data)
    assert ran.code == 1
    assert ran.out.startswith(f"wrong: evidence/observations/{torn.name}: is torn")
    assert ran.out.endswith(f"{data} is not sound\n")
    ran = run("check", "--now", NOW, "--json", data=data)
    assert ran.code == 1
    (told,) = ran.rows()
    assert not told["sound"]
    assert [sorted(each) for each in told["findings"]] == [["grade", "mend", "place", "problem"]]


def test_no_store_is_one_line(tmp_path: Path) -> None:
    refused(run("check", data=tmp_path), "no evidence")
