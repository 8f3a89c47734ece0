"""A server's share of a core, in slices: a control group of Linux, version 1 (`cpu.cfs_quota_us`) or 2 (`cpu.max`).

Beside the limit the group has all the weight there is, so that other work on the machine takes nothing of its share.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MOUNTED = Path("/sys/fs/cgroup")
SLICE_MICROSECONDS = 10_000
_MOST_SHARES, _MOST_WEIGHT = 262_144, 10_000  # cgroups(7), version 1 and 2


class SliceError(Exception):
    """Shares of a core cannot be had; the text says why."""


class Slices:
    """A control group for processes."""

    def __init__(self, folder: Path, *, is_v2: bool) -> None:
        self.folder = folder
        self._is_v2 = is_v2
        if is_v2:
            (folder / "cpu.weight").write_text(str(_MOST_WEIGHT), encoding="ascii")
        else:
            (folder / "cpu.shares").write_text(str(_MOST_SHARES), encoding="ascii")
            (folder / "cpu.cfs_period_us").write_text(str(SLICE_MICROSECONDS), encoding="ascii")

    def take(self, pid: int) -> None:
        """Take a process in, with all its threads and whatever it starts from now on."""
        (self.folder / "cgroup.procs").write_text(str(pid), encoding="ascii")

    def limit(self, share: float | None) -> None:
        """Let all of it together run for a share of each slice; None: as long as it likes."""
        quota = None if share is None else round(share * SLICE_MICROSECONDS)
        if self._is_v2:
            text = f"{'max' if quota is None else quota} {SLICE_MICROSECONDS}"
            (self.folder / "cpu.max").write_text(text, encoding="ascii")
        else:
            (self.folder / "cpu.cfs_quota_us").write_text(str(-1 if quota is None else quota), encoding="ascii")


@contextmanager
def slices(name: str, mounted: Path = MOUNTED) -> Iterator[Slices]:
    """Make a control group for as long as the block lasts, which must leave no process in it.

    Raises SliceError where this machine has none, or does not let us.
    """
    first = next((each for each in (mounted / "cpu", mounted / "cpu,cpuacct") if each.is_dir()), None)
    is_v2 = first is None
    if is_v2 and "cpu" not in _controllers(mounted):
        raise SliceError("no control group for processors here (neither version 1 nor version 2 with `cpu`)")
    folder = (first or mounted) / f"whimbrel-{name}-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        raise SliceError(f"{folder}: {error.strerror}; control groups are root's") from None
    try:
        yield Slices(folder, is_v2=is_v2)
    finally:
        folder.rmdir()


def _controllers(mounted: Path) -> list[str]:
    """Return the controllers that the groups beneath the root of version 2 have."""
    try:
        return (mounted / "cgroup.subtree_control").read_text(encoding="ascii").split()
    except OSError:
        return []
