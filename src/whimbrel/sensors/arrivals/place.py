"""What all places have in common."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from whimbrel.sensors.mailfiles import Item

# A writer pauses less than this inside a message (it has it in memory, or gets it over one connection).
QUIET_SECONDS = 0.5


class Found(NamedTuple):
    """A piece of what a look found; `key` is hexadecimal, equal for equal files, and safe as a file name.

    `keys` are of the files that end in this piece; `mark` is how far a growing file was read, for `Place.mark`.
    """

    key: str
    items: list[Item]
    keys: tuple[str, ...] = ()
    mark: str | None = None


class Place(ABC):
    """One place.  `is_unfinished` says that a look left something for the next, which should come soon."""

    def __init__(self, path: Path, name: str, is_done: Callable[[str], bool], mark: str | None) -> None:
        """`name` tells apart who reads the same file otherwise; `is_done` knows the keys that were kept, ever."""
        self.path = path
        self.mark = mark
        self.is_unfinished = False
        self.problems: list[tuple[str, str]] = []  # places that could not be read, and why; the caller empties it
        self.skipped: list[tuple[str, str]] = []  # places that hold no mail, likewise
        self._digest = hashlib.sha256(f"{name}\0{path}\0".encode("utf-8", "surrogateescape")).digest()
        self._is_done = is_done

    @abstractmethod
    def look(self, now: float, changed: Collection[str] | None = None) -> Iterator[Found]:
        """Yield what is new, in a fixed order; `changed` are the only paths to look at, `now` a clock in seconds."""

    @abstractmethod
    def keep(self, found: Found) -> None:
        """Take note that a piece is safe."""

    @abstractmethod
    def folders(self) -> list[Path]:
        """Return the folders to be watched for changes."""

    def key(self, *parts: str) -> str:
        """Return the key of something in this place."""
        return hashlib.sha256(self._digest + "\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
