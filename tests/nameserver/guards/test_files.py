from pathlib import Path

import pytest

from whimbrel.errors import ConfigError
from whimbrel.nameserver.guards.files import private_text


def test_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("a\n")
    path.chmod(0o600)
    assert private_text(path, "keys") == "a\n"
    for mode in (0o640, 0o604, 0o620):
        path.chmod(mode)
        with pytest.raises(ConfigError, match="chmod 600"):
            private_text(path, "keys")
    with pytest.raises(ConfigError, match=r"cannot be read.*it holds keys"):
        private_text(tmp_path / "none", "keys")
