"""AS tables in the MMDB format, written by the format's description and read by the real library."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.lookups.mmdb_file import write_mmdb

from whimbrel.errors import ConfigError
from whimbrel.lookups.mmdb import MmdbTable, is_mmdb

RECORDS: dict[str, dict[str, Any]] = {
    "192.0.2.0/24": {"autonomous_system_number": 64500, "autonomous_system_organization": "Example"},
    "198.51.100.0/25": {"asn": "AS64501", "name": "Example"},
    "203.0.113.0/24": {"autonomous_system_number": 0},
    "2001:db8::/32": {"asn": 64502},
    "2001:db9::1/128": {"asn": 64503},
}
HOSTS = ["192.0.2.9", "198.51.100.9", "198.51.100.200", "203.0.113.9", "2001:db8:0:9::/64", "2001:db9::/64", "10.0.0.1"]


def known(path: Path, hosts: list[str]) -> dict[str, tuple[Any, Any]]:
    rows = MmdbTable(path).look_up(pa.array(hosts, pa.string())).to_pylist()
    return {row["host"]: (row["asn"], row["prefix"]) for row in rows}


def test_both_spellings_of_an_as_and_the_network(tmp_path: Path) -> None:
    path = write_mmdb(tmp_path / "as.mmdb", RECORDS)
    assert is_mmdb(path)
    assert known(path, HOSTS) == {
        "192.0.2.9": (64500, "192.0.2.0/24"),
        "198.51.100.9": (64501, "198.51.100.0/25"),
        "2001:db8:0:9::/64": (64502, "2001:db8::/32"),
    }
    assert known(path, []) == {}


def test_a_table_of_ipv4_alone_knows_no_ipv6(tmp_path: Path) -> None:
    path = write_mmdb(tmp_path / "as.mmdb", {"192.0.2.0/24": {"asn": 1}}, ip_version=4)
    assert known(path, HOSTS) == {"192.0.2.9": (1, "192.0.2.0/24")}


def test_the_digest_is_of_the_content(tmp_path: Path) -> None:
    one = MmdbTable(write_mmdb(tmp_path / "one", RECORDS)).digest
    assert MmdbTable(write_mmdb(tmp_path / "same", RECORDS)).digest == one
    assert MmdbTable(write_mmdb(tmp_path / "other", {"192.0.2.0/24": {"asn": 2}})).digest != one


def test_a_table_of_something_else_is_one_line(tmp_path: Path) -> None:
    path = write_mmdb(tmp_path / "country", {"192.0.2.0/24": {"country": "ZZ", "registered": "ZZ"}}, kind="Country")
    assert MmdbTable(path).notes == ["MMDB of type 'Country'"]
    with pytest.raises(ConfigError, match=r"names no AS \(keys: 'country, registered'\)"):
        known(path, HOSTS)
    path = write_mmdb(tmp_path / "odd", {"192.0.2.0/24": {"asn": "Example"}})
    with pytest.raises(ConfigError, match="'Example' is no AS number"):
        known(path, HOSTS)


def test_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    whole = write_mmdb(tmp_path / "whole", RECORDS).read_bytes()
    path = tmp_path / "damaged"
    said = []
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + b"\xff" * 5 + whole[at + 5 :])
        if not is_mmdb(path):
            continue
        try:
            known(path, HOSTS)
        except ConfigError as error:
            said.append(str(error))
    assert len(said) > 10
    assert all(line.isprintable() for line in said)
    path.write_bytes(whole[len(whole) // 2 :])
    with pytest.raises(ConfigError, match="damaged MMDB"):
        known(path, HOSTS)
