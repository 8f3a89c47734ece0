"""AS and prefix tables of text: every kind of line, the narrowest network, and each mistake by its line."""

import ipaddress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.lookups.mmdb_file import write_mmdb

from whimbrel.errors import ConfigError
from whimbrel.lookups.lines import Lines
from whimbrel.lookups.networks import TextTable, open_table
from whimbrel.model.address import host_of


def table(text: str) -> TextTable:
    return TextTable(Lines(Path("as.txt"), "digest", text.encode()))


def known(text: str, *hosts: str) -> dict[str, tuple[Any, Any]]:
    rows = table(text).look_up(pa.array(hosts, pa.string())).to_pylist()
    return {row["host"]: (row["asn"], row["prefix"]) for row in rows}


@pytest.mark.parametrize(
    "line",
    [
        "192.0.2.0/24 64500",
        "192.0.2.0/24\tAS64500\tZZ\tExample, Inc.",
        "192.0.2.0/24, as64500",
        '"192.0.2.0/24","64500","Example, Inc."',
        "network,autonomous_system_number\n192.0.2.0/24,64500",
        "192.0.2.0\t192.0.2.255\t64500\tZZ\tExample",
        "192.0.2.0,192.0.2.255,AS64500",
        "192.0.2.0\t24\t64500",
        "192.0.2.0\t24\t64500_64501,64502",
        "192.0.2.0/24 {64500,64501}",
        "# a comment\n\n192.0.2.0/24 64500 trailing words",
    ],
)
def test_every_kind_of_line(line: str) -> None:
    assert known(line, "192.0.2.9", "192.0.3.9") == {"192.0.2.9": (64500, "192.0.2.0/24")}


def test_a_prefix_alone_and_an_address_alone() -> None:
    text = "192.0.2.0/25\n192.0.2.128/25 -\n198.51.100.7 64500\n2001:db8:4000::/36"
    assert known(text, "192.0.2.9", "192.0.2.200", "198.51.100.7", "198.51.100.8", "2001:db8:4abc:1::/64") == {
        "192.0.2.9": (None, "192.0.2.0/25"),
        "192.0.2.200": (None, "192.0.2.128/25"),
        "198.51.100.7": (64500, "198.51.100.7/32"),
        "2001:db8:4abc:1::/64": (None, "2001:db8:4000::/36"),
    }


def test_as_0_says_that_nothing_is_known() -> None:
    assert known("192.0.2.0/24 64500\n192.0.2.0/25 0", "192.0.2.1", "192.0.2.129") == {
        "192.0.2.129": (64500, "192.0.2.0/24")
    }


_NETWORKS = st.one_of(
    st.tuples(st.integers(0, 2**16 - 1), st.integers(16, 32)).map(lambda d: (0xC0000000 | d[0], d[1], 4)),
    st.tuples(st.integers(0, 2**16 - 1), st.integers(32, 70)).map(lambda d: (0x20010DB8 << 96 | d[0] << 58, d[1], 6)),
)


def _network(number: int, length: int, version: int) -> Any:
    kind: Any = ipaddress.IPv4Network if version == 4 else ipaddress.IPv6Network
    return kind((number, length), strict=False)


@given(
    st.dictionaries(_NETWORKS, st.integers(0, 5) | st.none(), min_size=1, max_size=15),
    st.lists(st.integers(0, 2**16 - 1), min_size=1, max_size=20, unique=True),
)
def test_look_up_is_the_longest_prefix_by_looking_at_all(drawn: Any, offsets: list[int]) -> None:
    networks = {_network(number, length, version): asn for (number, length, version), asn in drawn.items()}
    text = "\n".join(f"{network} {asn if asn is not None else ''}" for network, asn in networks.items())
    hosts = {host_of(str(ipaddress.ip_address(0xC0000000 | each))) for each in offsets}
    hosts |= {host_of(str(ipaddress.ip_address(0x20010DB8 << 96 | each << 58))) for each in offsets}
    expected = {}
    for host in hosts:
        around = [
            network
            for network in networks
            if network.version == ipaddress.ip_network(host).version
            and ipaddress.ip_network(host).network_address in network
            and not (network.version == 6 and network.prefixlen > 64)
        ]
        best = max(around, key=lambda network: network.prefixlen, default=None)
        if best is not None and networks[best] != 0:
            expected[host] = (networks[best], str(best))
    assert known(text, *sorted(hosts)) == expected


def test_what_is_double_several_or_too_narrow_is_counted() -> None:
    text = "192.0.2.0/24 1\n192.0.2.0/24 1\n192.0.3.0\t24\t5_6\n2001:db8::1/128 7\n2001:db8::/32 7"
    assert table(text).notes == [
        "3 networks",
        "1 given twice",
        "1 with several AS, of which the first counts",
        "1 narrower than a host (/64), left out",
    ]
    assert table("192.0.2.0/24 1").notes == ["1 networks"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("192.0.2.0/24 1\n192.0.2.0/24 2", "as.txt: line 2: 192.0.2.0/24 has another AS on line 1"),
        (
            "192.0.2.0,192.0.2.9,1\n\n192.0.2.5,192.0.2.15,1",
            "line 3: 192.0.2.5-192.0.2.15 overlaps 192.0.2.0-192.0.2.9",
        ),
        ("192.0.2.5,192.0.2.15,1\n192.0.2.0,192.0.2.9,1", "line 2: 192.0.2.0-192.0.2.9 overlaps"),
        ("192.0.2.1/24 1", "line 1: the address of a prefix is its first; write 192.0.2.0/24"),
        ("192.0.2.0/33 1", "at most /32"),
        ("192.0.2.0/x 1", "no length"),
        ("192.0.2.0/24 ASfoo", "'ASfoo' is no AS number"),
        ("192.0.2.0/24 4294967296", "no AS number"),
        ("192.0.2.0/24 -1", "no AS number"),
        ("1.2.3 4", "line 1: '1.2.3' is no address"),
        ("1.2.3.4\x1b[2J 4", "is no address"),
        ("192.0.2.9 192.0.2.1 5", "the first and the last"),
        ("", "holds no line"),
        ("# nothing\nnetwork,asn\n", "holds no line"),
    ],
)
def test_each_mistake_is_one_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        table(text)
    assert said in str(caught.value)
    assert str(caught.value).isprintable()


@given(st.text(st.sampled_from('0123456789./:,\t\n -ASx"\r\x00\u00e9{}_'), max_size=40))
def test_any_text_is_a_table_or_one_line(text: str) -> None:
    said = ""
    try:
        assert table(text).look_up(pa.array(["192.0.2.1", "2001:db8::/64"])).num_rows <= 2
    except ConfigError as error:
        said = str(error)
    assert said.isprintable()


def test_the_kind_of_a_file_is_told_by_its_content(tmp_path: Path) -> None:
    path = write_mmdb(tmp_path / "a.txt", {"192.0.2.0/24": {"autonomous_system_number": 64500}})
    (tmp_path / "b.mmdb").write_text("192.0.2.0/24 64500\n")
    hosts = pa.array(["192.0.2.1"])
    assert open_table(path).look_up(hosts) == open_table(tmp_path / "b.mmdb").look_up(hosts)
    with pytest.raises(ConfigError, match="cannot be read"):
        open_table(tmp_path / "none")
