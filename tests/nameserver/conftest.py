"""The small world that the name server is asked about."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from tests import listed

from whimbrel.model.listing import Code, Listing
from whimbrel.publishing import Entries
from whimbrel.wire.snapshot import Snapshot

BORN = datetime(2002, 7, 27, 12, tzinfo=UTC)
EXPIRES = BORN + timedelta(days=1)

MakeListing = Callable[..., Listing]
MakeData = Callable[..., bytes]


@pytest.fixture(scope="session")
def now() -> float:
    """A minute after the snapshot was cut."""
    return BORN.timestamp() + 60


@pytest.fixture(scope="session")
def listing() -> MakeListing:
    """Make a listing of a target, by default an hour's."""

    def make(target: str, code: Code = Code.SPAM_SOURCE, seconds: int = 3600) -> Listing:
        return listed.listing(target, code, BORN, seconds)

    return make


@pytest.fixture(scope="session")
def snapshot_of() -> MakeData:
    """Make a snapshot's bytes of some listings."""

    def make(*listings: Listing, serial: int = 7, expires: datetime = EXPIRES) -> bytes:
        return Entries.of(listings).moment().snapshot(zone="bl.example", serial=serial, born=BORN, expires=expires)

    return make


@pytest.fixture(scope="session")
def world_data(listing: MakeListing, snapshot_of: MakeData) -> bytes:
    """Two IPv4 hosts, one of them for 40 s more; a /24 with an ended host in it; an IPv6 /64 and a /48."""
    return snapshot_of(
        listing("192.0.2.1", Code.INFECTED),
        listing("192.0.2.200", Code.OPEN_PROXY, 100),
        listing("198.51.100.0/24", Code.NETWORK),
        listing("198.51.100.9", Code.SPAM_SOURCE, 30),
        listing("2001:db8:1:2::/64", Code.SNOWSHOE),
        listing("2001:db8:ffff::/48", Code.NETWORK),
    )


@pytest.fixture(scope="session")
def world(world_data: bytes) -> Snapshot:
    return Snapshot(world_data)


@pytest.fixture(scope="session")
def overlay_of() -> MakeData:
    """Make an overlay's bytes: of a snapshot, with what is listed now and what is not listed any more."""

    def make(snapshot: bytes, *listings: Listing, gone: tuple[str, ...] = (), number: int = 1) -> bytes:
        entries = Entries()
        for target in gone:
            entries.put(target, Code.INFECTED, EXPIRES)
        entries.begin_overlay()
        for each in listings:
            entries.put(each.target, each.code, each.until)
        for target in gone:
            entries.drop(target)
        return entries.overlay(Snapshot(snapshot).base, number=number, born=BORN)

    return make
