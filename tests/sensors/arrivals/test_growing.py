"""An mbox that grows: every message is read once, and none before it is whole."""

import fcntl
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sensors.arrivals.places import Kept, mail

from whimbrel.sensors.arrivals import Mbox
from whimbrel.sensors.arrivals.growing import LAZY_SECONDS
from whimbrel.sensors.arrivals.place import QUIET_SECONDS

SEPARATOR = b"From a@b Thu Aug 22 13:17:22 2002\n"


def written(*numbers: int) -> bytes:
    return b"".join(SEPARATOR + mail(number) + b"\n" for number in numbers)


class Box:
    """An mbox, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "box"
        self.kept = Kept()
        self.now = 0.0
        self.place = self.opened()

    def opened(self, mark: str | None = None) -> Mbox:
        return Mbox(self.path, "name", self.kept.keys.__contains__, mark)

    def append(self, content: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(content)
        os.utime(self.path, ns=(0, int(self.now * 1e9) + self.path.stat().st_size))  # changes that a clock would miss

    def looked(self, after_seconds: float = QUIET_SECONDS, *, keep: bool = True) -> list[bytes]:
        self.now += after_seconds
        return self.kept.looked(self.place, self.now, keep=keep)

    def read(self) -> list[bytes]:
        """Look until nothing is left."""
        found = self.looked()
        while self.place.is_unfinished:
            found += self.looked()
        return found


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_appended_messages_are_read_once(box: Box) -> None:
    assert box.read() == []  # it is not there yet
    box.append(written(1, 2))
    assert box.read() == [mail(1), mail(2)]
    assert box.read() == []
    box.append(written(3))
    assert box.read() == [mail(3)]
    box.place = box.opened(box.place.mark)  # a restart
    assert box.read() == []
    box.append(written(4))
    assert box.read() == [mail(4)]


def test_a_message_is_read_when_the_next_one_follows_or_it_is_ended_and_quiet(box: Box) -> None:
    box.append(written(1) + written(2)[:-8])
    assert box.looked() == [mail(1)]
    assert box.place.is_unfinished
    assert box.looked() == []  # quiet, but no empty line at its end
    box.append(written(2)[-8:])
    assert box.looked() == []
    assert box.looked(QUIET_SECONDS / 2) == []
    assert box.looked(QUIET_SECONDS / 2) == [mail(2)]
    assert not box.place.is_unfinished


def test_a_writer_that_leaves_out_the_empty_line_is_waited_for_only_so_long(box: Box) -> None:
    box.append(written(1)[:-1])
    assert box.looked() == []
    assert box.looked(LAZY_SECONDS - 1) == []
    assert box.looked(1.0) == [mail(1)]


def test_what_is_not_kept_is_found_again(box: Box) -> None:
    box.append(written(1))
    box.looked()
    assert box.looked(keep=False) == [mail(1)]
    box.place = box.opened(box.place.mark)
    assert box.read() == [mail(1)]


def test_a_file_that_is_replaced_or_cut_is_read_anew(box: Box) -> None:
    box.append(written(1, 2))
    box.read()
    box.path.write_bytes(b"")
    assert box.read() == []
    box.append(written(3))
    assert box.read() == [mail(3)]
    box.path.unlink()
    box.append(written(4, 5, 6))
    assert box.read() == [mail(4), mail(5), mail(6)]


def test_a_message_that_went_on_after_all_is_read_again_whole(box: Box) -> None:
    """Its writer paused for long just after an empty line; both readings stay, but nothing after it is lost."""
    whole = written(1)
    cut = whole.index(b"\n\n") + 2
    box.append(whole[:cut])
    assert len(box.read()) == 1
    box.append(whole[cut:] + written(2))
    assert box.read() == [mail(1), mail(2)]


def test_a_locked_file_is_left_alone(box: Box) -> None:
    box.append(written(1))
    lock = box.path.with_name("box.lock")
    lock.touch()
    assert box.looked() + box.looked() == []
    assert box.place.is_unfinished
    lock.unlink()
    with box.path.open("ab") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        assert box.looked() + box.looked() == []
    assert box.read() == [mail(1)]


def test_what_is_no_mbox_is_told_once(box: Box) -> None:
    box.append(mail(1))
    assert box.read() == []
    assert "no mbox" in box.place.problems[0][1]
    box.place.problems.clear()
    assert box.read() == []
    assert not box.place.problems


def test_other_changes_are_not_asked_about(box: Box) -> None:
    box.append(written(1))
    assert box.kept.looked(box.place, 1.0, [str(box.path.with_name("other"))]) == []
    assert box.kept.looked(box.place, 2.0, [str(box.path)]) == []
    assert box.kept.looked(box.place, 3.0, []) == [mail(1)]  # it was waiting to be quiet


def test_many_messages_come_in_pieces_that_can_each_be_kept(box: Box) -> None:
    box.append(written(*range(600)))
    box.looked()
    pieces = list(box.opened().look(0.0))
    assert [len(piece.items) for piece in pieces] == [256, 256, 87]
    assert len(set(box.read())) == 1  # the last one, the others being read


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=8),
    st.lists(st.integers(1, 200), min_size=1, max_size=12),
    st.lists(st.booleans(), min_size=12, max_size=12),
)
def test_however_it_is_written_each_message_is_read_once(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int], cuts: list[int], restarts: list[bool]
) -> None:
    """A writer that pauses only while a lock is held, as it should; readers that come and go."""
    box = Box(tmp_path_factory.mktemp("box"))
    content = written(*numbers)
    lock = box.path.with_name("box.lock")
    read, at = [], 0
    for size, restart in zip(cuts, restarts, strict=False):
        box.append(content[at : at + size])
        at += size
        is_between = content[at:].startswith(SEPARATOR) or at >= len(content)
        lock.unlink(missing_ok=True) if is_between else lock.touch()
        read += box.looked()
        if restart:
            box.place = box.opened(box.place.mark)
    box.append(content[at:])
    lock.unlink(missing_ok=True)
    read += box.read()
    assert read == [mail(number) for number in numbers]
