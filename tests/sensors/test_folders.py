"""Folders: what is found and how it is grouped depends on nothing but what lies there."""

import os
import random
from pathlib import Path

import pytest

from whimbrel.errors import ConfigError
from whimbrel.sensors.folders import GROUP_BYTES, GROUP_FILES, named_units


def test_small_files_share_a_unit_and_large_ones_do_not(tmp_path: Path) -> None:
    for number in range(GROUP_FILES + 10):
        (tmp_path / f"{number:04}").write_bytes(b"x")
    os.truncate(tmp_path / "0005", GROUP_BYTES + 1)
    units = named_units([str(tmp_path)])
    assert [len(unit.files) for unit in units] == [5, 1, GROUP_FILES, 4, 0]
    assert [file.path.name for unit in units for file in unit.files] == sorted(path.name for path in tmp_path.iterdir())
    assert sum(unit.size_bytes for unit in units) == GROUP_BYTES + GROUP_FILES + 10


def test_units_do_not_depend_on_the_order_of_paths_or_their_spelling(tmp_path: Path) -> None:
    paths = []
    for number in range(9):
        path = tmp_path / f"{number}"
        if number % 2:
            path.mkdir()
            (path / "mail").write_bytes(b"x")
        else:
            path.write_bytes(b"x")
        paths.append(str(path))
    before = [unit.digest for unit in named_units(paths)]
    assert len(set(before)) == len(before) - 3  # the folders' empty last units are alike
    for seed in range(5):
        random.Random(seed).shuffle(paths)
        spelt = [path.replace(str(tmp_path), f"{tmp_path}/./1/..") for path in paths]
        assert [unit.digest for unit in named_units(spelt + paths)] == before


def test_a_digest_names_path_size_and_time(tmp_path: Path) -> None:
    seen = set()
    for name, content, changed_ns in (("a", b"x", 1), ("b", b"x", 1), ("a", b"xx", 1), ("a", b"x", 2), ("a", b"x", 1)):
        path = tmp_path / name
        path.write_bytes(content)
        os.utime(path, ns=(changed_ns, changed_ns))
        seen.add(named_units([str(path)])[0].digest)
    assert len(seen) == 4


def test_a_folder_is_read_once_however_many_links_lead_to_it(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "mail").write_bytes(b"x")
    (tmp_path / "a-link").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "up").symlink_to(tmp_path)
    files = [file.location for unit in named_units([str(tmp_path)]) for file in unit.files]
    assert files == [f"{tmp_path}/a-link/mail"]


def test_tmp_is_left_out_of_a_maildir_only(tmp_path: Path) -> None:
    for folder in ("maildir/new", "maildir/tmp", "plain/tmp"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "mail").write_bytes(b"x")
    units = named_units([str(tmp_path)])
    found = [file.location.removeprefix(f"{tmp_path}/") for unit in units for file in unit.files]
    assert found == ["maildir/new/mail", "plain/tmp/mail"]
    assert [place for unit in units for place, _ in unit.skipped] == [f"{tmp_path}/maildir/tmp"]


def test_links_that_turn_in_a_circle_are_an_error_when_named(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(ConfigError, match="a: cannot be found"):
        named_units([str(tmp_path / "a")])
