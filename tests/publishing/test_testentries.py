"""Every zone has its test entries, by the rule of RFC 5782, section 5."""

import pytest

from whimbrel.model.listing import Code, FurtherCode
from whimbrel.publishing import testentries
from whimbrel.publishing.building import zone_of
from whimbrel.wire.snapshot import Zone

MAIN = zone_of("bl.example", ("localhost",), None)
AUTH = zone_of("auth.bl.example", ("localhost",), None, codes=[FurtherCode.COMPROMISED_ACCOUNT])
WORMS = zone_of("worms.bl.example", ("localhost",), None, codes=[Code.INFECTED, Code.OPEN_PROXY])
HASHES = zone_of("hash.bl.example", ("localhost",), None, codes=[FurtherCode.SUSPICIOUS_FILE])


def test_of_addresses() -> None:
    first = 0x7F000000
    assert testentries.addresses([MAIN]) == {(first | code, code) for code in Code}
    assert testentries.addresses([AUTH]) == {(first | 2, 20), (first | 20, 20)}
    assert testentries.addresses([WORMS]) == {(first | 2, 4), (first | 4, 4), (first | 6, 6)}
    assert testentries.addresses([HASHES]) == set()


@pytest.mark.parametrize("zone", [AUTH, WORMS])
def test_of_names_a_zone_of_addresses_has_none(zone: Zone) -> None:
    assert testentries.names([zone], has_names=True) == set()


def test_of_names() -> None:
    assert testentries.names([HASHES], has_names=False) == {
        (b"\x04test", 0x030F),
        (b"\x0a127-0-3-15\x04test", 0x030F),
    }
    assert testentries.names([MAIN], has_names=False) == set()
    every = testentries.names([MAIN, HASHES], has_names=True)
    assert {(b"\x04test", 0x0102), (b"\x04test", 0x030F), (b"\x09127-0-1-4\x04test", 0x0104)} <= every
    assert len(every) == 7
