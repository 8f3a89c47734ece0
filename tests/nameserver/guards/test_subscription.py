"""Keys in the names of a list with several zones, one of them of domains."""

from datetime import UTC, datetime, timedelta

import dns.message
import dns.rcode
import pytest

from whimbrel.model.listing import Code, FurtherCode
from whimbrel.nameserver import answer
from whimbrel.nameserver.guards.quota import Failure, Quotas, quotas_of
from whimbrel.nameserver.guards.subscription import Keyless, failed, looked_at
from whimbrel.publishing import Entries
from whimbrel.publishing.building import zone_of
from whimbrel.wire.dns import Query, parse_query
from whimbrel.wire.snapshot import Snapshot

KEY = "abcdefghijklmnopqrstuvwx23"
BORN = datetime(2002, 7, 27, 12, tzinfo=UTC)
HOUR = BORN + timedelta(hours=1)
NOW = BORN.timestamp() + 60


@pytest.fixture(scope="module")
def zones() -> Snapshot:
    entries = Entries()
    entries.put("198.51.100.9", Code.INFECTED, HOUR)
    entries.put_name("spam.example", FurtherCode.SPAMVERTISED, HOUR, wildcard=True)
    domains = zone_of("domain.bl.example", ("ns1.example",), None, codes=(FurtherCode.SPAMVERTISED,))
    return Snapshot(
        entries.moment().snapshot(
            zone="bl.example", serial=7, born=BORN, expires=HOUR, codes=list(Code), more_zones=(domains,)
        )
    )


@pytest.fixture
def quotas() -> Quotas:
    return quotas_of([("acme", KEY.encode(), 1000)])


def query_for(name: str, type_: str = "A") -> Query:
    query = parse_query(dns.message.make_query(name, type_, use_edns=0).to_wire())
    assert isinstance(query, Query)
    return query


@pytest.mark.parametrize(
    ("name", "without"),
    [
        (f"9.100.51.198.{KEY}.bl.example", "9.100.51.198.bl.example"),
        (f"WWW.spam.example.{KEY}.Domain.bl.example", "WWW.spam.example.Domain.bl.example"),
    ],
)
def test_a_key_stands_in_front_of_its_zone(zones: Snapshot, quotas: Quotas, name: str, without: str) -> None:
    found = looked_at(query_for(name), zones, quotas, NOW, public=False)
    assert isinstance(found, Keyless)
    asked = parse_query(found.packet)
    assert isinstance(asked, Query)
    assert asked.labels == query_for(without).labels
    assert len(asked.question) == found.question_bytes
    response = answer(found.packet, zones, NOW, tcp=False)
    assert response is not None
    assert dns.message.from_wire(response).rcode() == dns.rcode.NOERROR


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("9.100.51.198.zne.bl.example", Failure.MISTYPED),
        ("9.100.51.198.domains.bl.example", Failure.MISTYPED),
        ("9.100.51.198.domain.bl.example", None),  # a zone that there is
        ("9.100.51.198.com.domain.bl.example", None),  # a name, listed or not
        ("9.100.51.198.5.bl.example", None),
        ("9.100.51.198.bl.example", None),
        ("bl.example", None),
        ("domain.bl.example", None),
        (f"{KEY}.example", None),
        (f"spam.example.{KEY[:-1]}5.domain.bl.example", Failure.EXCESS),
    ],
)
def test_names_without_a_good_key(zones: Snapshot, quotas: Quotas, name: str, expected: Failure | None) -> None:
    assert looked_at(query_for(name), zones, quotas, NOW, public=False) is expected


def test_without_subscribers_no_name_is_mistyped(zones: Snapshot) -> None:
    assert looked_at(query_for("9.100.51.198.zne.bl.example"), zones, quotas_of([]), NOW, public=False) is None


def test_an_error_is_of_the_type_that_was_asked_for() -> None:
    for type_, expected in (("A", "127.255.255.254"), ("ANY", "127.255.255.254"), ("TXT", '"error, not a listing')):
        response = dns.message.from_wire(failed(query_for("a.bl.example", type_), Failure.PUBLIC, tcp=False))
        (rrset,) = response.answer
        assert rrset[0].to_text().startswith(expected)
        assert rrset.ttl == 60
    assert not dns.message.from_wire(failed(query_for("a.bl.example", "MX"), Failure.PUBLIC, tcp=False)).answer
