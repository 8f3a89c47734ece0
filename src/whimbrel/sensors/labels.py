"""Labels by path, as TREC's spam corpora index them: lines `label path`, relative to the index's folder.

A path may name a message, or a folder, mbox or archive with everything in it; the most precise line wins.  Inside
archives, whose folders rarely start where the index's paths do, a line also matches by its tail:  `spam ../spam/00001`
labels `corpus.tar.xz/mail/spam/00001`.  Outside of them it does not, so that two corpora of one layout never mix.
"""

import os
from functools import lru_cache
from pathlib import Path

from whimbrel.errors import ConfigError
from whimbrel.model.observation import Label, LabelBasis

_LABELS: dict[str, Label] = {"spam": "spam", "ham": "ham", "unknown": "unknown"}
_CACHED_FOLDERS = 4096  # messages come folder by folder, so that few suffice


class Labels:
    """What an index file says; made by `Labels.load`."""

    def __init__(self) -> None:
        self._by_path: dict[str, Label] = {}  # by resolved path
        self._by_tail: dict[str, Label] = {}  # by path as written, without ./ and ../
        self._tail_names: set[str] = set()

    @classmethod
    def load(cls, path: str) -> "Labels":
        """Read an index; blank lines and `#` comments are skipped.

        Raises ConfigError where the file cannot be read, a line is no label and path, or two lines contradict.
        """
        try:
            lines = Path(path).read_bytes().splitlines()
        except OSError as error:
            raise ConfigError(f"{path}: the labels cannot be read ({error.strerror}); check the path") from error
        labels = cls()
        folder = os.path.realpath(Path(path).parent)
        for number, line in enumerate(lines, start=1):
            text = os.fsdecode(line).strip()
            if text and not text.startswith("#"):
                problem = labels._add(folder, text)
                if problem:
                    raise ConfigError(f"{path}:{number}: {problem}")
        return labels

    def label_of(self, location: str) -> tuple[Label, LabelBasis] | None:
        """Return the label of a location (as `Item.location` has it) and its basis, or None where no line matches."""
        path, numbered, number = location.rpartition("#")
        label = self._find(location)
        if label is None and numbered and number.isdigit():
            label = self._find(path)
        return None if label is None else (label, "given")

    def _add(self, folder: str, text: str) -> str | None:
        """Take one line in; return what is wrong with it, or None."""
        words = text.split(None, 1)
        label = _LABELS.get(words[0].lower())
        if label is None:
            return f"unknown label {words[0][:40]!r}; the labels are spam, ham and unknown"
        if len(words) < 2 or "\x00" in words[1]:
            return "no path after the label; a line is `label path`"
        path = _resolved(os.path.normpath(f"{folder}/{words[1]}" if words[1][0] != "/" else words[1]))
        if self._by_path.setdefault(path, label) != label:
            return f"{words[1]} has been labelled {self._by_path[path]} above; keep one of the two lines"
        tail = os.path.normpath(words[1])
        while tail.startswith("../"):
            tail = tail[3:]
        if tail not in (".", "..") and not tail.startswith("/"):
            self._by_tail[tail] = label
            self._tail_names.add(tail.rpartition("/")[2])
        return None

    def _find(self, location: str) -> Label | None:
        path = _resolved(location)
        inner = _inside_at(path.rpartition("/")[0])
        while path:
            label = self._by_path.get(path)
            if label is None and inner is not None and len(path) > inner:
                label = self._find_tail(path[inner:])
            if label is not None:
                return label
            path = path.rpartition("/")[0]
        return self._by_path.get("/")

    def _find_tail(self, member: str) -> Label | None:
        """Return the label of the longest tail of a path inside an archive; each is looked up, none searched for."""
        if member.rpartition("/")[2] not in self._tail_names:
            return None
        while member:
            label = self._by_tail.get(member)
            if label is not None:
                return label
            member = member.partition("/")[2]
        return None


def _resolved(path: str) -> str:
    """Return the path with its folders' symbolic links followed, which is asked of the system once a folder."""
    folder, _, name = path.rpartition("/")
    return f"{_resolved_folder(folder or '/' if path.startswith('/') else folder)}/{name}"


@lru_cache(maxsize=_CACHED_FOLDERS)
def _resolved_folder(folder: str) -> str:
    return os.path.realpath(folder).rstrip("/")


@lru_cache(maxsize=_CACHED_FOLDERS)
def _inside_at(folder: str) -> int | None:
    """Return where in a path below `folder` the path inside an archive begins; None where `folder` is a real folder."""
    if os.path.isdir(folder or "/"):  # noqa: PTH112 - no Path is needed for one question
        return None
    archive = folder
    while archive and not os.path.lexists(archive):
        archive = archive.rpartition("/")[0]
    # Out of standard input, nothing of the path exists below the present folder but the `-` that stands for it.
    return len(archive) + 1
