"""Who connected, and which servers are ours."""
# ruff: noqa: E501 - a line of mail is one line here

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sensors.chains import LAN, RELAY, line

from whimbrel.errors import ConfigError
from whimbrel.sensors.boundary import Trust, absence, connecting_client, parse_trust, was_passed_on
from whimbrel.wire.received import parse_received


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


@pytest.mark.parametrize("bad", [b"", b"{", b"[]", b'{"version":9}', b'{"networks":["x"]}', b"\xff", b'{"names":[1]}'])
def test_a_damaged_store_of_trust_is_refused(bad: bytes) -> None:
    with pytest.raises(ConfigError):
        Trust.from_json(bad)
