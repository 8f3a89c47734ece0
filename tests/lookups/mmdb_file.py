"""Writes small MMDB files, by the format's description (version 2.0), for the real library to read."""

import ipaddress
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_SEPARATOR = b"\x00" * 16
_MARK = b"\xab\xcd\xefMaxMind.com"
_IPV4_BITS = 96  # an IPv4 address lies in an IPv6 tree after so many zeros


class _Short(int):
    """An unsigned integer of two octets: readers insist on the very types of the metadata."""


class _Long(int):
    """One of eight octets."""


def write_mmdb(path: Path, records: Mapping[str, Mapping[str, Any]], *, ip_version: int = 6, kind: str = "ASN") -> Path:
    """Write records by network; where networks lie within each other, give the wider one first."""
    tree: list[list[Any]] = [[None, None]]
    data, places = b"", {}
    for network, record in records.items():
        packed = _encoded(record)
        if packed not in places:
            places[packed] = len(data)
            data += packed
        _insert(tree, _bits(network, ip_version), ("data", places[packed]))
    count = len(tree)
    nodes = b"".join(_pointer(side, count) for node in tree for side in node)
    metadata = _encoded(
        {
            "node_count": count,
            "record_size": _Short(32),
            "ip_version": _Short(ip_version),
            "database_type": kind,
            "languages": ["en"],
            "binary_format_major_version": _Short(2),
            "binary_format_minor_version": _Short(0),
            "build_epoch": _Long(1_767_225_600),
            "description": {"en": "x"},
        }
    )
    path.write_bytes(nodes + _SEPARATOR + data + _MARK + metadata)
    return path


def _bits(network: str, ip_version: int) -> list[int]:
    parsed = ipaddress.ip_network(network)
    text = f"{int(parsed.network_address):0{parsed.max_prefixlen}b}"[: parsed.prefixlen]
    if ip_version == 6 and parsed.version == 4:
        text = "0" * _IPV4_BITS + text
    return [int(bit) for bit in text]


def _insert(tree: list[list[Any]], bits: list[int], value: Any) -> None:
    node = 0
    for bit in bits[:-1]:
        below = tree[node][bit]
        if not isinstance(below, int):
            tree.append([below, below])  # what held for the whole holds for both halves
            below = tree[node][bit] = len(tree) - 1
        node = below
    tree[node][bits[-1]] = value


def _pointer(side: Any, count: int) -> bytes:
    if side is None:
        return struct.pack(">I", count)
    return struct.pack(">I", side if isinstance(side, int) else count + len(_SEPARATOR) + side[1])


def _encoded(value: Any) -> bytes:
    if isinstance(value, str):
        return _head(2, len(value.encode())) + value.encode()
    if isinstance(value, int):
        packed = value.to_bytes(8).lstrip(b"\x00")
        return _head({_Short: 5, _Long: 9}.get(type(value), 6), len(packed)) + packed
    if isinstance(value, Mapping):
        return _head(7, len(value)) + b"".join(_encoded(key) + _encoded(each) for key, each in value.items())
    return _head(11, len(value)) + b"".join(map(_encoded, value))


def _head(kind: int, size: int) -> bytes:
    assert size < 285
    more = b"" if size < 29 else bytes([size - 29])
    low = min(size, 29)
    return bytes([kind << 5 | low]) + more if kind < 8 else bytes([low, kind - 7]) + more
