"""Mail files: the same messages out of every container, keys that stay, errors that name the place."""

import bz2
import gzip
import io
import lzma
import os
import random
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whimbrel.errors import ConfigError
from whimbrel.sensors import mailfiles
from whimbrel.sensors.mailfiles import CHUNK_BYTES, CHUNK_MESSAGES, Chunk, Item, looks_like_mail, open_sources

ENVELOPE = b"From a@example.com Thu Aug 22 13:17:22 2002"
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": partial(bz2.compress, compresslevel=1),  # in blocks of 100 kB, so that a cut leaves some
    "xz": lzma.compress,
    "zst": zstandard.ZstdCompressor().compress,
}
LINES = st.sampled_from([b"", b"text", b"Fro m", b"\xff\x00", b"Subject: inner", b"--x", b"a" * 500])
MESSAGES = st.lists(
    st.lists(LINES, max_size=8).map(lambda lines: b"\n".join([b"Subject: s", b"", *lines, b"end", b""])),
    min_size=1,
    max_size=4,
)


def _tar(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def _zip(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def _mbox(messages: list[bytes]) -> bytes:
    return b"".join(ENVELOPE + b"\n" + message + b"\n" for message in messages)


def _never(key: str) -> bool:
    return False


def _chunks(*paths: Path | str, stdin: bytes | None = None) -> list[Chunk]:
    source = open_sources([str(path) for path in paths], None if stdin is None else io.BytesIO(stdin))
    return list(source.chunks(_never))


def _items(*paths: Path | str, stdin: bytes | None = None) -> list[Item]:
    return [item for chunk in _chunks(*paths, stdin=stdin) for item in chunk.items]


def _named(messages: list[bytes]) -> dict[str, bytes]:
    return {f"d/{number:03}.eml": message for number, message in enumerate(messages)}


@given(messages=MESSAGES)
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
def test_every_container_gives_the_same_messages(
    messages: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("mail")
    members = _named(messages)
    files = {"mbox": _mbox(messages), "tar": _tar(members), "zip": _zip(members)}
    files |= {"tar of zip": _tar({"in.zip": files["zip"]}), "zip of mbox": _zip({"in": files["mbox"]})}
    files |= {f"{name}.{end}": pack(content) for name, content in list(files.items()) for end, pack in PACKERS.items()}
    for name, content in files.items():
        (folder / name).write_bytes(content)
        assert [item.content for item in _items(folder / name)] == messages, name
        assert [item.content for item in _items("-", stdin=content)] == messages, name
    maildir = folder / "maildir"
    for part in ("cur", "new", "tmp"):
        (maildir / part).mkdir(parents=True)
    for number, message in enumerate(messages):
        (maildir / "cur" / f"{number:03}.host:2,S").write_bytes(message)
        (maildir / "tmp" / f"{number:03}.host").write_bytes(message)
    assert [item.content for item in _items(maildir)] == messages


def test_locations_are_as_the_user_knows_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mail = b"To: x\n\ntext\n"
    Path("folder/sub").mkdir(parents=True)
    Path("folder/sub/one.eml").write_bytes(mail)
    Path("folder/two.mbox").write_bytes(_mbox([mail, mail]))
    Path("corpus.tar.xz").write_bytes(
        lzma.compress(_tar({"./spam/1": mail, "box.gz": gzip.compress(_mbox([mail, mail]))}))
    )
    assert [item.location for item in _items("folder/")] == [
        "folder/sub/one.eml",
        "folder/two.mbox#1",
        "folder/two.mbox#2",
    ]
    assert [item.location for item in _items("corpus.tar.xz")] == [
        "corpus.tar.xz/spam/1",
        "corpus.tar.xz/box.gz#1",
        "corpus.tar.xz/box.gz#2",
    ]


def test_the_from_line_of_a_single_message_is_its_envelope(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(ENVELOPE + b"\r\nTo: x\r\n\r\ntext\r\n")
    assert _items(tmp_path / "one") == [Item(f"{tmp_path}/one", b"To: x\r\n\r\ntext\r\n", ENVELOPE)]


def test_chunks_are_bounded_and_their_keys_stay(tmp_path: Path) -> None:
    mail = b"To: x\n\n" + b"text\n" * 4000
    (tmp_path / "box").write_bytes(_mbox([mail] * 600))
    (tmp_path / "folder").mkdir()
    for number in range(600):
        (tmp_path / "folder" / f"{number}").write_bytes(b"To: x\n\n%d" % number)
    chunks = _chunks(tmp_path / "box", tmp_path / "folder")
    assert all(len(chunk.items) <= CHUNK_MESSAGES for chunk in chunks)
    assert all(sum(len(item.content) for item in chunk.items) <= CHUNK_BYTES for chunk in chunks)
    assert sum(len(chunk.items) for chunk in chunks) == 1200
    assert len({chunk.key for chunk in chunks}) == len(chunks) == 6
    positions = [chunk.position_bytes for chunk in chunks]
    assert positions == sorted(positions)
    again = _chunks(tmp_path / "folder", tmp_path / "box", tmp_path / "folder")
    assert [(chunk.key, chunk.items) for chunk in again] == [(chunk.key, chunk.items) for chunk in chunks]


@given(st.randoms(use_true_random=False))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_rerun_gives_exactly_what_is_not_done(tmp_path: Path, rng: random.Random) -> None:
    box, archive, folder = tmp_path / "box", tmp_path / "archive", tmp_path / "folder"
    if not folder.exists():
        box.write_bytes(_mbox([b"To: %d\n\n" % number for number in range(700)]))
        archive.write_bytes(gzip.compress(_tar(_named([b"To: %d\n\n" % number for number in range(300)]))))
        folder.mkdir()
        for number in range(300):
            (folder / f"{number}").write_bytes(b"To: x\n\n%d" % number)
    paths = [str(box), str(archive), str(folder)]
    undisturbed = {chunk.key: chunk.items for chunk in open_sources(paths).chunks(_never)}
    done = {key for key in undisturbed if rng.random() < 0.7}
    rng.shuffle(paths)
    rest = {chunk.key: chunk.items for chunk in open_sources(paths).chunks(done.__contains__)}
    assert rest == {key: items for key, items in undisturbed.items() if key not in done}


def test_what_is_all_done_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "box").write_bytes(_mbox([b"To: %d\n\n" % number for number in range(600)]))
    done = {chunk.key for chunk in _chunks(folder)}
    source = open_sources([str(folder)])

    def refuse(*args: object) -> None:
        raise AssertionError("opened")

    monkeypatch.setattr(Path, "open", refuse)
    assert list(source.chunks(done.__contains__)) == []


def test_a_changed_file_has_other_keys(tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.write_bytes(b"To: x\n\n1")
    (before,) = _chunks(path)
    os.utime(path, ns=(1, 1))
    (after,) = _chunks(path)
    assert before.items == after.items
    assert before.key != after.key


def test_standard_input_is_known_by_its_content() -> None:
    first, again, other = (_chunks("-", stdin=content)[0].key for content in (b"To: x\n", b"To: x\n", b"To: y\n"))
    assert first == again != other


def test_what_is_no_mail_in_a_folder_is_skipped_and_said(tmp_path: Path) -> None:
    (tmp_path / "cmds").write_bytes(b"#!/bin/sh\nmv 00001.78 00001.90\n")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "image").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "mail").write_bytes(b"To: x\n\n")
    os.mkfifo(tmp_path / "pipe")
    source = open_sources([str(tmp_path)])
    assert [item.location for chunk in source.chunks(_never) for item in chunk.items] == [f"{tmp_path}/mail"]
    assert {(Path(place).name, reason.partition(" (")[0]) for place, reason in source.skipped} == {
        ("cmds", "not mail"),
        ("empty", "empty"),
        ("image", "not mail"),
        ("gone", "a symbolic link that leads nowhere"),
        ("pipe", "no regular file"),
    }


def test_archives_nested_too_deeply_are_said(tmp_path: Path) -> None:
    inner = _tar({"mail": b"To: x\n\n"})
    (tmp_path / "deep.tar").write_bytes(_tar({"b.tar": _tar({"c.tar": inner}), "m": b"To: y\n\n"}))
    source = open_sources([str(tmp_path / "deep.tar")])
    assert [item.location for chunk in source.chunks(_never) for item in chunk.items] == [f"{tmp_path}/deep.tar/m"]
    assert source.skipped == [(f"{tmp_path}/deep.tar/b.tar/c.tar", "an archive in an archive in an archive")]


def test_a_message_too_long_is_cut_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailfiles, "MESSAGE_BYTES", 100)
    (tmp_path / "long").write_bytes(b"To: x\n\n" + b"x" * 200)
    source = open_sources([str(tmp_path)])
    (chunk,) = source.chunks(_never)
    assert [len(item.content) for item in chunk.items] == [100]
    assert source.skipped[0][0] == f"{tmp_path}/long"
    assert source.skipped[0][1].startswith("cut")


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n", b"#!/bin/sh\necho\n", b"From the editor\n\nDear reader\n"])
def test_a_named_file_that_is_no_mail_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "named").write_bytes(content)
    with pytest.raises(ConfigError, match="named: is neither mail nor an archive of mail; leave it out"):
        open_sources([str(tmp_path / "named")])
    with pytest.raises(ConfigError, match=r"^-: is neither mail"):
        _chunks("-", stdin=content)
    (tmp_path / "named").write_bytes(gzip.compress(content))
    with pytest.raises(ConfigError, match="named: is neither mail"):
        _chunks(tmp_path / "named")


def test_missing_and_odd_paths_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="missing: cannot be found"):
        open_sources([str(tmp_path / "missing")])
    with pytest.raises(ConfigError, match="/dev/null: is no file or folder"):
        open_sources(["/dev/null"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_files_are_errors(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"To: x\n\n")
    (tmp_path / "secret").chmod(0)
    for path in (tmp_path, tmp_path / "secret"):
        with pytest.raises(ConfigError, match="secret: cannot be read"):
            _chunks(path)


def test_a_file_that_goes_away_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "mail").write_bytes(b"To: x\n\n")
    source = open_sources([str(tmp_path)])
    (tmp_path / "mail").unlink()
    with pytest.raises(ConfigError, match="mail: cannot be read"):
        list(source.chunks(_never))


@pytest.mark.parametrize("end", ["tar", *PACKERS, "zip"])
def test_a_cut_archive_gives_what_it_has_and_names_the_last_good(tmp_path: Path, end: str) -> None:
    rng = random.Random(1)
    members = _named([b"To: x\n\n" + rng.randbytes(1000).hex().encode() for _ in range(300)])
    whole = {"tar": lambda: _tar(members), "zip": lambda: _zip(members)}.get(end, lambda: PACKERS[end](_tar(members)))()
    path = tmp_path / "cut"
    path.write_bytes(whole[: len(whole) * 9 // 10])
    read: list[Item] = []
    with pytest.raises(ConfigError) as raised:
        read.extend(item for chunk in open_sources([str(path)]).chunks(_never) for item in chunk.items)
    assert [item.content for item in read] == list(members.values())[: len(read)]
    if end == "zip":  # its directory stands at its end
        assert str(raised.value).startswith(f"{path}: the zip archive is damaged or cut short")
        assert "no message could be read" in str(raised.value)
    else:
        assert len(read) > 100
        assert f"the last good message is {read[-1].location}; " in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_broken_chunk_never_hides_the_rest(tmp_path: Path) -> None:
    """Where reading broke off for a while (a network folder), the next run gives the whole chunk."""
    path = tmp_path / "box.gz"
    whole = gzip.compress(_tar({"1": b"To: x\n\n", "2": b"To: y\n\n" + random.Random(1).randbytes(9000)}), mtime=0)
    path.write_bytes(whole[:-4000] + bytes(4000))
    os.utime(path, ns=(1, 1))
    done: set[str] = set()
    with pytest.raises(ConfigError):
        done.update(chunk.key for chunk in open_sources([str(path)]).chunks(_never))
    assert len(done) == 1
    path.write_bytes(whole)
    os.utime(path, ns=(1, 1))
    rest = [item for chunk in open_sources([str(path)]).chunks(done.__contains__) for item in chunk.items]
    assert len(rest) == 2


@given(
    content=st.binary(max_size=700),
    start=st.sampled_from([b"", ENVELOPE + b"\nTo: x\n\n", b"To: x\n\n", b"PK\x03\x04"]),
)
@settings(max_examples=80)
def test_any_bytes_are_mail_or_an_error_of_the_user(content: bytes, start: bytes) -> None:
    whole = start + content
    for packed in (
        whole,
        _tar({"m": whole}),
        _zip({"m": whole}),
        gzip.compress(whole),
        lzma.compress(whole)[:-3] + content,
    ):
        try:
            items = _items("-", stdin=packed)
        except ConfigError:
            continue
        assert all(item.location.startswith("-") for item in items)
        assert sum(len(item.content) for item in items) <= len(whole)


@pytest.mark.parametrize("eol", [b"\n", b"\r\n", b"\r"])
def test_what_looks_like_mail(eol: bytes) -> None:
    assert looks_like_mail(b"Return-Path: <x>" + eol)
    assert looks_like_mail(eol.join([b"garbage", b"X-Mailer: y", b""]))
    assert looks_like_mail(b"subject : obsolete blanks")
    assert not looks_like_mail(b"mv 1 2" + eol + b"mv 3 4" + eol)
    assert not looks_like_mail(b"cur: 5" + eol)
    assert not looks_like_mail(eol * 100 + b"Subject: far below")
    assert not looks_like_mail(b"")


def test_the_shipped_corpus(shipped_archive: Path) -> None:
    source = open_sources([str(shipped_archive)])
    chunks = list(source.chunks(_never))
    items = [item for chunk in chunks for item in chunk.items]
    assert len(items) == 6294
    assert [place.rpartition("/")[2] for place, _ in source.skipped] == ["cmds"] * 5
    assert sum(item.envelope is not None for item in items) == 5503
    assert chunks[-1].position_bytes == source.total_bytes == shipped_archive.stat().st_size
    assert all(looks_like_mail(item.content) for item in items)


def test_bounces_in_three_line_ends(shared_data: Callable[[str], Path]) -> None:
    folder = shared_data("bounces") / "sisimai"
    read = {end: _items(folder / "maildir" / end) for end in ("bsd", "dos", "mac")}
    for end, eol in (("dos", b"\r\n"), ("mac", b"\r")):
        plain = {Path(item.location).name: item.content for item in read[end]}
        assert len(plain) >= 79
        assert all(eol in content for content in plain.values())
    assert len(_items(folder / "mailbox" / "mbox-0")) == 37
