"""Every test that asks for `place` runs on SQLite and on PostgreSQL."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.postgresql import Server


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where a new ledger may lie: a file's path, or the URL of an empty schema."""
    if request.param == "sqlite":
        return tmp_path / "ledger.sqlite"
    server: Server = request.getfixturevalue("postgresql_server")
    return server.new_url()
