"""AS tables in the MaxMind DB format (MMDB): GeoLite2-ASN, DB-IP, ipinfo and others, by the library `maxminddb`.

Keys of a record that are read: `autonomous_system_number` (MaxMind, DB-IP) or `asn`, a number or `AS64500` (ipinfo).
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import maxminddb
import pyarrow as pa

from whimbrel.errors import ConfigError
from whimbrel.lookups.ranges import NETWORKS, Range, keys

_MARK = b"\xab\xcd\xefMaxMind.com"  # begins the metadata, which lie in the last 128 KiB (the format, version 2.0)
_METADATA_OCTETS = 128 * 1024
_AS = re.compile(r"(?:AS)?([0-9]{1,10})", re.IGNORECASE | re.ASCII)


def is_mmdb(path: Path) -> bool:
    """Tell whether a file is one, by its content; raises ConfigError where it cannot be read."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _METADATA_OCTETS))
            return _MARK in file.read()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the path") from error


class MmdbTable:
    """A table in a file of this format; raises ConfigError where it is damaged, or is not about AS."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            self.digest = hashlib.file_digest(file, "sha256").hexdigest()
        try:
            self._reader = maxminddb.open_database(path)
            self._metadata = self._reader.metadata()
        except (maxminddb.InvalidDatabaseError, ValueError, TypeError, OSError) as error:
            raise self._damaged(error) from error
        self._other_keys = ""

    @property
    def notes(self) -> list[str]:
        """Return what is to be said of the file, a clause each."""
        return [f"MMDB of type {self._metadata.database_type[:60]!r}"]

    def look_up(self, hosts: pa.Array) -> pa.Table:
        """Return a row of `NETWORKS` for each of the hosts (canonical texts, each once) of which something is known."""
        try:
            rows = list(self._rows(hosts.to_pylist()))
        except (maxminddb.InvalidDatabaseError, UnicodeDecodeError) as error:
            raise self._damaged(error) from error
        if not rows and self._other_keys:
            raise ConfigError(
                f"{self._path}: names no AS (keys: {self._other_keys!r}); use a table of AS, such as GeoLite2-ASN"
            )
        columns = list(zip(*rows, strict=True)) or [(), (), ()]
        arrays = [pa.array(column, field.type) for column, field in zip(columns, NETWORKS, strict=True)]
        return pa.Table.from_arrays(arrays, schema=NETWORKS)

    def _rows(self, hosts: list[str]) -> Iterator[tuple[str, int, str]]:
        written: dict[tuple[bool, int, int], str] = {}  # a network is written once
        both = self._metadata.ip_version == 6
        for host, is_ipv6, number in zip(hosts, *(column.tolist() for column in keys(hosts)), strict=True):
            if is_ipv6 and not both:
                continue
            record, length = self._reader.get_with_prefix_len(host.partition("/")[0])
            if record is None:
                continue
            asn = self._asn(record)
            if asn is None:
                continue
            bits = 64 if is_ipv6 else 32
            above = max(bits - length, 0)  # a prefix narrower than a host is the host
            network = (is_ipv6, number >> above, above)
            if network not in written:
                first = number >> above << above
                written[network] = str(Range(6 if is_ipv6 else 4, first, first + (1 << above) - 1))
            yield host, asn, written[network]

    def _asn(self, record: object) -> int | None:
        """Return the AS of a record; None where it names none."""
        fields = record if isinstance(record, dict) else {}
        told = fields.get("autonomous_system_number", fields.get("asn"))
        if told is None:
            self._other_keys = self._other_keys or ", ".join(map(str, fields))[:60]
            return None
        found = _AS.fullmatch(str(told))
        if found is None and told:
            raise ConfigError(f"{self._path}: {str(told)[:60]!r} is no AS number; use a table of AS (GeoLite2-ASN)")
        return int(found[1]) or None if found else None

    def _damaged(self, error: Exception) -> ConfigError:
        return ConfigError(f"{self._path}: damaged MMDB ({str(error)[:120]!r}); fetch the file again")
