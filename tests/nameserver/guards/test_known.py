"""Files of known networks."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from whimbrel.errors import ConfigError
from whimbrel.nameserver.guards import known
from whimbrel.nameserver.guards.known import read_known


def test_networks_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "known"
    path.write_text("# ours\n198.51.100.0/24  # the mail servers\n\n  2001:db8::/48\n192.0.2.7\n")
    assert read_known(path) == tuple(map(ip_network, ("198.51.100.0/24", "2001:db8::/48", "192.0.2.7")))
    path.write_text("")
    assert read_known(path) == ()


def test_what_is_no_such_file_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "known"
    with pytest.raises(ConfigError, match="known: cannot be read"):
        read_known(path)
    for text in ("192.0.2.1/24", "example.com", "\0"):
        path.write_text(f"192.0.2.0/24\n{text}\n")
        with pytest.raises(ConfigError, match=r"known: line 2: .* is no network") as caught:
            read_known(path)
        assert "\n" not in str(caught.value)
    monkeypatch.setattr(known, "MOST", 2)
    path.write_text("192.0.2.1\n192.0.2.2\n192.0.2.3\n")
    with pytest.raises(ConfigError, match="3 networks; 2 at most"):
        read_known(path)
