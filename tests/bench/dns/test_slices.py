"""Control groups as a server's share of a core: both versions' files, and the real thing where there is one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from bench.dns.slices import SliceError, slices

_SPIN = "import time\nend = time.monotonic() + 0.5\nwhile time.monotonic() < end: pass\nprint(time.process_time())"


def folder_of(mounted: Path) -> Path:
    """Make the only new folder's files as the kernel would, for it has them from the first moment."""
    return next(each for each in mounted.iterdir() if each.name.startswith("whimbrel-"))


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new group's folder can be removed although files lie in it."""

    def removed(folder: Path) -> None:
        for each in folder.iterdir():
            each.unlink()
        os.rmdir(folder)  # noqa: PTH106 - what it stands for

    monkeypatch.setattr(Path, "rmdir", removed)


@pytest.mark.usefixtures("kernel")
def test_version_1(tmp_path: Path) -> None:
    (tmp_path / "cpu,cpuacct").mkdir()
    with slices("some", tmp_path) as group:
        assert group.folder == folder_of(tmp_path / "cpu,cpuacct")
        for share, text in ((0.15, "1500"), (None, "-1")):
            group.limit(share)
            assert (group.folder / "cpu.cfs_quota_us").read_text() == text
        group.take(7)
        assert (group.folder / "cpu.cfs_period_us").read_text() == "10000"
        assert (group.folder / "cgroup.procs").read_text() == "7"
    assert not group.folder.exists()


@pytest.mark.usefixtures("kernel")
def test_version_2(tmp_path: Path) -> None:
    (tmp_path / "cgroup.subtree_control").write_text("cpu memory")
    with slices("some", tmp_path) as group:
        for share, text in ((0.15, "1500 10000"), (None, "max 10000")):
            group.limit(share)
            assert (group.folder / "cpu.max").read_text() == text


def test_where_there_are_none_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(SliceError, match="no control group"), slices("some", tmp_path):
        pass
    (tmp_path / "cpu").write_text("")  # in the place of a folder that we may not write to
    (tmp_path / "cgroup.subtree_control").write_text("memory")
    with pytest.raises(SliceError, match="no control group"), slices("some", tmp_path):
        pass


def test_a_process_gets_no_more_than_its_share() -> None:
    try:
        with slices("test") as group:
            group.limit(0.15)
            inside = [
                "sh",
                "-c",
                'echo $$ > "$0/cgroup.procs" && exec "$@"',
                str(group.folder),
                sys.executable,
                "-c",
                _SPIN,
            ]
            spent = float(subprocess.run(inside, capture_output=True, check=True, timeout=60).stdout)
    except SliceError as error:
        pytest.skip(str(error))
    assert 0.0 < spent < 0.3  # of half a second
