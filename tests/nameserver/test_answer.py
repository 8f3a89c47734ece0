"""What the list says, asked and read by dnspython."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whimbrel.model.listing import Code, Listing
from whimbrel.nameserver import answer
from whimbrel.wire.snapshot import Snapshot

Ask = Callable[..., dns.message.Message]


def reversed_name(address: str) -> str:
    parsed = ip_address(address)
    if isinstance(parsed, IPv4Address):
        return ".".join(reversed(address.split(".")))
    return ".".join(reversed(f"{int(parsed):032x}"))


@pytest.fixture
def ask(world: Snapshot, now: float) -> Ask:
    def asked(
        name: str, type_: str = "A", *, later: float = 0, tcp: bool = False, dnssec: bool = False
    ) -> dns.message.Message:
        name = name if name.endswith(".") else f"{name}.bl.example."
        query = dns.message.make_query(name, type_, want_dnssec=dnssec)
        raw = answer(query.to_wire(), world, now + later, tcp=tcp)
        assert raw is not None
        response = dns.message.from_wire(raw)
        assert query.is_response(response)
        return response

    return asked


def addresses(response: dns.message.Message) -> list[str]:
    return [record.to_text() for rrset in response.answer for record in rrset]


def kind(response: dns.message.Message) -> str:
    """Say which of the three a response is: `listed`, `nodata` or `nxdomain`; the latter two carry the SOA for 60 s."""
    if response.answer:
        return "listed"
    (soa,) = response.authority
    assert soa.rdtype == dns.rdatatype.SOA
    assert soa.ttl == soa[0].minimum == 60
    assert soa.name == dns.name.from_text("bl.example.")
    return {dns.rcode.NOERROR: "nodata", dns.rcode.NXDOMAIN: "nxdomain"}[response.rcode()]


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("192.0.2.1", "127.0.0.4"),
        ("::ffff:192.0.2.1", "127.0.0.4"),
        ("198.51.100.77", "127.0.0.9"),
        ("198.51.100.9", "127.0.0.9"),  # its own listing has ended, its network's has not
        ("2001:db8:1:2::25", "127.0.0.3"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "127.0.0.3"),
        ("2001:db8:ffff:1::1", "127.0.0.9"),
        ("::ffff:127.0.0.2", "127.0.0.2"),
        *((f"127.0.0.{code}", f"127.0.0.{code}") for code in Code),
    ],
)
def test_listed(ask: Ask, address: str, code: str) -> None:
    response = ask(reversed_name(address))
    assert addresses(response) == [code]
    assert response.flags & dns.flags.AA
    assert not response.flags & dns.flags.RA
    (text,) = ask(reversed_name(address), "TXT").answer[0]
    canonical = str(getattr(ip_address(address), "ipv4_mapped", None) or ip_address(address))
    assert text.strings[0].decode().startswith(canonical + " is ")


@pytest.mark.parametrize(
    "name",
    [
        *map(reversed_name, ["192.0.2.2", "127.0.0.1", "::ffff:127.0.0.1", "2001:db8:1:3::1", "2001:db8::1", "::1"]),
        "01.2.0.192",  # a leading zero is not a second name for 192.0.2.1
        "1.2.0.0192",
        "257.2.0.192",
        "x.2.0.192",
        "-1.2.0.192",
        "1.1.2.0.192",
        "0." + reversed_name("2001:db8:1:2::25"),
        "www",
        "*",
        "1.2.0.192.bl.example",
    ],
)
def test_not_listed(ask: Ask, name: str) -> None:
    assert kind(ask(name)) == "nxdomain"
    assert kind(ask(name, "TXT")) == "nxdomain"


@pytest.mark.parametrize(
    "name",
    [
        "192",
        "0.192",
        "2.0.192",
        "198",
        "100.51.198",
        "0.0.127",
        "2",  # 2000::/4
        *(reversed_name("2001:db8:1:2::25").split(".", skip)[skip] for skip in range(1, 32)),
        *(reversed_name("::ffff:192.0.2.1").split(".", skip)[skip] for skip in range(1, 32)),
        "1.0.0.2",  # the unlisted 2.0.0.1, but 2001::/16 of IPv6 has something beneath
    ],
)
def test_something_beneath(ask: Ask, name: str) -> None:
    assert kind(ask(name)) == "nodata"
    assert kind(ask(name.upper(), "ANY")) == "nodata"


@pytest.mark.parametrize("name", ["193", "3.0.192", "f", "9.b.d.0.1.0.0.2", "999", "02.0.192"])
def test_nothing_beneath(ask: Ask, name: str) -> None:
    assert kind(ask(name)) == "nxdomain"


def test_other_types_of_a_listed_name_are_nodata_and_any_is_minimal(ask: Ask) -> None:
    assert kind(ask("1.2.0.192", "AAAA")) == "nodata"
    assert kind(ask("1.2.0.192", "SOA")) == "nodata"
    assert addresses(ask("1.2.0.192", "ANY")) == ["127.0.0.4"]


def test_lifetimes_follow_the_time_left(ask: Ask) -> None:
    assert ask("1.2.0.192").answer[0].ttl == 300
    assert ask("200.2.0.192").answer[0].ttl == 40
    assert ask("200.2.0.192", later=39.5).answer[0].ttl == 1
    assert kind(ask("200.2.0.192", later=40)) == "nxdomain"


def test_apex(ask: Ask) -> None:
    (soa,) = ask("bl.example.", "SOA").answer[0]
    assert (soa.serial, soa.minimum) == (7, 60)
    assert [record.to_text() for record in ask("bl.example.", "NS").answer[0]] == ["localhost."]
    assert ask("bl.example.", "ANY").answer[0].rdtype == dns.rdatatype.SOA
    assert kind(ask("bl.example.")) == "nodata"
    assert kind(ask("bl.example.", "TXT")) == "nodata"


def test_outside_the_zone_is_refused(ask: Ask) -> None:
    for name in ("example.", ".", "1.2.0.192.other.example.", "xbl.example.", "bl.example.org."):
        response = ask(name)
        assert response.rcode() == dns.rcode.REFUSED
        assert not response.flags & dns.flags.AA
    for transfer in ("AXFR", "IXFR"):
        assert ask("bl.example.", transfer).rcode() == dns.rcode.REFUSED


def test_an_expired_list_lists_nobody_and_says_so(ask: Ask) -> None:
    for name in ("1.2.0.192", "2.0.0.127", "9.9.9.9", "bl.example."):
        response = ask(name, later=86_400)
        assert response.rcode() == dns.rcode.SERVFAIL
        assert not response.answer


def test_the_case_of_the_question_is_kept(world: Snapshot, now: float) -> None:
    query = dns.message.make_query("1.2.0.192.bL.eXaMpLe.", "A")
    raw = answer(query.to_wire(), world, now, tcp=False)
    assert raw is not None
    assert b"\x02bL\x07eXaMpLe\x00" in raw
    assert raw.count(b"eXaMpLe") == 1  # the answer's owner points at it


def test_edns(ask: Ask, world: Snapshot, now: float) -> None:
    assert ask("1.2.0.192").edns == -1
    response = ask("1.2.0.192", dnssec=True)
    assert (response.edns, response.payload) == (0, 1232)
    assert response.ednsflags & dns.flags.DO
    query = dns.message.make_query("1.2.0.192.bl.example.", "A", use_edns=1)
    raw = answer(query.to_wire(), world, now, tcp=False)
    assert raw is not None
    response = dns.message.from_wire(raw)
    assert (response.rcode(), response.edns, response.answer) == (dns.rcode.BADVERS, 0, [])


def test_unknown_edns_options_are_ignored(world: Snapshot, now: float) -> None:
    query = dns.message.make_query("1.2.0.192.bl.example.", "A", use_edns=0)
    query.use_edns(0, options=[dns.edns.GenericOption("65001", b"\x00" * 9)])
    raw = answer(query.to_wire(), world, now, tcp=False)
    assert raw is not None
    assert addresses(dns.message.from_wire(raw)) == ["127.0.0.4"]


def test_other_opcodes_and_classes(world: Snapshot, now: float) -> None:
    for opcode in (dns.opcode.NOTIFY, dns.opcode.STATUS, dns.opcode.IQUERY):
        query = dns.message.make_query("bl.example.", "SOA")
        query.set_opcode(opcode)
        raw = answer(query.to_wire(), world, now, tcp=False)
        assert raw is not None
        response = dns.message.from_wire(raw)
        assert (response.id, response.opcode(), response.rcode()) == (query.id, opcode, dns.rcode.NOTIMP)
    query = dns.message.make_query("1.2.0.192.bl.example.", "A", rdclass=dns.rdataclass.CH)
    raw = answer(query.to_wire(), world, now, tcp=False)
    assert raw is not None
    assert dns.message.from_wire(raw).rcode() == dns.rcode.REFUSED


_FEW = st.one_of(
    st.integers(0xC0000200, 0xC00002FF).map(lambda n: str(IPv4Address(n))),
    st.integers(0xC0000000, 0xC0FFFFFF).map(lambda n: f"{IPv4Address(n & 0xFFFFFF00)}/24"),
    st.integers(0x14_000000, 0x15_FFFFFF).map(lambda n: str(IPv4Address(n))),
    st.integers(0, 0xFFFF).map(lambda n: str(ip_network((0x2001_0DB8 << 96 | n << 64, 64)))),
    st.integers(0, 0xFFFF).map(lambda n: str(ip_network((0x1234 << 112 | n << 80, 48)))),
)


def names_of(target: str) -> set[str]:
    """List a name of every host in a target (of an IPv6 network the first and last), and of its mapped form."""
    network = ip_network(target)
    hosts = (
        {int(network[0]), int(network[-1])} if network.version == 6 else range(int(network[0]), int(network[-1]) + 1)
    )
    if network.version == 6:
        return {reversed_name(str(IPv6Address(host))) for host in hosts}
    return {
        name
        for host in hosts
        for name in (reversed_name(str(IPv4Address(host))), reversed_name(str(IPv6Address(0xFFFF << 32 | host))))
    }


@settings(max_examples=60, deadline=None)
@given(targets=st.lists(_FEW, max_size=5, unique=True), data=st.data())
def test_a_name_exists_when_something_beneath_is_listed(
    targets: list[str],
    data: st.DataObject,
    listing: Callable[..., Listing],
    snapshot_of: Callable[..., bytes],
    now: float,
) -> None:
    """The twin: the set of all names of what is listed, and of every name above one."""
    snapshot = Snapshot(snapshot_of(*(listing(target) for target in targets)))
    names = {name for target in (*targets, *(f"127.0.0.{code}" for code in Code)) for name in names_of(target)}
    above = {name.split(".", skip)[skip] for name in names for skip in range(1, name.count(".") + 1)}
    asked = data.draw(
        st.lists(
            st.one_of(
                st.sampled_from(sorted(above)),
                st.lists(st.sampled_from("0123456789abcdef"), min_size=1, max_size=31).map(".".join),
                st.lists(st.integers(0, 256).map(str), min_size=1, max_size=3).map(".".join),
                st.lists(st.sampled_from(["192", "0", "20", "2", "1"]), min_size=1, max_size=3).map(".".join),
            ),
            max_size=30,
        )
    )
    for name in asked:
        raw = answer(dns.message.make_query(f"{name}.bl.example.", "A").to_wire(), snapshot, now, tcp=True)
        assert raw is not None
        inside = name in above or (name.count(".") > 15 and _within_listed(name, targets))
        expected = "listed" if name in names else "nodata" if inside else "nxdomain"
        assert kind(dns.message.from_wire(raw)) == expected, name


def _within_listed(name: str, targets: list[str]) -> bool:
    """Tell whether a partial IPv6 name of more than 16 digits lies in a listed network (whose names are too many)."""
    digits = "".join(reversed(name.split(".")))
    address = IPv6Address(int(digits.ljust(32, "0"), 16))
    return any(address in ip_network(target) for target in targets)
