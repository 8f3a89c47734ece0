"""The guards in their order, around the answers of the small world."""

import os
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whimbrel.errors import ConfigError
from whimbrel.nameserver import answer
from whimbrel.nameserver.guards.client import client_at
from whimbrel.nameserver.guards.counts import Count, counts_of_nothing
from whimbrel.nameserver.guards.guard import Guard, kind_of
from whimbrel.nameserver.guards.limits import Kind
from whimbrel.nameserver.guards.settings import GuardSettings
from whimbrel.wire.snapshot import Snapshot

KEY = "abcdefghijklmnopqrstuvwx23"
HOST = "192.0.2.53"
OURS = b"12345678"

Message = dns.message.Message


class Asking:
    """A guard with a client before it."""

    def __init__(self, world: Snapshot, now: float, **said: Any) -> None:
        self.guard = Guard(GuardSettings(**{"exempt": ()} | said), counts_of_nothing())
        self.world, self.now, self.now_ms = world, now, 0

    def raw(self, packet: bytes, host: str = HOST, *, tcp: bool = False) -> bytes | None:
        return self.guard.respond(packet, client_at(host), self.world, self.now, self.now_ms, tcp=tcp)

    def __call__(
        self, name: str, type_: str = "A", *, host: str = HOST, tcp: bool = False, cookie: bytes = b"", **edns: Any
    ) -> Message | None:
        query = dns.message.make_query(f"{name}bl.example.", type_, **edns)
        if cookie:
            query.use_edns(0, options=[dns.edns.GenericOption(dns.edns.OptionType.COOKIE, cookie)], **edns)
        response = self.raw(query.to_wire(), host, tcp=tcp)
        if response is None:
            return None
        message = dns.message.from_wire(response)
        assert query.is_response(message)
        return message

    def count(self, what: Count) -> int:
        return int(self.guard.counts.totals[what])


@pytest.fixture
def asking(world: Snapshot, now: float) -> Callable[..., Asking]:
    return lambda **said: Asking(world, now, **said)


def cookie_of(message: Message | None) -> bytes:
    assert message is not None
    (option,) = message.options
    assert option.otype == dns.edns.OptionType.COOKIE
    return option.to_wire() or b""


def addresses(message: Message | None) -> list[str]:
    assert message is not None
    return [record.to_text() for rrset in message.answer for record in rrset]


@given(packet=st.binary(max_size=80), tcp=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_packet_is_answered_as_ever(asking: Callable[..., Asking], packet: bytes, *, tcp: bool) -> None:
    """Without limits, keys and cookies the guard changes nothing."""
    guard = asking(rate=0)
    assert guard.raw(packet, tcp=tcp) == answer(packet, guard.world, guard.now, tcp=tcp)


# Cookies


def test_a_client_cookie_gets_a_server_cookie_which_is_good_the_next_time(asking: Callable[..., Asking]) -> None:
    ask = asking()
    first = cookie_of(ask("1.2.0.192.", cookie=OURS))
    assert (first[:8], len(first)) == (OURS, 24)
    assert ask.count(Count.UNPROVED) == 1
    for tcp in (False, True):
        answered = ask("1.2.0.192.", cookie=first, tcp=tcp)
        assert cookie_of(answered) == first
        assert addresses(answered) == ["127.0.0.4"]
    assert ask.count(Count.PROVED) == 2
    assert cookie_of(ask("1.2.0.192.", cookie=first, host="192.0.2.54")) != first


def test_without_a_cookie_none_is_sent(asking: Callable[..., Asking]) -> None:
    answered = asking()("1.2.0.192.", use_edns=0)
    assert answered is not None
    assert answered.options == ()


@pytest.mark.parametrize("length", [1, 7, 9, 15, 41])
def test_a_cookie_of_a_wrong_length_is_a_format_error(asking: Callable[..., Asking], length: int) -> None:
    query = dns.message.make_query("1.2.0.192.bl.example.", "A")
    query.use_edns(0, options=[dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"x" * length)])
    response = asking().raw(query.to_wire())
    assert response is not None
    assert response[3] & 0xF == dns.rcode.FORMERR


def test_of_two_cookies_the_first_counts_and_other_options_are_passed_over(asking: Callable[..., Asking]) -> None:
    query = dns.message.make_query("1.2.0.192.bl.example.", "A")
    cookies = [dns.edns.GenericOption(dns.edns.OptionType.COOKIE, each * 8) for each in (b"a", b"b")]
    query.use_edns(0, options=[dns.edns.GenericOption("NSID", b"xyz"), *cookies])
    response = asking().raw(query.to_wire())
    assert response is not None
    assert cookie_of(dns.message.from_wire(response))[:8] == b"a" * 8


def test_our_own_secret_changes_daily_and_the_one_before_stays_good(asking: Callable[..., Asking]) -> None:
    ask = asking()
    ask.guard.tend(ask.now)
    shown = cookie_of(ask("1.2.0.192.", cookie=OURS))
    ask.guard.tend(ask.now + 86_400)
    renewed = cookie_of(ask("1.2.0.192.", cookie=shown))
    assert ask.count(Count.PROVED) == 1
    assert renewed != shown
    ask.guard.tend(ask.now + 2 * 86_400)
    ask("1.2.0.192.", cookie=shown)
    assert ask.count(Count.PROVED) == 1


def test_secrets_are_read_again_and_a_bad_file_changes_nothing(
    tmp_path: Path, asking: Callable[..., Asking], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "secrets"

    def write(text: str) -> None:
        path.write_text(text)
        path.chmod(0o600)
        os.utime(path, ns=(stamp := path.stat().st_mtime_ns + len(caplog.messages) + len(text), stamp))

    write(f"a {'01' * 16}\n")
    ask, other = asking(cookie_secrets=path), asking(cookie_secrets=path)
    shown = cookie_of(ask("1.2.0.192.", cookie=OURS))
    assert cookie_of(other("1.2.0.192.", cookie=shown)) == shown  # servers that share take each other's
    write(f"b {'02' * 16}\na {'01' * 16}\n")
    ask.guard.tend(ask.now)
    assert cookie_of(ask("1.2.0.192.", cookie=shown)) != shown
    write("nonsense\n")
    ask.guard.tend(ask.now)
    ask("1.2.0.192.", cookie=shown)
    assert ask.count(Count.PROVED) == 2
    assert "stays in force" in caplog.text


# Limits


def test_a_flood_over_udp_is_limited_and_one_in_two_goes_out_empty(asking: Callable[..., Asking]) -> None:
    ask = asking(rate=5)
    answered = [ask("1.2.0.192.") for _ in range(15)]
    assert [bool(each and each.answer) for each in answered] == [True] * 5 + [False] * 10
    assert [each is None for each in answered[5:]] == [True, False] * 5
    for each in answered[6::2]:
        assert each is not None
        assert each.flags & dns.flags.TC
        assert (len(each.question), each.answer, each.authority) == (1, [], [])
    assert (ask.count(Count.LIMITED), ask.count(Count.SLIPPED)) == (5, 5)
    assert ask("1.2.0.192.", tcp=True) is not None
    assert ask("1.2.0.192.", host="198.51.100.1") is not None
    assert ask("1.2.0.192.", host="192.0.2.99") is None or ask("1.2.0.192.", host="192.0.2.99") is None
    ask.now_ms += 20_000
    assert addresses(ask("1.2.0.192.")) == ["127.0.0.4"]


def test_who_proves_his_address_is_not_limited_and_learns_how_in_the_flood(asking: Callable[..., Asking]) -> None:
    ask = asking(rate=5, slip=1)
    for _ in range(5):
        ask("1.2.0.192.")
    told = ask("1.2.0.192.", cookie=OURS)
    assert told is not None
    assert told.rcode() == dns.rcode.BADCOOKIE
    assert not told.answer
    assert not told.flags & dns.flags.TC
    for _ in range(50):
        assert addresses(ask("1.2.0.192.", cookie=cookie_of(told))) == ["127.0.0.4"]
    assert int(ask.guard.counts.rcodes[dns.rcode.BADCOOKIE]) == 1


def test_exempt_networks_and_tcp_are_not_limited(asking: Callable[..., Asking]) -> None:
    ask = asking(rate=1, exempt=("192.0.2.0/25",))
    assert all(ask("1.2.0.192.") for _ in range(20))
    assert all(ask("1.2.0.192.", host="192.0.2.200", tcp=True) for _ in range(20))
    assert ask("1.2.0.192.", host="192.0.2.200")
    assert ask("1.2.0.192.", host="192.0.2.200") is None


def test_loopback_is_exempt_unless_told_otherwise(world: Snapshot, now: float) -> None:
    ask = Asking(world, now, rate=1, exempt=GuardSettings().exempt)
    assert all(ask("1.2.0.192.", host=host) for host in ("127.0.0.1", "127.9.9.9", "::1") for _ in range(5))


def test_what_is_no_question_is_limited_too(asking: Callable[..., Asking]) -> None:
    ask = asking(rate=2, slip=1)
    packet = b"\0\1\x28\0" + bytes(8)  # an update
    assert [ask.raw(packet) for _ in range(4)] == [b"\0\1\xa8\x04" + bytes(8)] * 4
    assert ask.count(Count.SLIPPED) == 2


def test_kinds_of_answers(asking: Callable[..., Asking]) -> None:
    ask = asking(rate=0)

    def kind(name: str, type_: str = "A") -> Kind:
        return kind_of(ask.raw(dns.message.make_query(name, type_).to_wire()) or b"")

    assert kind("1.2.0.192.bl.example.") == Kind.POSITIVE
    assert kind("2.2.0.192.bl.example.") == kind("1.2.0.192.bl.example.", "MX") == Kind.NEGATIVE
    assert kind("www.example.") == Kind.ERROR


# Access


def test_who_is_denied_is_refused(asking: Callable[..., Asking]) -> None:
    ask = asking(deny=("192.0.2.0/24",))
    for tcp in (False, True):
        refused = ask("1.2.0.192.", tcp=tcp)
        assert refused is not None
        assert (refused.rcode(), refused.answer) == (dns.rcode.REFUSED, [])
    assert ask.count(Count.DENIED) == 2
    assert addresses(ask("1.2.0.192.", host="198.51.100.1")) == ["127.0.0.4"]


# Subscribers


@pytest.fixture
def subscribers(tmp_path: Path) -> Path:
    path = tmp_path / "subscribers"
    path.write_text(f"acme {KEY} 20\n")
    path.chmod(0o600)
    return path


NAMES = ["1.2.0.192.", "2.2.0.192.", "2.0.192.", "9.100.51.198.", "x."]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("type_", ["A", "TXT", "ANY", "MX"])
def test_a_key_changes_nothing_but_the_question(
    asking: Callable[..., Asking], subscribers: Path, name: str, type_: str
) -> None:
    ask = asking(subscribers=subscribers)
    plain, keyed = ask(name, type_, use_edns=0), ask(f"{name}{KEY.upper()}.", type_, use_edns=0)
    assert plain is not None
    assert keyed is not None
    assert keyed.rcode() == plain.rcode()
    assert addresses(keyed) == addresses(plain)
    assert keyed.authority == plain.authority
    assert [rrset.ttl for rrset in keyed.answer] == [rrset.ttl for rrset in plain.answer]
    assert KEY not in " ".join(addresses(keyed)).lower()
    assert KEY not in str(keyed.authority).lower()


def test_a_key_alone_exists_and_has_no_records(asking: Callable[..., Asking], subscribers: Path) -> None:
    ask = asking(subscribers=subscribers)
    for type_ in ("A", "NS", "SOA", "ANY"):
        found = ask(f"{KEY}.", type_)
        assert found is not None
        assert (found.rcode(), found.answer) == (dns.rcode.NOERROR, [])
        assert str(found.authority[0].name) == "bl.example."


def test_over_quota_is_an_error_and_never_listed(asking: Callable[..., Asking], subscribers: Path) -> None:
    ask = asking(subscribers=subscribers)
    assert [addresses(ask(f"1.2.0.192.{KEY}.")) for _ in range(20)] == [["127.0.0.4"]] * 20
    for name in ("1.2.0.192.", "9.9.9.9."):
        over = ask(f"{name}{KEY}.")
        assert addresses(over) == ["127.255.255.255"]
        assert over is not None
        assert over.answer[0].ttl == 60
    assert "too many queries" in addresses(ask(f"1.2.0.192.{KEY}.", "TXT"))[0]
    assert addresses(ask(f"1.2.0.192.{KEY}.", "MX")) == []
    assert addresses(ask("1.2.0.192.")) == ["127.0.0.4"]  # who has no key is asked for none


def test_an_unknown_key_is_an_error(asking: Callable[..., Asking], subscribers: Path) -> None:
    ask = asking(subscribers=subscribers)
    assert addresses(ask(f"1.2.0.192.{KEY[:-1]}4.")) == ["127.255.255.255"]
    without = asking()
    found = without(f"1.2.0.192.{KEY}.")
    assert found is not None
    assert found.rcode() == dns.rcode.NXDOMAIN


def test_a_mistyped_list_is_an_error_where_keys_are(asking: Callable[..., Asking], subscribers: Path) -> None:
    ask = asking(subscribers=subscribers)
    assert addresses(ask("2.0.0.127.zne.")) == ["127.255.255.252"]
    assert "mistyped" in addresses(ask("2.0.0.127.zne.", "TXT"))[0]
    six = ".".join(reversed(ip_address("2001:db8::1").exploded.replace(":", "")))
    assert addresses(ask(f"{six}.zne.")) == ["127.255.255.252"]
    for name in ("0.127.zne.", "5.2.0.0.127.", "zne."):
        found = ask(name)
        assert found is not None
        assert found.rcode() == dns.rcode.NXDOMAIN


def test_public_resolvers_need_a_key(asking: Callable[..., Asking], subscribers: Path) -> None:
    ask = asking(subscribers=subscribers, public=("192.0.2.0/24",))
    assert addresses(ask("1.2.0.192.")) == ["127.255.255.254"]
    assert "public resolvers" in addresses(ask("1.2.0.192.", "TXT"))[0]
    assert addresses(ask(f"1.2.0.192.{KEY}.")) == ["127.0.0.4"]
    assert addresses(ask("", "SOA")) != []
    assert addresses(ask("1.2.0.192.", host="198.51.100.1")) == ["127.0.0.4"]
    assert addresses(asking(public=("192.0.2.0/24",))("1.2.0.192.")) == ["127.255.255.254"]


def test_a_file_that_is_no_good_keeps_a_server_from_starting(tmp_path: Path, asking: Callable[..., Asking]) -> None:
    for said in ("subscribers", "cookie_secrets"):
        with pytest.raises(ConfigError, match="cannot be read"):
            asking(**{said: tmp_path / "none"})


def test_clients_are_counted_by_network(asking: Callable[..., Asking]) -> None:
    ask = asking()
    for number in range(8):
        ask("1.2.0.192.", host=f"192.0.2.{number}")
    counts = ask.guard.counts
    assert int(counts.asked.max()) == 8
    assert int(counts.clients[counts.asked.argmax()]) == client_at("192.0.2.0").prefix
    for second in range(12):
        ask.guard.tend(ask.now + second)
    assert int(counts.asked.max()) == 4


def test_known_networks_are_read_again_and_a_bad_file_changes_nothing(
    asking: Callable[..., Asking], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "known"
    path.write_text("192.0.2.0/24\n")
    guard = asking(known=path).guard
    before = guard.known
    assert list(map(str, before)) == ["192.0.2.0/24"]
    guard.tend(0.0)
    assert guard.known is before
    for text, expected in (("192.0.2.0/24\n::/64\n", ["192.0.2.0/24", "::/64"]), ("x", ["192.0.2.0/24", "::/64"])):
        path.write_text(text)
        os.utime(path, ns=(stamp := path.stat().st_mtime_ns + len(text), stamp))
        guard.tend(0.0)
        assert list(map(str, guard.known)) == expected
    assert "stays in force" in caplog.text
    with pytest.raises(ConfigError, match="cannot be read"):
        asking(known=tmp_path / "none")


def test_who_asks_for_a_day_is_known_behind_those_named_and_not_in_a_flood(
    asking: Callable[..., Asking], tmp_path: Path
) -> None:
    named, learned = tmp_path / "known", tmp_path / "learned"
    named.write_text("198.51.100.0/24\n")
    ask = asking(known=named, learned=learned)

    def pass_hours(count: int, host: str) -> None:
        for _ in range(count):
            ask("1.2.0.192.", host=host)
            for second in (0, 10, 3590):
                ask.guard.tend(ask.now + second)
            ask.now += 3600

    pass_hours(25, "192.0.2.53")
    assert list(map(str, ask.guard.known)) == ["198.51.100.0/24", "192.0.2.0/24"]
    for _ in range(30):
        ask.guard.counts.totals[Count.OVERFLOW] += 1
        ask("1.2.0.192.", host="203.0.113.1")
        ask.guard.tend(ask.now)
        ask.now += 3600
    assert len(ask.guard.known) == 2
    ask.guard.save()
    assert list(map(str, asking(learned=learned).guard.known)) == ["192.0.2.0/24"]
