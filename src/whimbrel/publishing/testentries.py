"""The test entries that every zone must have (RFC 5782, section 5), whatever else is listed.

An IPv4 zone lists 127.0.0.2 (and IPv6's form of it, which is the same entry), a zone of names lists `test`; and each
code has an entry of its own: 127.0.0.N, or a name that says the answer, as `127-0-1-4.test`.
"""

from collections.abc import Iterable

from whimbrel.model.listing import Code, FurtherCode
from whimbrel.wire.snapshot import Zone
from whimbrel.wire.snapshot.layout import NAME_CODES
from whimbrel.wire.snapshot.names import wire_of

_LOCALNET = 127 << 24
_TEST_ADDRESS = _LOCALNET | 2
_TEST_NAME = b"test"

AnyCode = Code | FurtherCode


def codes_of(zone: Zone, *, has_names: bool) -> list[AnyCode]:
    """Return the codes that a zone is tested for, ascending.

    A zone that shows every code is one of addresses, and of names if the list `has_names`.
    """
    every: list[AnyCode] = [*Code, *FurtherCode]
    if zone.codes is None:
        return [*Code, *(code for code in FurtherCode if has_names and code >= NAME_CODES)]
    return sorted(code for code in every if code in zone.codes)


def addresses(zones: Iterable[Zone]) -> set[tuple[int, AnyCode]]:
    """Return IPv4 addresses and the codes they are listed with."""
    found: set[tuple[int, AnyCode]] = set()
    for zone in zones:
        codes = [code for code in codes_of(zone, has_names=False) if code < NAME_CODES]
        found |= {(_LOCALNET | code, code) for code in codes} | {(_TEST_ADDRESS, code) for code in codes[:1]}
    return found


def names(zones: Iterable[Zone], *, has_names: bool) -> set[tuple[bytes, AnyCode]]:
    """Return names in wire form and the codes they are listed with."""
    found: set[tuple[bytes, AnyCode]] = set()
    for zone in zones:
        codes = [code for code in codes_of(zone, has_names=has_names) if code >= NAME_CODES]
        found |= {(wire_of((_dashed(code), _TEST_NAME)), code) for code in codes}
        found |= {(wire_of((_TEST_NAME,)), code) for code in codes[:1]}
    return found


def _dashed(code: int) -> bytes:
    return f"127-{code >> 16}-{code >> 8 & 255}-{code & 255}".encode()
