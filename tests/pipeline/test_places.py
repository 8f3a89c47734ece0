"""Where a ledger is looked for."""

from pathlib import Path

import pytest
from tests.pipeline.mail import day, message, received
from tests.pipeline.stores import assert_same, decisions, ingested
from tests.postgresql import PASSWORD, Server

from whimbrel.errors import ConfigError, StoreError
from whimbrel.pipeline.places import (
    LEDGER_FILE,
    LEDGER_URL_FILE,
    SNAPSHOT_FILE,
    keep_snapshot_at,
    ledger_place,
    snapshot_path,
)
from whimbrel.wire.snapshot import overlay_path


def _told(data_dir: Path, text: str, mode: int = 0o600) -> Path:
    data_dir.mkdir(exist_ok=True)
    path = data_dir / LEDGER_URL_FILE
    path.write_text(text)
    path.chmod(mode)
    return data_dir


def test_it_is_a_file_of_the_store_unless_told(tmp_path: Path) -> None:
    assert ledger_place(tmp_path) == tmp_path / LEDGER_FILE
    assert ledger_place(_told(tmp_path, "postgresql://a@b/c\n")) == "postgresql://a@b/c"


def test_a_store_knows_where_its_snapshot_is_kept(tmp_path: Path) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "mirror" / "the.list"
    data.mkdir()
    usual = data / SNAPSHOT_FILE
    keep_snapshot_at(data, usual)
    assert snapshot_path(data) == usual
    usual.write_text("an older list")
    overlay_path(usual).write_text("its changes")
    for _ in range(2):
        keep_snapshot_at(data, elsewhere)
        assert snapshot_path(data) == elsewhere
    assert not overlay_path(usual).exists()
    assert [each.name for each in data.iterdir()] == [SNAPSHOT_FILE]
    keep_snapshot_at(data, usual)
    assert snapshot_path(data) == usual
    assert not list(data.iterdir())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_url_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(StoreError, match=r"can be read by others.*chmod 600") as refusal:
        ledger_place(_told(tmp_path, "postgresql://a:secret@b/c\n", mode))
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("text", ["", "\n", "postgresql://a:secret@b/c\npostgresql://a:secret@b/d\n"])
def test_what_is_not_one_line_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="is not one line with a URL") as refusal:
        ledger_place(_told(tmp_path, text))
    assert "secret" not in str(refusal.value)


def test_a_store_whose_ledger_is_on_a_server_decides_the_same(tmp_path: Path, postgresql_server: Server) -> None:
    mail = tmp_path / "mail"
    mail.mkdir()
    for n in range(20):
        (mail / f"m{n}").write_bytes(message(received("24.1.2.3", day(n / 10), id_=f"{n}")))
    server = _told(tmp_path / "server", postgresql_server.new_url())
    for data_dir in (server, tmp_path / "file"):
        ingested(data_dir, [str(mail)], now=day(1))
        ingested(data_dir, [str(mail)], now=day(3))
    assert decisions(server)["listings"][0] or decisions(server)["events"]
    assert_same(decisions(server), decisions(tmp_path / "file"))
    assert not (server / LEDGER_FILE).exists()
    assert PASSWORD not in repr(ledger_place(tmp_path / "file"))
