"""Maildirs and folders: what is new is found once, whatever happens to the files meanwhile."""

import os
from pathlib import Path

import pytest
from tests.sensors.arrivals.places import Kept, delivered, mail

from whimbrel.sensors.arrivals import Folder, Maildir


@pytest.fixture
def kept() -> Kept:
    return Kept()


def maildir_of(path: Path, kept: Kept) -> Maildir:
    return Maildir(path, "name", kept.keys.__contains__)


def folder_of(path: Path, kept: Kept) -> Folder:
    return Folder(path, "name", kept.keys.__contains__)


def test_new_and_cur_are_read_once_and_tmp_never(tmp_path: Path, kept: Kept) -> None:
    delivered(tmp_path, "2.host", mail(2))
    delivered(tmp_path, "1.host:2,S", mail(1), "cur")
    (tmp_path / "tmp" / "3.host").write_bytes(mail(3))
    (tmp_path / "new" / ".hidden").write_bytes(mail(4))
    place = maildir_of(tmp_path, kept)
    assert kept.looked(place) == [mail(1), mail(2)]
    assert kept.looked(place) == []
    assert len(kept.keys) == 2


def test_what_is_moved_or_flagged_is_no_news(tmp_path: Path, kept: Kept) -> None:
    path = delivered(tmp_path, "1.host", mail(1))
    place = maildir_of(tmp_path, kept)
    assert kept.looked(place) == [mail(1)]
    path = path.rename(tmp_path / "cur" / "1.host:2,")
    assert kept.looked(place, changed=[str(path)]) == []
    path.rename(tmp_path / "cur" / "1.host:2,RS")
    assert kept.looked(place) == []
    assert kept.looked(maildir_of(tmp_path, kept)) == []  # nor after a restart


def test_what_is_not_kept_is_found_again(tmp_path: Path, kept: Kept) -> None:
    delivered(tmp_path, "1.host", mail(1))
    place = maildir_of(tmp_path, kept)
    assert kept.looked(place, keep=False) == [mail(1)]
    assert kept.looked(place) == [mail(1)]
    assert kept.looked(place) == []


def test_only_what_changed_is_looked_at(tmp_path: Path, kept: Kept) -> None:
    first, second = delivered(tmp_path, "1.host", mail(1)), delivered(tmp_path, "2.host", mail(2))
    outside = delivered(tmp_path / "other", "3.host", mail(3))
    place = maildir_of(tmp_path, kept)
    assert kept.looked(place, changed=[str(second), str(outside), str(tmp_path / "new" / "gone")]) == [mail(2)]
    assert kept.looked(place, changed=[]) == []
    assert kept.looked(place, changed=[str(first)]) == [mail(1)]


def test_a_file_that_goes_while_it_is_looked_for_makes_the_next_look_a_full_one(
    tmp_path: Path, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = delivered(tmp_path, "1.host", mail(1))
    place = maildir_of(tmp_path, kept)
    found = place.look(0.0, [str(path)])
    original = Path.open

    def moved(self: Path, *given: str, **named: int) -> object:
        if self == path and path.exists():
            path.rename(tmp_path / "cur" / "1.host:2,S")
        return original(self, *given, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", moved)
    assert list(found) == []
    assert place.is_unfinished
    assert kept.looked(place, changed=[]) == [mail(1)]
    assert not place.is_unfinished


def test_pieces_are_bounded_and_a_key_stands_for_a_file_that_was_read_to_its_end(tmp_path: Path, kept: Kept) -> None:
    for number in range(300):
        delivered(tmp_path, f"{number:03}.host", mail(number))
    pieces = list(maildir_of(tmp_path, kept).look(0.0))
    assert [len(piece.items) for piece in pieces] == [256, 44]
    assert sum(len(piece.keys) for piece in pieces) == 300
    assert len({piece.key for piece in pieces}) == 2
    again = list(maildir_of(tmp_path, kept).look(0.0))
    assert [piece.key for piece in again] == [piece.key for piece in pieces]


def test_a_large_file_is_kept_with_its_last_piece(tmp_path: Path, kept: Kept) -> None:
    box = b"".join(b"From a@b Thu Aug 22 13:17:22 2002\n" + mail(number) + b"\n" for number in range(300))
    (tmp_path / "box").write_bytes(box)
    place = folder_of(tmp_path, kept)
    assert kept.looked(place) == []
    pieces = list(place.look(1.0))
    assert [(len(piece.items), len(piece.keys)) for piece in pieces] == [(256, 0), (44, 1)]


def test_no_mail_and_damage_are_told_once(tmp_path: Path, kept: Kept) -> None:
    delivered(tmp_path, "1.host", b"this is no mail\n")
    delivered(tmp_path, "2.host", b"")
    delivered(tmp_path, "3.host", b"\x1f\x8b\x08 cut off")
    place = maildir_of(tmp_path, kept)
    assert kept.looked(place) == []
    assert [why for _, why in place.skipped] == ["not mail", "empty"]
    ((where, why),) = place.problems
    assert where.endswith("3.host")
    assert "gzip" in why
    place.problems.clear()
    place.skipped.clear()
    assert kept.looked(place) == []
    assert not place.problems + place.skipped


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_may_not_be_read_is_tried_again(tmp_path: Path, kept: Kept) -> None:
    path = delivered(tmp_path, "1.host", mail(1))
    path.chmod(0)
    place = maildir_of(tmp_path, kept)
    assert kept.looked(place) == []
    assert "cannot be read" in place.problems[0][1]
    path.chmod(0o600)
    assert kept.looked(place) == [mail(1)]


def test_a_missing_maildir_is_told_and_read_when_it_comes(tmp_path: Path, kept: Kept) -> None:
    place = maildir_of(tmp_path / "later", kept)
    assert kept.looked(place) == []
    assert "cannot be read" in place.problems[0][1]
    delivered(tmp_path / "later", "1.host", mail(1))
    assert kept.looked(place) == [mail(1)]


def test_the_same_file_under_another_name_of_the_place_is_read_for_that(tmp_path: Path, kept: Kept) -> None:
    delivered(tmp_path, "1.host", mail(1))
    assert kept.looked(maildir_of(tmp_path, kept)) == [mail(1)]
    assert kept.looked(Maildir(tmp_path, "labelled otherwise", kept.keys.__contains__)) == [mail(1)]


def test_a_file_in_a_folder_is_read_when_it_was_quiet(tmp_path: Path, kept: Kept) -> None:
    path = tmp_path / "sub" / "1.eml"
    path.parent.mkdir()
    path.write_bytes(mail(1)[:10])
    place = folder_of(tmp_path, kept)
    assert kept.looked(place, 0.0, [str(path)]) == []
    assert place.is_unfinished
    path.write_bytes(mail(1))
    assert kept.looked(place, 1.0, []) == []  # it changed a moment ago
    assert kept.looked(place, 1.2, []) == []
    assert kept.looked(place, 1.6, []) == [mail(1)]
    assert kept.looked(place, 2.6) == []
    assert not place.is_unfinished


def test_a_file_that_changed_is_read_again_and_hidden_ones_and_deliveries_never(tmp_path: Path, kept: Kept) -> None:
    (tmp_path / "1.eml").write_bytes(mail(1))
    (tmp_path / ".draft").mkdir()
    (tmp_path / ".draft" / "2.eml").write_bytes(mail(2))
    delivered(tmp_path / "Maildir", "3", mail(3))
    unfinished = tmp_path / "Maildir" / "tmp" / "4"
    unfinished.write_bytes(mail(4))
    place = folder_of(tmp_path, kept)
    for now in (0.0, 1.0):
        read = kept.looked(place, now)
    assert sorted(read) == [mail(1), mail(3)]
    for now in (2.0, 3.0):
        assert kept.looked(place, now, [str(unfinished), str(tmp_path / ".draft" / "2.eml"), "/elsewhere"]) == []
    (tmp_path / "1.eml").write_bytes(mail(11))
    for now in (4.0, 5.0):
        read = kept.looked(place, now)
    assert read == [mail(11)]
    assert kept.looked(folder_of(tmp_path, kept), 9.0) == []


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path, kept: Kept) -> None:
    place = folder_of(tmp_path / "none", kept)
    assert kept.looked(place) == []
    assert "cannot be read" in place.problems[0][1]
