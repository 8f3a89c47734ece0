"""Text files of others, line by line: fields out, within bounds, each problem named by file and line."""

import csv
import gzip
import hashlib
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from whimbrel.errors import ConfigError

# A million lines of an AS table take some 40 MB with the names of AS beside their numbers: room for six of these.
MOST_OCTETS = 1 << 28
MOST_LINES = 8_000_000  # the same, for lines as short as they get
LINE_OCTETS = 4096  # a network, its AS and its name take a tenth of this

_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_SEPARATOR = re.compile(r"[,\t ]")


class Lines(NamedTuple):
    """A text file that was read: where it lies, a digest of what it says, and its lines."""

    path: Path
    digest: str
    content: bytes

    def fields(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the number (from 1) and the fields of every line but blank ones, comments (`#`) and a heading.

        What separates fields is told by the first separator of the line: a comma (then quotes count, RFC 4180), a tab,
        or blanks.  A heading is a first line without any digit.
        """
        headed = False
        for number, line in enumerate(self.content.splitlines(), start=1):
            if len(line) > LINE_OCTETS:
                raise self.problem(number, f"longer than {LINE_OCTETS} octets; is this the right file?")
            text = line.decode("utf-8", "replace").strip()
            if not text or text[0] == "#":
                continue
            if not headed:
                headed = True
                if not any(letter.isdigit() for letter in text):
                    continue
            yield number, _fields(text)

    def problem(self, number: int, what: str) -> ConfigError:
        """Return what is wrong with a line, ready to be raised."""
        return ConfigError(f"{self.path}: line {number}: {what}")


def read_lines(path: Path) -> Lines:
    """Read a text file, unpacked where it is gzip by its content (RFC 1952).

    Raises ConfigError where it cannot be read to its end, or is larger than `MOST_OCTETS` or `MOST_LINES`.
    """
    try:
        with path.open("rb") as file:
            packed = file.peek(2)[:2] == _GZIP
            content = (gzip.GzipFile(fileobj=file) if packed else file).read(MOST_OCTETS + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ConfigError(f"{path}: damaged gzip ({error}); fetch the file again") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    if len(content) > MOST_OCTETS or content.count(b"\n") > MOST_LINES:
        raise ConfigError(
            f"{path}: larger than {MOST_OCTETS >> 20} MiB or {MOST_LINES:,} lines; "
            "leave out what is not needed, or split it into several files"
        )
    return Lines(path, hashlib.sha256(content).hexdigest(), content.removeprefix(_BOM))


def shown(field: str) -> str:
    """Return a field as it can be printed: short, without control sequences."""
    return repr(field if len(field) <= 60 else f"{field[:60]}...")


def _fields(text: str) -> list[str]:
    found = _SEPARATOR.search(text)
    if found is None or found[0] == " ":
        return text.split()
    parts = next(csv.reader([text], skipinitialspace=True)) if found[0] == "," else text.split("\t")
    return [part.strip() for part in parts]
