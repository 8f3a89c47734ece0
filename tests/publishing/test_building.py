from datetime import UTC, datetime, timedelta

import pytest
from tests import listed

from whimbrel.errors import ConfigError
from whimbrel.model.listing import MEANING, Code, Listing
from whimbrel.publishing import DEMO_TEXTS, TEXTS, Entries
from whimbrel.wire.snapshot import Snapshot

BORN = datetime(2002, 7, 27, 12, tzinfo=UTC)
EXPIRES = BORN + timedelta(days=1)
NOW = BORN.timestamp()


def listing(target: str, code: Code = Code.SPAM_SOURCE, seconds: float = 3600) -> Listing:
    return listed.listing(target, code, BORN, seconds)


def built(*listings: Listing, zone: str = "bl.example") -> Snapshot:
    return Snapshot(Entries.of(listings).snapshot(zone=zone, serial=1, born=BORN, expires=EXPIRES))


def test_what_is_listed_is_found_with_its_code_and_end() -> None:
    snapshot = built(
        listing("192.0.2.1", Code.INFECTED, 60.9),
        listing("198.51.100.0/24", Code.NETWORK),
        listing("2001:db8::/64", Code.SNOWSHOE),
        listing("2001:db8:5::/48", Code.NETWORK),
        listing("192.0.2.2", seconds=0),
    )
    found = snapshot.find((4, 0xC0000201), NOW)
    assert found is not None
    assert (found.code, found.until) == (Code.INFECTED, NOW + 60)  # a second is rounded down, too
    for address, code in (
        ((4, 0xC6336409), Code.NETWORK),
        ((6, 0x20010DB8 << 96 | 1), Code.SNOWSHOE),
        ((6, 0x20010DB8_0005_FFFF << 64), Code.NETWORK),
    ):
        entry = snapshot.find(address, NOW)
        assert entry is not None
        assert entry.code == code
    assert snapshot.find((4, 0xC0000202), NOW) is None


def test_test_entries_are_there_until_the_list_expires() -> None:
    snapshot = built()
    for last in range(256):
        entry = snapshot.find((4, 0x7F000000 | last), EXPIRES.timestamp() - 1)
        assert (entry.code if entry else None) == (last if last in set(Code) else None)
    assert len(snapshot) == len(Code)


@pytest.mark.parametrize(
    "target",
    [
        "0.0.0.0/0",
        "128.0.0.0/7",
        "127.0.0.1",
        "127.0.0.0/16",
        "::/0",
        "::/64",
        "2001:db8::1",
        "2001::/15",
        "192.0.2.1/24",
        "mail",
    ],
)
def test_what_can_only_be_a_mistake_is_not_published(target: str) -> None:
    with pytest.raises(ConfigError, match="listing of "):
        built(listing(target))


@pytest.mark.parametrize("zone", ["", ".", "a..b", "x" * 64, "bücher.example"])
def test_a_bad_zone_is_one_line(zone: str) -> None:
    with pytest.raises(ConfigError, match="zone"):
        built(zone=zone)


@pytest.mark.parametrize("code", list(Code))
def test_texts_say_what_until_when_and_how_to_ask_why(code: Code) -> None:
    text = TEXTS[code]
    for said in (MEANING[code], "{until}", "whimbrel why {address}"):
        assert said in text
    assert DEMO_TEXTS[code].startswith("demo")
    longest = DEMO_TEXTS[code].replace("{address}", "2001:db8:1234:5678:1234:5678:1234:5678")
    assert len(longest.replace("{until}", "2002-07-27 12:00 UTC").encode()) <= 255  # one piece of a TXT record


def test_entries_kept_change_by_change_give_the_same_bytes_as_the_listings_they_end_with() -> None:
    entries = Entries()
    entries.put("192.0.2.1", Code.SPAM_SOURCE, BORN + timedelta(hours=1))
    entries.put("192.0.2.1", Code.INFECTED, BORN + timedelta(hours=2))
    entries.put("198.51.100.0/24", Code.NETWORK, BORN + timedelta(hours=1))
    entries.put("2001:db8::/64", Code.SNOWSHOE, BORN + timedelta(hours=1))
    entries.put("192.0.2.9", Code.SPAM_SOURCE, BORN + timedelta(hours=1))
    assert entries.drop("192.0.2.9") == NOW + 3600
    assert entries.drop("2001:db8::/64") == NOW + 3600
    assert entries.drop("203.0.113.1") is None
    left = [listing("192.0.2.1", Code.INFECTED, 7200), listing("198.51.100.0/24", Code.NETWORK)]
    kept = entries.snapshot(zone="bl.example", serial=1, born=BORN, expires=EXPIRES)
    assert kept == Entries.of(left).snapshot(zone="bl.example", serial=1, born=BORN, expires=EXPIRES)
    assert len(entries) == 2
