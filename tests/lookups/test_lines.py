"""Text files of others: fields, bounds, and what is said of those that cannot be read."""

import gzip
from pathlib import Path

import pytest

from whimbrel.errors import ConfigError
from whimbrel.lookups import lines as module
from whimbrel.lookups.lines import read_lines, shown


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "table.txt"


def fields(path: Path, content: bytes) -> list[tuple[int, list[str]]]:
    path.write_bytes(content)
    return list(read_lines(path).fields())


def test_the_first_separator_of_a_line_tells(path: Path) -> None:
    content = b'a1 b  c\r\n1\t\tb c, d\n1,"b, c", d\n\n  # no\n1\n'
    assert fields(path, content) == [
        (1, ["a1", "b", "c"]),
        (2, ["1", "", "b c, d"]),
        (3, ["1", "b, c", "d"]),
        (6, ["1"]),
    ]


def test_only_a_first_line_without_digits_is_a_heading(path: Path) -> None:
    assert fields(path, b"\xef\xbb\xbf# x\nnetwork,asn\n1,2\nno,digit\n") == [(3, ["1", "2"]), (4, ["no", "digit"])]


def test_gzip_is_unpacked_and_the_digest_is_that_of_what_it_says(path: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(b"1 2\n"))
    path.write_bytes(b"1 2\n")
    assert read_lines(packed).digest == read_lines(path).digest
    assert list(read_lines(packed).fields()) == [(1, ["1", "2"])]


def test_what_cannot_be_read_is_one_line(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_lines(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_lines(tmp_path)
    path.write_bytes(gzip.compress(b"1 2\n" * 100)[:-9])
    with pytest.raises(ConfigError, match="damaged gzip"):
        read_lines(path)
    path.write_bytes(b"1" * 5000)
    with pytest.raises(ConfigError, match="line 1: longer than 4096"):
        list(read_lines(path).fields())


def test_a_file_has_bounds_unpacked_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_OCTETS", 1000)
    monkeypatch.setattr(module, "MOST_LINES", 100)
    for content in (gzip.compress(b"1" * 2000), b"\n" * 101):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match="larger than"):
            read_lines(path)


def test_a_field_is_shown_short_and_without_control_sequences() -> None:
    assert shown("\x1b[2J" + "x" * 100) == repr("\x1b[2J" + "x" * 56 + "...")
