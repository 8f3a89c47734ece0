"""Which names a network is: the fewest that say it; `test_zone.py` looks each address up in them."""

import pytest
from tests.nameserver.transfer.some_lists import Targets, snapshot_of
from tests.nameserver.transfer.test_owners import text_of

from whimbrel.model.listing import Code
from whimbrel.nameserver.transfer.networks import network_names
from whimbrel.nameserver.transfer.said import Sayings

SAID = (Code.NETWORK, 3600)


def names(*targets: str) -> list[str]:
    listed: Targets = dict.fromkeys(targets, SAID)
    snapshot = snapshot_of(listed)
    return [text_of(owner) for owner, _ in network_names(snapshot, Sayings(snapshot))]


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        (["198.51.100.0/24"], ["*.100.51.198"]),
        (["198.51.100.0/30"], [f"{host}.100.51.198" for host in range(4)]),
        (["198.51.100.0/23"], ["*.100.51.198", "*.101.51.198"]),
        # A host hides the network's wildcard from its neighbours, for its /24 then exists.
        (["198.51.0.0/16", "198.51.100.7"], ["*.51.198", "*.100.51.198"]),
        (["198.51.100.0/24", "198.51.100.7"], ["*.100.51.198"]),
        (["198.51.100.0/31", "198.51.100.1"], ["0.100.51.198"]),
        (["2001:db8::/47"], ["*.0.0.0.0.8.b.d.0.1.0.0.2", "*.1.0.0.0.8.b.d.0.1.0.0.2"]),
        (["2001:db8::/60", "2001:db8:0:3::/64"], ["*" + ".0" * 7 + ".8.b.d.0.1.0.0.2"]),
        (
            ["2001:db8::/56", "2001:db8:0:3::/64"],
            ["*" + ".0" * 6 + ".8.b.d.0.1.0.0.2", "*" + ".0" * 7 + ".8.b.d.0.1.0.0.2"],
        ),
    ],
)
def test_a_network_is_the_fewest_names_that_say_it(targets: list[str], expected: list[str]) -> None:
    assert names(*targets) == expected


def test_where_a_wildcard_would_say_too_much_addresses_are_named() -> None:
    assert names("2.0.0.0/24") == [f"{host}.0.0.2" for host in range(256)]
    assert len(names("2.0.0.0/16")) == 246 + 10 * 256


def test_the_text_names_what_is_listed() -> None:
    snapshot = snapshot_of({"198.51.100.0/23": SAID, "2.0.0.0/31": SAID})
    texts = [said.text.partition(" ")[0] for _, said in network_names(snapshot, Sayings(snapshot))]
    assert texts == ["2.0.0.0", "2.0.0.1", "198.51.100.0/23", "198.51.100.0/23"]
