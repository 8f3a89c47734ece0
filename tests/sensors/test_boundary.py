"""Who connected, and which servers are ours."""
# ruff: noqa: E501 - a line of mail is one line here

import random
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whimbrel.errors import ConfigError
from whimbrel.model.reading import Hop
from whimbrel.sensors import boundary
from whimbrel.sensors.boundary import Trust, TrustLearner, absence, connecting_client, parse_trust, was_passed_on
from whimbrel.wire.received import parse_received

START = datetime(2002, 7, 1, 12, tzinfo=UTC)
RELAY = "8.8.4.4"  # documentation addresses are not public to `ipaddress`, so relays and strangers need real ones
OURS = "mx.example.org"
LAN = b"from inner (inner.example.org [10.0.0.5]) by store.example.org (Postfix) with LMTP id 1; Thu, 22 Aug 2002 12:40:00 +0000"


def line(
    peer: str, *, by: str = OURS, name: str = "unknown", helo: str = "x", recipient: str = "u@example.org", day: int = 0
) -> Hop:
    at = START + timedelta(days=day)
    text = f"from {helo} ({name} [{peer}]) by {by} (Postfix) with SMTP id 1 for <{recipient}>; {at:%d %b %Y %H:%M:%S} +0000"
    return parse_received(text.encode())


def stranger(number: int) -> str:
    return f"{20 + number % 100}.{number // 100 % 200}.{number % 7}.9"


def direct(number: int) -> list[Hop]:
    return [line(stranger(number), day=number % 40)]


def forwarded(
    number: int,
    *,
    recipient: str = "list@example.net",
    by: str = "relay.example.net",
    fan_in: int = 1_000,
    days: int = 40,
) -> list[Hop]:
    above = line(RELAY, name="relay.example.net", helo="relay.example.net", day=number % days)
    return [above, line(stranger(7_000 + number % fan_in * 3), by=by, recipient=recipient, day=number % days)]


def learned(chains: list[list[Hop]]) -> Trust:
    learner = TrustLearner()
    for chain in chains:
        learner.add(chain)
    return learner.result()


DIRECT = [direct(number) for number in range(300)]


def test_the_first_stranger_from_the_top_is_the_client() -> None:
    hops = [
        parse_received(LAN),
        line(RELAY, name="relay.example.net"),
        line("20.1.1.1", helo="friend"),
        line("21.1.1.1"),
    ]
    found = connecting_client(hops, Trust())
    assert found is not None
    assert (found.peer, found.hop_index, found.received_below, found.rdns) == (RELAY, 1, 2, "relay.example.net")
    behind = connecting_client(hops, parse_trust([RELAY]))
    assert behind is not None
    assert (behind.peer, behind.hop_index, behind.helo, behind.trace_sha256) == (
        "20.1.1.1",
        2,
        "friend",
        hops[2].trace_sha256,
    )


@pytest.mark.parametrize(
    ("below", "expected"),
    [
        ([], False),
        (
            [b"from localhost (localhost [127.0.0.1]) by www.offers.example with SMTP; Mon, 1 Jul 2002 10:00:00 GMT"],
            False,
        ),
        ([b"(qmail 12 invoked by uid 80); 1 Jul 2002 10:00:00 -0000"], False),
        ([b"from web (web [62.0.0.9]) by www.offers.example with SMTP; Mon, 1 Jul 2002 10:00:00 GMT"], False),
        ([b"from friend (a.example [20.1.1.1]) by zeus.victim.example with SMTP; Mon, 1 Jul 2002 10:00:00 GMT"], True),
        ([b"from friend by zeus.victim.example with SMTP; Mon, 1 Jul 2002 10:00:00 GMT"], True),
        ([b"nonsense"], True),
    ],
    ids=["none", "loopback", "hand-over", "own network", "stranger", "nobody named", "unread"],
)
def test_a_message_is_passed_on_unless_all_lines_below_stay_at_home(below: list[bytes], expected: bool) -> None:  # noqa: FBT001
    hops = [line("62.0.0.25"), *map(parse_received, below)]
    client = connecting_client(hops, Trust())
    assert client is not None
    assert was_passed_on(hops, client) is expected


def test_a_line_without_a_date_takes_the_nearest_above() -> None:
    undated = parse_received(b"from x (unknown [20.1.1.1]) by inner.example.org (Postfix) with SMTP id 1")
    found = connecting_client([parse_received(LAN), undated], Trust())
    assert found is not None
    assert found.at == datetime(2002, 8, 22, 12, 40, tzinfo=UTC)


def test_ipv6_and_told_names() -> None:
    hops = [line("2a00:1450::5", name="a.relays.example.net"), line("2a00:1450:1::6")]
    for told, peer in [
        ("2a00:1450::/64", "2a00:1450:1::6"),
        ("relays.example.net", "2a00:1450:1::6"),
        ("lays.example.net", "2a00:1450::5"),
    ]:
        found = connecting_client(hops, parse_trust([told]))
        assert found is not None
        assert found.peer == peer


def test_a_told_name_is_believed_only_where_the_server_confirmed_it() -> None:
    trust = parse_trust(["relay.example.net"])
    for text in (
        b"from relay.example.net (unknown [20.1.1.1]) by mx.example.org (Postfix) with SMTP id 1",
        b"from relay.example.net (relay.example.net [20.1.1.1] (may be forged)) by mx.example.org (8.11.6/8.11.6) with SMTP id 1",
        b"from relay.example.net (HELO relay.example.net) (20.1.1.1) by mx.example.org with SMTP",
        b"from relay.example.net (20.1.1.1) by mx.example.org (10.0.0.1) with Microsoft SMTP Server id 15",
    ):
        found = connecting_client([parse_received(text), line("21.1.1.1", by="relay.example.net")], trust)
        assert found is not None
        assert found.peer == "20.1.1.1"


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        ([], "no Received line"),
        ([LAN], "every peer is a server of ours, or has no public address"),
        ([b"(qmail 1 invoked by uid 3); 22 Aug 2002 12:00:00 -0000"], "every peer is a server of ours, or has no public address"),
        ([LAN, b"from a (192.0.placeholder) by b (10.0.0.1) with Microsoft SMTP Server id 1"], "line 2 does not tell the peer's address (claim)"),
        ([b"nonsense", b"from x (y [20.1.1.1]) by mx (Postfix)"], "line 1 does not tell the peer's address (unread)"),
    ],
)  # fmt: skip
def test_no_client_has_a_reason(texts: list[bytes], why: str) -> None:
    hops = [parse_received(text) for text in texts]
    assert connecting_client(hops, Trust()) is None
    assert absence(hops, Trust()) == why


@given(st.lists(st.sampled_from([LAN, b"(qmail 1 invoked by uid 3)"])), st.lists(st.binary(max_size=80), max_size=6))
def test_what_stands_below_the_boundary_changes_nothing(above: list[bytes], below: list[bytes]) -> None:
    top = [*map(parse_received, above), line("20.1.1.1")]
    short = connecting_client(top, Trust())
    long = connecting_client([*top, *map(parse_received, below)], Trust())
    assert short is not None
    assert long is not None
    assert (short.peer, short.hop_index, short.at) == (long.peer, long.hop_index, long.at)
    assert long.received_below == len(below)


def test_trust_is_told_in_any_of_its_forms() -> None:
    trust = parse_trust([" 192.0.2.7/24", "192.0.2.1", "2001:db8::1/32", "*.Example.NET", ".example.com"])
    assert trust.networks == ("192.0.2.0/24", "192.0.2.1/32", "2001:db8::/32")
    assert trust.names == ("example.com", "example.net")


@pytest.mark.parametrize("bad", ["", "localhost", "192.0.2.0/33", "192.0.2.300", "a b.example", "exa_mple..net", "*"])
def test_bad_trust_is_named_in_one_line(bad: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_trust(["192.0.2.1", bad])
    assert repr(bad) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_trust_is_stored_and_read_again() -> None:
    trust = learned([*DIRECT, *(forwarded(number) for number in range(60))])
    assert trust.inferred
    assert Trust.from_json(trust.to_json()) == trust


@pytest.mark.parametrize("bad", [b"", b"{", b"[]", b'{"version":9}', b'{"networks":["x"]}', b"\xff", b'{"names":[1]}'])
def test_a_damaged_store_of_trust_is_refused(bad: bytes) -> None:
    with pytest.raises(ConfigError):
        Trust.from_json(bad)


def test_a_forwarder_is_inferred_with_its_counts() -> None:
    (found,) = learned([*DIRECT, *(forwarded(number) for number in range(60))]).inferred
    assert (found.network, found.name, found.ground) == (f"{RELAY}/32", "relay.example.net", "forwards")
    assert (found.chains, found.days, found.share) == (60, 40, round(60 / 360, 4))


@pytest.mark.parametrize(
    ("why", "chains"),
    [
        ("a smarthost delivers to our own recipient", [forwarded(number, recipient="u@example.org") for number in range(60)]),
        ("a newsletter house takes its mail from few networks", [forwarded(number, fan_in=3) for number in range(60)]),
        ("a spammer's forged lines name changing servers", [forwarded(number, by=f"mx{number}.example.com") for number in range(60)]),
        ("a spammer's address does not last", [forwarded(number, days=10) for number in range(60)]),
        ("too few to tell", [forwarded(number) for number in range(boundary.LEAST_CHAINS - 1)]),
        ("a busy spammer sends direct", [[line(RELAY, day=number % 40)] for number in range(200)]),
    ],
)  # fmt: skip
def test_outsiders_are_not_swallowed(why: str, chains: list[list[Hop]]) -> None:
    assert learned([*DIRECT, *chains]).inferred == (), why


def test_a_peer_with_one_of_our_own_names_is_ours_and_a_namesake_by_helo_is_not() -> None:
    own = [
        [line("20.7.7.7", name=OURS, by="second.example.org"), line(stranger(9_000 + number))] for number in range(5)
    ]
    claimed = [
        [line("20.8.8.8", helo=OURS, by="second.example.org"), line(stranger(9_500 + number))] for number in range(5)
    ]
    assert [one.network for one in learned([*DIRECT, *own, *claimed]).inferred] == ["20.7.7.7/32"]


def test_several_collectors_and_relays_behind_relays() -> None:
    outer = [[line("9.9.9.9", by="in.example.com", name="hub.example.com", helo="hub.example.com", recipient="v@example.com", day=n % 40),
              *(line(hop.address or "", by="hub.example.com", name=hop.rdns or "unknown", helo=hop.helo or "", recipient="w@example.edu", day=n % 40)
                for hop in forwarded(n)[:1]),
              forwarded(n)[1]] for n in range(120)]  # fmt: skip
    hub = [[line("9.9.9.9", by="in.example.com", name="hub.example.com", helo="hub.example.com", recipient="v@example.com", day=n % 40),
            line(stranger(n * 11), by="hub.example.com", recipient="w@example.edu", day=n % 40)] for n in range(120)]  # fmt: skip
    found = {one.network for one in learned([*DIRECT, *outer, *hub]).inferred}
    assert found == {"9.9.9.9/32", f"{RELAY}/32"}


def test_a_pool_of_ipv6_servers_is_inferred_as_one_network() -> None:
    def chain(number: int) -> list[Hop]:
        peer, day = f"2603:10b6:{number % 90:x}::{number:x}", START + timedelta(days=number % 40)
        stamp = f"{day:%d %b %Y %H:%M:%S} +0000"
        top = f"from N{number}.prod.example.com ({peer}) by S.prod.example.com with HTTPS; {stamp}"
        own = f"from x ({stranger(number * 13)}) by N{number}.example.com ({peer}) with Microsoft SMTP Server id 15; {stamp}"
        return [parse_received(top.encode()), parse_received(own.encode())]

    (found,) = learned([chain(number) for number in range(80)]).inferred
    assert (found.network, found.ground) == ("2603:10b6::/32", "pool")


@given(st.randoms(use_true_random=False), st.integers(1, 5))
@settings(max_examples=10)
def test_order_split_and_repetition_do_not_matter(chance: random.Random, workers: int) -> None:
    chains = [*DIRECT[:100], *(forwarded(number) for number in range(40))]
    expected = learned(chains)
    shuffled = chains + chance.sample(chains, 30)
    chance.shuffle(shuffled)
    learners = [TrustLearner() for _ in range(workers)]
    for chain in shuffled:
        chance.choice(learners).add(chain)
    for other in learners[1:]:
        learners[0].merge(other)
    assert learners[0].result() == expected


def test_the_sample_is_bounded_and_the_same_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boundary, "SAMPLE_CHAINS", 100)
    chains = [*DIRECT, *(forwarded(number) for number in range(300))]
    learner, backwards = TrustLearner(), TrustLearner()
    for chain in chains:
        learner.add(chain)
        assert len(learner._chains) <= 200
    for chain in reversed(chains):
        backwards.add(chain)
    assert learner.result() == backwards.result()
    kept = sorted(sha256(b"".join(hop.trace_sha256 for hop in chain)).digest() for chain in chains)[:100]
    assert sorted(learner._chains) == kept
