"""Names: rbldnsd and Unbound, given the export of a zone, say of each name what our own name server says."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.answering import answering
from tests.publishing.exports.conftest import KINDS, DebianProgram, records, snippet, text_of, written
from tests.publishing.exports.test_rbldnsd import folder, rbldnsd  # noqa: F401 - a fixture
from tests.publishing.exports.test_zones import unbound

from whimbrel.model.listing import Code, FurtherCode
from whimbrel.nameserver import answer
from whimbrel.publishing import Entries
from whimbrel.publishing.building import zone_of
from whimbrel.publishing.exports import FORMATS, Content, content_of
from whimbrel.publishing.exports.names import Name, closed
from whimbrel.wire.snapshot import Snapshot

DOMAINS = (FurtherCode.SPAMVERTISED, FurtherCode.PHISHING, FurtherCode.MALWARE)
FILE = "0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33._file"
ZONES = ("bl.example", "names.example", "auth.bl.example")
QUESTIONS = (
    "spam.example.net",
    "www.spam.example.net",
    "a.b.spam.example.net",
    "good.spam.example.net",
    "www.good.spam.example.net",
    "one.spam.example.net",
    "www.one.spam.example.net",
    "bad.good.spam.example.net",
    "login.bank.example.org",
    "x.login.bank.example.org",
    "two.example.org",
    "www.two.example.org",
    "hidden.example.org",
    "www.hidden.example.org",
    "ended.example.org",
    "elsewhere.example.com",
)


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    """Every way in which names, their wildcards and exclusions can stand beside each other, and addresses."""
    born = datetime.now(UTC) - timedelta(minutes=10)
    hour, week = born + timedelta(hours=1), born + timedelta(days=7)
    entries = Entries()
    entries.put("192.0.2.0/24", Code.NETWORK, hour)
    entries.put("192.0.2.1", FurtherCode.COMPROMISED_ACCOUNT, hour)
    entries.put_name("spam.example.net", FurtherCode.SPAMVERTISED, week, wildcard=True)
    entries.exclude_name("good.spam.example.net", wildcard=True)
    entries.exclude_name("one.spam.example.net")
    entries.put_name("bad.good.spam.example.net", FurtherCode.MALWARE, hour)
    entries.put_name("login.bank.example.org", FurtherCode.PHISHING, hour)
    entries.put_name("two.example.org", FurtherCode.PHISHING, hour)
    entries.put_name("two.example.org", FurtherCode.MALWARE, week, wildcard=True)
    entries.exclude_name("hidden.example.org")
    entries.put_name("hidden.example.org", FurtherCode.MALWARE, week, wildcard=True)
    entries.put_name("ended.example.org", FurtherCode.MALWARE, born + timedelta(minutes=5))
    entries.put_name(FILE, FurtherCode.MALICIOUS_FILE, hour)
    servers = ("ns1.example",)
    return Snapshot(
        entries.moment().snapshot(
            zone=ZONES[0],
            serial=1,
            born=born,
            expires=born + timedelta(days=1),
            servers=servers,
            codes=list(Code),
            more_zones=[
                zone_of(ZONES[1], servers, None, codes=[*DOMAINS, FurtherCode.MALICIOUS_FILE]),
                zone_of(ZONES[2], servers, None, codes=[FurtherCode.COMPROMISED_ACCOUNT]),
            ],
        )
    )


def content(snapshot: Snapshot, zone: int) -> Content:
    return content_of(snapshot, snapshot.born + 600, zone=snapshot.zones[zone])


def served(snapshot: Snapshot, name: str, kind: dns.rdatatype.RdataType) -> list[str]:
    query = dns.message.make_query(f"{name}.{ZONES[1]}.", kind)
    return records(dns.message.from_wire(answer(query.to_wire(), snapshot, snapshot.born + 600, tcp=True) or b""))


def test_a_zones_export_has_what_the_zone_shows(snapshot: Snapshot) -> None:
    main, names, auth = (content(snapshot, zone) for zone in range(3))
    assert (main.entries, len(main.names), len(main.tests.key)) == (1, 0, 7)
    assert [row for row in text_of(main, "plain").splitlines() if row[0] not in "#!"] == ["192.0.2.0/24"]
    assert (auth.entries, auth.tests.key.tolist()) == (1, [0x7F000002, 0x7F000014])
    assert [row for row in text_of(auth, "plain").splitlines() if row[0] not in "#!"] == ["192.0.2.1"]
    assert (names.entries, len(names.ipv4.key), len(names.tests.key)) == (7, 0, 0)
    assert {name.name for name in names.name_tests} >= {"test", "127-0-1-4.test", "127-0-3-10.test"}


def test_codes_of_the_account_zone_have_sets_and_events_of_their_own(snapshot: Snapshot) -> None:
    auth = content(snapshot, 2)
    assert "add set inet whimbrel ipv4_20 " in text_of(auth, "nftables")
    assert "add whimbrel_ipv4_20_new 192.0.2.1 timeout " in text_of(auth, "ipset")
    assert "ipv4_20" not in text_of(content(snapshot, 0), "nftables")
    assert '"answer":"127.0.0.20"' in text_of(auth, "jsonl")
    assert FORMATS["misp"].files is not None
    (event, *_) = FORMATS["misp"].files(auth)
    assert "(127.0.0.20)" in "".join(event[1])


def test_tables_spell_names_out(snapshot: Snapshot) -> None:
    lines = text_of(content(snapshot, 1), "plain").splitlines()
    for line in ("spam.example.net", "*.spam.example.net", "!one.spam.example.net", "!*.good.spam.example.net", FILE):
        assert lines.count(line) == 1
    assert lines.count("two.example.org") == lines.count("!hidden.example.org") == 1
    assert "hidden.example.org" not in lines
    assert len(set(lines)) == len(lines)
    rows = text_of(content(snapshot, 1), "csv")
    assert "\r\n*.two.example.org,261,127.0.1.5,malware domain," in rows
    assert "\r\n!" not in rows
    assert "\r\none.spam.example.net,0,,not listed," in rows


@pytest.mark.parametrize("name", ["ip4set", "ip4trie", "ip6trie", "nftables", "ipset", "postfix", "stix"])
def test_other_formats_have_no_place_for_names(snapshot: Snapshot, name: str) -> None:
    assert "example.net" not in text_of(content(snapshot, 1), name)


@pytest.mark.debian
def test_rbldnsd_answers_as_we_do(debian_program: DebianProgram, snapshot: Snapshot, folder: Path) -> None:  # noqa: F811
    written(content(snapshot, 1), "dnset", folder / "names")
    # `bl.example` is what the helper waits for.
    written(content(snapshot, 0), "dnset", folder / "main")
    sets = (f"{ZONES[1]}:dnset:names", "bl.example:dnset:main")
    with rbldnsd(debian_program("rbldnsd", "rbldnsd"), folder, *sets) as ask:
        listed = 0
        for name in (*QUESTIONS, FILE, "test", "127-0-1-4.test", "invalid"):
            for kind in KINDS:
                said = records(ask(f"{name}.{ZONES[1]}.", kind))
                assert said == served(snapshot, name, kind), name
                listed += bool(said)
        assert listed == 2 * 12


LABELS = st.sampled_from(["a", "b", "c"])


@given(
    st.dictionaries(
        st.tuples(st.lists(LABELS, min_size=1, max_size=4).map(".".join), st.booleans()), st.integers(0, 9), max_size=8
    ),
    st.lists(st.lists(LABELS, min_size=1, max_size=5).map(".".join), max_size=10),
)
def test_wildcards_that_end_at_names_say_the_same(listed: dict[tuple[str, bool], int], asked: list[str]) -> None:
    """Against what a name server makes of a zone file: the name, else the wildcard at its closest encloser."""
    lines = dict(closed([Name(name, wildcard, reason, 0) for (name, wildcard), reason in listed.items()]))
    existing = {above for name in lines for above in endings(name.removeprefix("*."))}
    for name in [*asked, *(name for name, _ in listed), *(f"x.{name}" for name, _ in listed)]:
        expected = next(
            (
                listed[above, wildcard]
                for above in endings(name)
                for wildcard in ((False, True) if above == name else (True,))
                if (above, wildcard) in listed
            ),
            None,
        )
        encloser = next((above for above in endings(name) if above in existing), "")
        found = lines.get(name) if encloser == name else lines.get(f"*.{encloser}")
        assert (None if found is None else found.reason) == expected, name


def endings(name: str) -> list[str]:
    labels = name.split(".")
    return [".".join(labels[skip:]) for skip in range(len(labels))]


@pytest.fixture
def stub() -> Iterator[int]:
    """A name server that has an address for every name, an unlisted one; gives its port."""
    import socket  # noqa: PLC0415

    def respond(packet: bytes) -> bytes:
        query = dns.message.from_wire(packet)
        reply = dns.message.make_response(query)
        if query.question[0].rdtype == dns.rdatatype.A:
            reply.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "A", "203.0.113.7"))
        return reply.to_wire()

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.bind(("127.0.0.1", 0))
        with answering(ours, respond):
            yield ours.getsockname()[1]


@pytest.mark.debian
def test_unbound_hides_listed_domains(
    debian_program: DebianProgram, snapshot: Snapshot, tmp_path: Path, stub: int
) -> None:
    zone = written(content(snapshot, 1), "rpz", tmp_path / "whimbrel.rpz")
    assert FILE not in zone.read_text()
    policy = snippet("RPZ").replace("/var/lib/unbound/whimbrel.rpz", str(zone))
    stubs = "".join(f'stub-zone:\n  name: "{top}"\n  stub-addr: 127.0.0.1@{stub}\n' for top in ("net", "org", "com"))
    with unbound(debian_program("unbound", "unbound"), tmp_path, stub, stubs + policy) as port:
        for name in QUESTIONS:
            reply = dns.query.udp(dns.message.make_query(f"{name}.", "A"), "127.0.0.1", timeout=5, port=port)
            hidden = reply.rcode() == dns.rcode.NXDOMAIN
            assert hidden or records(reply) == ["203.0.113.7"], name
            assert hidden == bool(served(snapshot, name, dns.rdatatype.A)), name
