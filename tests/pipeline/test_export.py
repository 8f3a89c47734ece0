"""An export of a store is its published list; what must not be exported is refused."""

from pathlib import Path

import pytest
from tests.pipeline.conftest import Undisturbed
from tests.pipeline.mail import DAY_0, day, message, received
from tests.pipeline.stores import ingested
from tests.pipeline.test_publish import published

from whimbrel.errors import ConfigError, SnapshotError, StoreError
from whimbrel.model.listing import Code, FurtherCode
from whimbrel.pipeline.export import export, export_to, read
from whimbrel.pipeline.views import listings
from whimbrel.publishing import Entries, write_overlay, write_snapshot
from whimbrel.publishing.building import zone_of
from whimbrel.publishing.exports import FORMATS
from whimbrel.wire.snapshot import Snapshot


def test_targets_are_those_listed(tmp_path: Path, undisturbed: Undisturbed) -> None:
    path = tmp_path / "list"
    published(undisturbed.data_dir, path, now=day(45))
    content = read(undisturbed.data_dir, day(45), snapshot=path, codes=(), force=False)
    done = export(content, "plain", tmp_path / "plain")
    text = (tmp_path / "plain").read_text()
    assert sorted(text.splitlines()[1:]) == sorted(each.target for each in listings(undisturbed.data_dir, day(45)))
    assert done.entries == text.count("\n") - 1 > 5
    assert done.bytes == len(text)


@pytest.mark.parametrize("name", [name for name, form in FORMATS.items() if form.lines])
def test_a_stream_gets_what_a_file_gets(tmp_path: Path, undisturbed: Undisturbed, name: str) -> None:
    published(undisturbed.data_dir, tmp_path / "list", now=day(45))
    content = read(undisturbed.data_dir, day(45), snapshot=tmp_path / "list", codes=(), force=False)
    export(content, name, tmp_path / "file")
    with (tmp_path / "stream").open("wb") as stream:
        export_to(content, name, stream)
    assert (tmp_path / "stream").read_bytes() == (tmp_path / "file").read_bytes()


def test_a_demo_is_refused_unless_forced(tmp_path: Path) -> None:
    mail = tmp_path / "a"
    mail.write_bytes(message(received("24.1.2.3", DAY_0)))
    ingested(tmp_path / "store", [str(mail)], demo=True)
    published(tmp_path / "store", None)
    with pytest.raises(ConfigError, match=r"demo.*--force"):
        read(tmp_path / "store", day(60), snapshot=None, codes=(), force=False)
    content = read(tmp_path / "store", day(60), snapshot=None, codes=(), force=True)
    assert "demo (made from old mail, not for use)" in content.about()


def test_no_snapshot_an_empty_one_and_an_expired_one_are_one_line(tmp_path: Path, undisturbed: Undisturbed) -> None:
    def refused(path: Path, words: str, days: int = 45) -> None:
        with pytest.raises(SnapshotError, match=words):
            read(undisturbed.data_dir, day(days), snapshot=path, codes=(), force=False)

    refused(tmp_path / "none", "whimbrel publish")
    (tmp_path / "empty").touch()
    refused(tmp_path / "empty", "empty")
    published(undisturbed.data_dir, tmp_path / "list", now=day(45))
    refused(tmp_path / "list", "expired", 46)


def test_what_changed_since_the_snapshot_is_exported_too(tmp_path: Path) -> None:
    def targets() -> list[str]:
        content = read(tmp_path, day(45), snapshot=path, codes=(), force=False)
        export(content, "plain", tmp_path / "plain")
        return (tmp_path / "plain").read_text().splitlines()[1:]

    path, entries = tmp_path / "list", Entries()
    entries.put("192.0.2.1", Code.INFECTED, day(50))
    for serial in (1, 2):
        data = entries.moment().snapshot(zone="bl.example", serial=serial, born=day(45), expires=day(46))
        write_snapshot(path, data)
        assert targets() == ["192.0.2.1"]
        entries.begin_overlay()
        entries.drop("192.0.2.1")
        entries.put("192.0.2.7", Code.INFECTED, day(50))
        overlay = entries.overlay(Snapshot(data).base, number=1, born=day(45))
        write_overlay(path, overlay)
        assert targets() == ["192.0.2.7"]
        entries.drop("192.0.2.7")
        entries.put("192.0.2.1", Code.INFECTED, day(50))
    write_snapshot(path, entries.moment().snapshot(zone="bl.example", serial=3, born=day(45), expires=day(46)))
    write_overlay(path, overlay)  # of the one before
    assert targets() == ["192.0.2.1"]
    write_overlay(path, overlay[:-1])
    with pytest.raises(SnapshotError, match="overlay refused"):
        targets()


def test_what_cannot_be_written_leaves_the_old_export(tmp_path: Path, undisturbed: Undisturbed) -> None:
    published(undisturbed.data_dir, tmp_path / "list", now=day(45))
    content = read(undisturbed.data_dir, day(45), snapshot=tmp_path / "list", codes=(), force=False)
    with pytest.raises(StoreError, match="cannot be written"):
        export(content, "plain", tmp_path / "missing" / "file")
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="folder"):
        export(content, "misp", tmp_path / "file")
    old = tmp_path / "old"
    old.write_text("old")
    broken = content._replace(reasons=[])  # an error in the middle of the lines
    with pytest.raises(IndexError):
        export(broken, "csv", old)
    assert old.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "list", "old"]


def test_one_zone_of_several(tmp_path: Path) -> None:
    auth = zone_of("auth.bl.example", ("localhost",), None, codes=[FurtherCode.COMPROMISED_ACCOUNT])
    entries = Entries()
    entries.put("192.0.2.1", Code.INFECTED, day(46))
    entries.put("192.0.2.2", FurtherCode.COMPROMISED_ACCOUNT, day(46))
    path = tmp_path / "list"
    path.write_bytes(
        entries.moment().snapshot(
            zone="bl.example", serial=1, born=day(45), expires=day(47), codes=list(Code), more_zones=[auth]
        )
    )

    def exported(zone: str | None) -> list[str]:
        content = read(tmp_path, day(45), snapshot=path, codes=(), force=False, zone=zone)
        export(content, "plain", tmp_path / "plain")
        head, *lines = (tmp_path / "plain").read_text().splitlines()
        assert (zone or "bl.example").lower().rstrip(".") in head
        return lines

    assert exported(None) == exported("bl.example") == ["192.0.2.1"]
    assert exported("Auth.BL.example.") == ["192.0.2.2"]
    with pytest.raises(ConfigError, match=r"list has no zone other\.example; it has bl\.example, auth\.bl\.example"):
        exported("other.example")
