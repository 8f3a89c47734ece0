from datetime import UTC, datetime, timedelta

import pytest
from tests import listed

from whimbrel.errors import ConfigError
from whimbrel.model.listing import FURTHER_MEANING, MEANING, Code, FurtherCode, Listing
from whimbrel.publishing import DEMO_TEXTS, TEXTS, Entries
from whimbrel.publishing.building import zone_of
from whimbrel.publishing.texts import DEMO_FURTHER_TEXTS, FURTHER_TEXTS
from whimbrel.wire.snapshot import Entry, Snapshot, Zone

BORN = datetime(2002, 7, 27, 12, tzinfo=UTC)
EXPIRES = BORN + timedelta(days=1)
NOW = BORN.timestamp()


def listing(target: str, code: Code = Code.SPAM_SOURCE, seconds: float = 3600) -> Listing:
    return listed.listing(target, code, BORN, seconds)


def built(*listings: Listing, zone: str = "bl.example") -> Snapshot:
    return Snapshot(Entries.of(listings).moment().snapshot(zone=zone, serial=1, born=BORN, expires=EXPIRES))


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
    kept = entries.moment().snapshot(zone="bl.example", serial=1, born=BORN, expires=EXPIRES)
    assert kept == Entries.of(left).moment().snapshot(zone="bl.example", serial=1, born=BORN, expires=EXPIRES)
    assert len(entries) == 2


HOUR = BORN + timedelta(hours=1)
SERVERS = ("localhost",)


def zone(name: str, *codes: Code | FurtherCode, demo: bool = False) -> Zone:
    return zone_of(name, SERVERS, None, codes=codes or None, demo=demo)


def cut(entries: Entries, *more: Zone, codes: list[Code | FurtherCode] | None = None, demo: bool = False) -> Snapshot:
    return Snapshot(
        entries.moment().snapshot(
            zone="bl.example", serial=1, born=BORN, expires=EXPIRES, more_zones=more, codes=codes, demo=demo
        )
    )


def code(entry: Entry | None) -> int | None:
    return None if entry is None else entry.code


def test_a_range_is_one_target() -> None:
    entries = Entries()
    entries.put("192.0.2.5-192.0.2.77", Code.INFECTED, HOUR)
    assert len(entries) == 1
    snapshot = cut(entries)
    listed = [last for last in range(256) if snapshot.find((4, 0xC0000200 | last), NOW)]
    assert listed == list(range(5, 78))
    assert entries.drop("192.0.2.5-192.0.2.77") == NOW + 3600
    assert len(entries) == 0


def test_what_is_excluded_is_not_listed_though_its_network_is() -> None:
    entries = Entries()
    entries.put("198.51.100.0/24", Code.NETWORK, HOUR)
    entries.put("198.51.100.9", Code.SPAM_SOURCE, HOUR)
    entries.put("2001:db8:5::/48", Code.NETWORK, HOUR)
    entries.exclude("198.51.100.9")
    entries.exclude("198.51.100.16/30", BORN + timedelta(seconds=100))
    entries.exclude("2001:db8:5:1::/64")
    snapshot = cut(entries)
    for later, free in ((0, {9, 16, 17, 18, 19}), (100, {9})):
        found = {last for last in range(256) if snapshot.find((4, 0xC6336400 | last), NOW + later) is None}
        assert found == free
    assert code(snapshot.find((6, 0x20010DB8_00050001 << 64 | 7), NOW)) is None
    assert code(snapshot.find((6, 0x20010DB8_00050002 << 64 | 7), NOW)) == Code.NETWORK
    entries.drop("198.51.100.9", excluded=True)
    assert code(cut(entries).find((4, 0xC6336409), NOW)) == Code.SPAM_SOURCE
    entries.drop("198.51.100.9")
    assert code(cut(entries).find((4, 0xC6336409), NOW)) == Code.NETWORK


def test_names_are_listed_alone_or_with_all_beneath_and_excluded() -> None:
    entries = Entries()
    entries.put_name("Spam.example", FurtherCode.SPAMVERTISED, HOUR, wildcard=True)
    entries.put_name("phish.example.org", FurtherCode.PHISHING, HOUR)
    entries.exclude_name("good.spam.example")
    entries.exclude_name("best.spam.example", wildcard=True)
    snapshot = cut(entries)
    for name, expected in (
        ("spam.example", 0x0102),
        ("www.spam.example", 0x0102),
        ("good.spam.example", None),
        ("x.good.spam.example", 0x0102),
        ("x.best.spam.example", None),
        ("phish.example.org", 0x0104),
        ("x.phish.example.org", None),
        ("example.org", None),
        ("test", 0x0102),
        ("127-0-3-15.test", 0x030F),
        ("invalid", None),
    ):
        assert code(snapshot.find_name(tuple(name.encode().split(b".")), NOW)) == expected, name
    entry = snapshot.find_name((b"www", b"spam", b"example"), NOW)
    assert entry is not None
    assert entry.reason("") == "spam.example is listed as spamvertised domain until 2002-07-27 13:00 UTC"
    assert entries.drop_name("spam.example", wildcard=True) == NOW + 3600
    assert entries.drop_name("spam.example") is None
    assert cut(entries).find_name((b"www", b"spam", b"example"), NOW) is None


def test_zones_show_their_codes_and_their_own_test_entries() -> None:
    entries = Entries()
    entries.put("192.0.2.1", Code.INFECTED, HOUR)
    entries.put("192.0.2.2", FurtherCode.COMPROMISED_ACCOUNT, HOUR)
    entries.put_name("spam.example", FurtherCode.SPAMVERTISED, HOUR)
    auth = zone("auth.bl.example", FurtherCode.COMPROMISED_ACCOUNT)
    names = zone("names.bl.example", FurtherCode.SPAMVERTISED, FurtherCode.MALICIOUS_FILE)
    every = zone("all.bl.example", *Code, FurtherCode.SPAMVERTISED)
    snapshot = cut(entries, auth, names, every, codes=list(Code))
    main = snapshot.zone
    assert [each.name for each in snapshot.zones] == [f"{name}bl.example" for name in ("", "auth.", "names.", "all.")]
    for address, shown in (
        (0xC0000201, {main: 4, every: 4}),
        (0xC0000202, {auth: 20}),
        (0x7F000002, {main: 2, auth: 20, every: 2}),
        (0x7F000014, {auth: 20}),
        (0x7F000004, {main: 4, every: 4}),
        (0x7F000001, {}),
    ):
        for each in snapshot.zones:
            assert code(snapshot.find((4, address), NOW, each)) == shown.get(each), (each.name, address)
    for name, shown in ((b"test", {names: 0x0102, every: 0x0102}), (b"invalid", {})):
        for each in snapshot.zones:
            assert code(snapshot.find_name((name,), NOW, each)) == shown.get(each)


def test_a_compromised_account_stands_in_no_zone_that_mail_servers_block_by() -> None:
    entries = Entries()
    entries.put("192.0.2.2", FurtherCode.COMPROMISED_ACCOUNT, HOUR)
    for more in ([], [zone("all.bl.example", *Code, FurtherCode.COMPROMISED_ACCOUNT)]):
        with pytest.raises(ConfigError, match=r"zone .*bl.example: mail servers block .* 127\.0\.0\.20 must not"):
            cut(entries, *more, codes=list(Code) if more else None)


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ([zone("BL.example.")], "two zones have one name"),
        ([zone("other.example", demo=True)], "cannot stand in one list"),
    ],
)
def test_zones_that_contradict_each_other_are_refused(more: list[Zone], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        cut(Entries(), *more)
    with pytest.raises(ConfigError, match="shows no code"):
        zone_of("bl.example", SERVERS, None, codes=[])


def test_codes_of_names_and_addresses_are_not_mixed_up() -> None:
    with pytest.raises(ConfigError, match="is of names"):
        Entries().put("192.0.2.1", FurtherCode.PHISHING, HOUR)
    for wrong in (Code.SPAM_SOURCE, FurtherCode.COMPROMISED_ACCOUNT):
        with pytest.raises(ConfigError, match="is of addresses"):
            Entries().put_name("spam.example", wrong, HOUR)


@pytest.mark.parametrize("code", list(FurtherCode))
def test_texts_of_further_codes(code: FurtherCode) -> None:
    text = FURTHER_TEXTS[code]
    assert FURTHER_MEANING[code] in text
    assert text.startswith("{name}" if code >= 256 else "{address}")
    assert DEMO_FURTHER_TEXTS[code].startswith("demo")
    entries = Entries()
    if code >= 256:
        entries.put_name("spam.example", code, HOUR)
        entry = cut(entries, demo=True).find_name((b"spam", b"example"), NOW)
        assert entry is not None
        assert entry.text.startswith("demo")
