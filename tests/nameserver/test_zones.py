"""Several zones over one list: addresses, names and exclusions, asked and read by dnspython, and in golden packets.

Each folder under tests/golden/dns-zones is as those under tests/golden/dns, of the world below.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whimbrel.model.listing import Code, FurtherCode
from whimbrel.nameserver import answer
from whimbrel.publishing import Entries
from whimbrel.publishing.building import zone_of
from whimbrel.wire.snapshot import Snapshot, Zone

BORN = datetime(2002, 7, 27, 12, tzinfo=UTC)
EXPIRES = BORN + timedelta(days=1)
HOUR = BORN + timedelta(hours=1)
NOW = BORN.timestamp() + 60
CASES = sorted(path.parent for path in (Path(__file__).parents[1] / "golden" / "dns-zones").glob("*/query.hex"))

DOMAINS = (FurtherCode.SPAMVERTISED, FurtherCode.PHISHING, FurtherCode.MALWARE)
HASHES = (FurtherCode.MALICIOUS_FILE, FurtherCode.SUSPICIOUS_FILE)
FILE = "0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33._file"


def zone(name: str, *codes: Code | FurtherCode) -> Zone:
    return zone_of(name, ("ns1.example",), None, codes=codes)


MORE = (
    zone("auth.bl.example", FurtherCode.COMPROMISED_ACCOUNT),
    zone("domain.bl.example", *DOMAINS),
    zone("a.hash.bl.example", *HASHES),
    zone("all.example", *Code, *DOMAINS, *HASHES),
)
ZONES = ("bl.example", *(each.name for each in MORE))


def snapshot_of(entries: Entries) -> Snapshot:
    return Snapshot(
        entries.moment().snapshot(
            zone="bl.example",
            serial=7,
            born=BORN,
            expires=EXPIRES,
            servers=("ns1.example",),
            codes=list(Code),
            more_zones=MORE,
        )
    )


@pytest.fixture(scope="module")
def zones() -> Snapshot:
    """A network with a host and an address excluded in it, an account's source in a listed /24, domains and a file."""
    entries = Entries()
    entries.put("198.51.100.0/24", Code.NETWORK, HOUR)
    entries.put("198.51.100.9", FurtherCode.COMPROMISED_ACCOUNT, HOUR)
    entries.exclude("198.51.100.16/28")
    entries.put("198.51.100.17", Code.INFECTED, HOUR)
    entries.put("2001:db8:ffff::/48", Code.NETWORK, HOUR)
    entries.exclude("2001:db8:ffff:1::/64")
    entries.put_name("spam.example", FurtherCode.SPAMVERTISED, HOUR, wildcard=True)
    entries.exclude_name("good.spam.example", wildcard=True)
    entries.exclude_name("one.spam.example")
    entries.put_name("login.bank.example.org", FurtherCode.PHISHING, BORN + timedelta(seconds=100))
    entries.put_name(FILE, FurtherCode.MALICIOUS_FILE, HOUR)
    return snapshot_of(entries)


def asked(name: str, snapshot: Snapshot, type_: str = "A", later: float = 0) -> dns.message.Message:
    query = dns.message.make_query(f"{name}.", type_)
    raw = answer(query.to_wire(), snapshot, NOW + later, tcp=False)
    assert raw is not None
    response = dns.message.from_wire(raw)
    assert query.is_response(response)
    return response


def said(name: str, snapshot: Snapshot, later: float = 0) -> str:
    """Return the address that a name has, or `nodata`, `nxdomain`, `refused`."""
    response = asked(name, snapshot, later=later)
    if response.answer:
        return str(response.answer[0][0])
    if response.rcode() == dns.rcode.REFUSED:
        return "refused"
    innermost = max((each for each in ZONES if f".{name}".endswith(f".{each}")), key=len)
    (soa,) = response.authority
    assert soa.name == dns.name.from_text(innermost)
    return {dns.rcode.NOERROR: "nodata", dns.rcode.NXDOMAIN: "nxdomain"}[response.rcode()]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # An exclusion hides what is wider; what is narrower than it is listed.
        ("15.100.51.198.bl.example", "127.0.0.9"),
        ("16.100.51.198.bl.example", "nxdomain"),
        ("17.100.51.198.bl.example", "127.0.0.4"),
        ("1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.0.0.0.f.f.f.f.8.b.d.0.1.0.0.2.bl.example", "nxdomain"),
        ("1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.2.0.0.0.f.f.f.f.8.b.d.0.1.0.0.2.bl.example", "127.0.0.9"),
        # A zone shows its codes: the host's own is another zone's, its network's is this one's.
        ("9.100.51.198.bl.example", "127.0.0.9"),
        ("9.100.51.198.auth.bl.example", "127.0.0.20"),
        ("9.100.51.198.all.example", "127.0.0.9"),
        ("15.100.51.198.auth.bl.example", "nxdomain"),
        ("9.100.51.198.domain.bl.example", "nxdomain"),
        # Names, alone and with all beneath; exclusions likewise.
        ("spam.example.domain.bl.example", "127.0.1.2"),
        ("a.b.c.SPAM.example.domain.bl.example", "127.0.1.2"),
        ("good.spam.example.domain.bl.example", "nxdomain"),
        ("a.good.spam.example.domain.bl.example", "nxdomain"),
        ("one.spam.example.domain.bl.example", "nodata"),
        ("a.one.spam.example.domain.bl.example", "127.0.1.2"),
        ("login.bank.example.org.domain.bl.example", "127.0.1.4"),
        ("x.login.bank.example.org.domain.bl.example", "nxdomain"),
        ("other.example.org.domain.bl.example", "nxdomain"),
        (f"{FILE}.a.hash.bl.example", "127.0.3.10"),
        (f"{FILE}.all.example", "127.0.3.10"),
        (f"{FILE}.domain.bl.example", "nxdomain"),
        ("spam.example.all.example", "127.0.1.2"),
        ("spam.example.bl.example", "nxdomain"),
        # Names above what is listed, and above a zone.
        ("example.domain.bl.example", "nodata"),
        ("org.domain.bl.example", "nodata"),
        ("bank.example.org.domain.bl.example", "nodata"),
        ("_file.a.hash.bl.example", "nodata"),
        ("hash.bl.example", "nodata"),
        ("xhash.bl.example", "nxdomain"),
        ("100.51.198.auth.bl.example", "nodata"),
        ("100.51.198.domain.bl.example", "nxdomain"),
        # Test entries (RFC 5782, section 5).
        ("2.0.0.127.bl.example", "127.0.0.2"),
        ("2.0.0.127.auth.bl.example", "127.0.0.20"),
        ("20.0.0.127.auth.bl.example", "127.0.0.20"),
        ("20.0.0.127.bl.example", "nxdomain"),
        ("2.0.0.127.domain.bl.example", "nxdomain"),
        ("test.domain.bl.example", "127.0.1.2"),
        ("TEST.a.hash.bl.example", "127.0.3.10"),
        ("test.all.example", "127.0.1.2"),
        ("127-0-1-5.test.domain.bl.example", "127.0.1.5"),
        ("test.bl.example", "nxdomain"),
        *((f"1.0.0.127.{each}", "nxdomain") for each in ZONES),
        *((f"INVALID.{each}", "nxdomain") for each in ZONES),
        *((f"rspamd-monitor-7f.{each}", "nxdomain") for each in ZONES),
        ("example", "refused"),
    ],
)
def test_what_each_zone_says(name: str, expected: str, zones: Snapshot) -> None:
    assert said(name, zones) == expected


def test_ipv6s_form_of_the_test_addresses(zones: Snapshot) -> None:
    first = ".".join("200000f7") + ".f.f.f.f" + ".0" * 20
    assert said(f"{first}.auth.bl.example", zones) == "127.0.0.20"
    assert said(f"1{first[1:]}.auth.bl.example", zones) == "nxdomain"


def test_each_zone_has_its_own_beginning(zones: Snapshot) -> None:
    for name in ZONES:
        (soa,) = asked(name, zones, "SOA").answer
        assert soa.name == dns.name.from_text(name)
        assert soa[0].rname == dns.name.from_text(f"hostmaster.{name}")
        assert soa[0].serial == 7
        assert asked(name, zones, "NS").answer[0][0].to_text() == "ns1.example."
        assert not asked(name, zones, "A").answer


def test_the_reason_names_what_is_listed_and_its_life_ends_with_it(zones: Snapshot) -> None:
    """Not what was asked for, which may hold any byte."""
    (text,) = asked("\\000\\255.www.SPAM.example.domain.bl.example", zones, "TXT").answer[0]
    assert text.strings == (b"spam.example is listed as spamvertised domain until 2002-07-27 13:00 UTC",)
    name = "login.bank.example.org.domain.bl.example"
    assert asked(name, zones).answer[0].ttl == 40
    assert said(name, zones, later=40) == "nxdomain"
    assert said("bank.example.org.domain.bl.example", zones, later=40) == "nodata"


_TARGETS = st.sampled_from(
    ["192.0.2.1", "192.0.2.0/24", "192.0.0.0/16", "192.0.2.64-192.0.2.130", "2.0.0.1", "2001:db8::/64", "2001:db8::/32"]
)
_NAMES = st.lists(st.sampled_from(["a", "b", "192", "x1"]), min_size=2, max_size=5).map(lambda labels: [*labels, "com"])
_ADDRESS_CODES = st.one_of(st.none(), st.sampled_from([Code.INFECTED, Code.NETWORK, FurtherCode.COMPROMISED_ACCOUNT]))
_NAME_CODES = st.one_of(st.none(), st.sampled_from([*DOMAINS[:2], HASHES[0]]))
_SECONDS = st.sampled_from([30, 90, 3600])


def endings(name: str, zone: str) -> Iterator[str]:
    """Yield the names of a name's zone above it, the nearest first: what a resolver that minimises names asks for."""
    while name != zone:
        name = name.partition(".")[2]
        yield name


@settings(max_examples=120, deadline=None)
@given(
    st.lists(st.tuples(_TARGETS, _ADDRESS_CODES, _SECONDS), max_size=6),
    st.lists(st.tuples(_NAMES, _NAME_CODES, st.booleans(), _SECONDS), max_size=8),
    st.lists(_NAMES, max_size=6),
    st.sampled_from(ZONES),
)
def test_no_name_beneath_one_that_does_not_exist_is_listed(
    targets: list[tuple[str, Code | FurtherCode | None, int]],
    names: list[tuple[list[str], FurtherCode | None, bool, int]],
    others: list[list[str]],
    zone_name: str,
) -> None:
    """RFC 8020, for resolvers that ask label by label (RFC 9156) and turn back at NXDOMAIN: in every data set."""
    entries = Entries()
    for target, code, seconds in targets:
        until = BORN + timedelta(seconds=seconds)
        entries.exclude(target, until) if code is None else entries.put(target, code, until)
    for labels, name_code, wildcard, seconds in names:
        until, name = BORN + timedelta(seconds=seconds), ".".join(labels)
        if name_code is None:
            entries.exclude_name(name, until, wildcard=wildcard)
        else:
            entries.put_name(name, name_code, until, wildcard=wildcard)
    snapshot = snapshot_of(entries)
    asking = {".".join(labels) for each in (*(row[0] for row in names), *others) for labels in (each, ["y", *each])}
    for target, *_ in targets:
        for address in ("192.0.2.1", "192.0.2.65", target.partition("/")[0].partition("-")[0]):
            host = ip_network(address)[0]
            asking.add(host.reverse_pointer.rpartition(".")[0].rpartition(".")[0])
    for name in asking:
        listed = said(f"{name}.{zone_name}", snapshot)
        if listed != "nxdomain":
            above = [said(each, snapshot) for each in endings(f"{name}.{zone_name}", zone_name)]
            assert "nxdomain" not in above, (name, listed, above)


@settings(max_examples=200, deadline=None)
@given(labels=st.lists(st.binary(min_size=1, max_size=63), max_size=40), last=st.sampled_from([b"", b"test", b"spam"]))
def test_any_name_has_an_answer(labels: list[bytes], last: bytes, zones: Snapshot) -> None:
    for name in ZONES:
        for length in (len(labels), 1):
            wire = b"".join(
                bytes([len(label)]) + label for label in [*labels[:length], last, *name.encode().split(b".")]
            )
            raw = answer(b"\x12\x34\0\0\0\x01" + bytes(6) + wire + b"\0\0\x10\0\x01", zones, NOW, tcp=False)
            assert raw is not None
            dns.message.from_wire(raw)
            assert raw[3] & 0xF in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN, dns.rcode.FORMERR}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_golden(case: Path, zones: Snapshot) -> None:
    query = bytes.fromhex((case / "query.hex").read_text())
    response = answer(query, zones, NOW, tcp=False) or b""
    assert response.hex() == (case / "response.hex").read_text().strip()
    assert dns.message.from_wire(response).to_text().strip() == (case / "response.txt").read_text().strip()


def test_there_are_cases() -> None:
    assert len(CASES) == 8
