"""The kernel holds what the snapshot says, seen through nft and ipset in a network namespace."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from tests.listed import listing
from tests.publishing.exports.conftest import DebianProgram, World, snippet, text_of, written

from whimbrel.model.listing import Code
from whimbrel.publishing import Entries
from whimbrel.publishing.exports import content_of
from whimbrel.publishing.exports.firewalls import set_name
from whimbrel.wire.snapshot import Snapshot

Run = Callable[[str], str]
Held = dict[str, list[tuple[int, int, int]]]  # of each set: first, last, timeout


@pytest.fixture(scope="module")
def in_kernel(debian_program: DebianProgram, in_namespace: Run, world: World, tmp_path_factory: Any) -> Held:
    """Load the export twice, the rules of the document between, and return what the kernel has."""
    nft = debian_program("nft", "nftables")
    folder = tmp_path_factory.mktemp("nft")
    export = written(world.content, "nftables", folder / "list.nft")
    rules = folder / "rules.nft"
    rules.write_text(snippet("nftables"))
    listed = in_namespace(
        f"{nft} -c -f {export}\n{nft} -f {export}\n{nft} -f {rules}\n{nft} -f {export}\n{nft} -j list ruleset"
    )
    everything = json.loads(listed)["nftables"]
    assert any("rule" in each for each in everything)  # reloading leaves the rules alone
    return {each["set"]["name"]: list(elements(each["set"])) for each in everything if "set" in each}


def elements(kernel_set: dict[str, Any]) -> Iterator[tuple[int, int, int]]:
    for each in kernel_set.get("elem", []):
        value, seconds = each["elem"]["val"], each["elem"]["timeout"]
        if isinstance(value, str):
            yield int(ip_address(value)), int(ip_address(value)), seconds
        elif "prefix" in value:
            network = ip_network(f"{value['prefix']['addr']}/{value['prefix']['len']}")
            yield int(network.network_address), int(network.broadcast_address), seconds
        else:
            yield int(ip_address(value["range"][0])), int(ip_address(value["range"][1])), seconds


@pytest.mark.debian
def test_every_address_is_in_the_set_of_its_code_and_no_other(in_kernel: Held, world: World) -> None:
    for address in world.questions:
        holding = {
            code.value: seconds
            for code in Code
            for first, last, seconds in in_kernel[set_name(address.version, code)]
            if first <= int(address) <= last
        }
        entry = world.find(address)
        expected = {} if entry is None else {entry.code: min(entry.until, world.snapshot.expires) - world.at}
        assert holding == expected, address


@pytest.mark.debian
def test_no_set_holds_the_loopback(in_kernel: Held) -> None:
    assert set(in_kernel) == {set_name(family, code) for family in (4, 6) for code in Code}
    loopback = int(ip_address("127.0.0.0")), int(ip_address("127.255.255.255"))
    for name, held in in_kernel.items():
        if name.startswith("ipv4"):
            assert all(last < loopback[0] or first > loopback[1] for first, last, _ in held)


@pytest.mark.debian
def test_a_listed_host_cannot_connect_and_another_can(
    debian_program: DebianProgram, in_namespace: Run, tmp_path: Path
) -> None:
    nft, ip = debian_program("nft", "nftables"), debian_program("ip", "iproute2")
    export = tmp_path / "list.nft"
    export.write_text(text_of(content_of(*network_with_a_hole(3600)), "nftables"))
    rules = tmp_path / "rules.nft"
    rules.write_text(snippet("nftables"))
    probe = tmp_path / "probe.py"
    probe.write_text(
        "import socket\n"
        "server = socket.create_server(('127.0.0.1', 25))\n"
        "for source in ('198.51.100.7', '192.0.2.1'):\n"
        "    client = socket.socket()\n"
        "    client.settimeout(0.5)\n"
        "    client.bind((source, 0))\n"
        "    try:\n"
        "        client.connect(('127.0.0.1', 25))\n"
        "        print(source, 'connected')\n"
        "    except TimeoutError:\n"
        "        print(source, 'dropped')\n"
    )
    told = in_namespace(
        f"{ip} link set lo up\n{ip} address add 198.51.100.7/32 dev lo\n{ip} address add 192.0.2.1/32 dev lo\n"
        f"{nft} -f {export}\n{nft} -f {rules}\npython3 {probe}\n"
    )
    assert told.splitlines() == ["198.51.100.7 dropped", "192.0.2.1 connected"]


@pytest.mark.debian
def test_ipset_holds_what_the_snapshot_says(
    debian_program: DebianProgram, in_namespace: Run, world: World, tmp_path: Path
) -> None:
    ipset = debian_program("ipset", "ipset")
    export = written(world.content, "ipset", tmp_path / "list.ipset")
    questions = "\n".join(
        f"{address} whimbrel_{set_name(address.version, code)}" for address in world.questions[::3] for code in Code
    )
    (tmp_path / "questions").write_text(questions + "\n")
    told = in_namespace(
        f"{ipset} restore < {export}\n{ipset} restore < {export}\n"  # anew, over the old one
        f"while read -r address name; do {ipset} -q test $name $address && echo $address $name || true; done "
        f"< {tmp_path}/questions\n{ipset} list -n\n"
    )
    lines = told.splitlines()
    expected = [
        f"{address} whimbrel_{set_name(address.version, Code(code))}"
        for address in world.questions[::3]
        if (code := world.code(address)) is not None
    ]
    assert [line for line in lines if " " in line] == expected
    assert sorted(line for line in lines if " " not in line) == sorted(
        f"whimbrel_{set_name(family, code)}" for family in (4, 6) for code in Code
    )


@pytest.mark.debian
def test_when_a_hosts_listing_ends_its_networks_holds_again(
    debian_program: DebianProgram, in_namespace: Run, tmp_path: Path
) -> None:
    ipset = debian_program("ipset", "ipset")
    export = tmp_path / "list.ipset"
    export.write_text(text_of(content_of(*network_with_a_hole(2)), "ipset"))
    told = in_namespace(
        f"""{snippet("ipset").replace("whimbrel.ipset", str(export)).replace("ipset restore", f"{ipset} restore")}
        {ipset} -q test whimbrel_ipv4_9 198.51.100.9 && echo too early || echo host
        tries=0
        until {ipset} -q test whimbrel_ipv4_9 198.51.100.9; do
            tries=$((tries + 1)); [ $tries -lt 100 ]; sleep 0.1
        done
        {ipset} -q test whimbrel_ipv4_2 198.51.100.9 && echo too late || echo network
        """
    )
    assert told.splitlines() == ["host", "network"]


def test_a_timeout_longer_than_the_kernel_counts_is_cut() -> None:
    snapshot, at = network_with_a_hole(3600, valid=timedelta(days=365))
    assert "198.51.100.0/24 timeout 2147483\n" in text_of(content_of(snapshot, at), "ipset")


def network_with_a_hole(seconds: int, valid: timedelta = timedelta(days=2)) -> tuple[Snapshot, int]:
    """Return a listed network in which a host is listed for another reason, for some seconds."""
    born = datetime.now(UTC)
    listings = [
        listing("198.51.100.0/24", Code.NETWORK, born, 90 * 86_400),
        listing("198.51.100.9", Code.SPAM_SOURCE, born, seconds),
    ]
    data = Entries.of(listings).moment().snapshot(zone="bl.example", serial=1, born=born, expires=born + valid)
    return Snapshot(data), int(born.timestamp())
