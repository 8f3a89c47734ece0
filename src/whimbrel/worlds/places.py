"""Where machines are: AS, networks, addresses, and the slots behind each address (several where it is a NAT).

Every network is a /24 of 10.0.0.0/8 and every AS number a private one (RFC 1918, RFC 6996): no simulated host is
anybody's.  Networks of an AS are neighbours; an AS's share of them follows Zipf's law.  Every AS keeps its mail relays
in a /24 of 172.16.0.0/12.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from whimbrel.worlds.settings import World, machines
from whimbrel.worlds.streams import stream

FIRST_AS: Final = 4_200_000_000  # the first private number of four octets (RFC 6996)

Whole = npt.NDArray[np.int64]
Real = npt.NDArray[np.float64]
Yes = npt.NDArray[np.bool_]


class Places(NamedTuple):
    """The map.  A slot is a place for one machine; an address has one, or several where it is a NAT.

    `dirt` is the log-odds that a slot's network and AS add to infection and to sending alike; `as_score` says how dirty
    an AS is, and `network_score` a network beside others of its AS, in standard deviations.
    """

    as_of_network: Whole
    as_score: Real
    network_score: Real
    address_of_slot: Whole
    network_of_slot: Whole
    as_of_slot: Whole
    dirt: Real
    addresses: int


def make_places(world: World, seed: int) -> Places:
    """Draw the map of a world."""
    as_of_network = np.repeat(np.arange(world.ases), _networks_of_ases(world))
    sizes = _address_sizes(world, stream(seed, "nat"))
    address_of_slot = np.repeat(np.arange(sizes.size), sizes)[: machines(world)]
    network_of_slot = address_of_slot % world.networks
    as_of_slot = as_of_network[network_of_slot]
    as_score = stream(seed, "as").standard_normal(world.ases)
    network_score = stream(seed, "networks").standard_normal(world.networks)
    dirt = world.as_dirt * as_score[as_of_slot] + world.network_dirt * network_score[network_of_slot]
    return Places(
        as_of_network, as_score, network_score, address_of_slot, network_of_slot, as_of_slot, dirt, sizes.size
    )


def _networks_of_ases(world: World) -> Whole:
    """Return how many networks each AS has: one each, and the rest by Zipf's law, largest remainders first."""
    weights = np.arange(1.0, world.ases + 1.0) ** -world.as_skew
    exact = weights / weights.sum() * (world.networks - world.ases)
    counts = np.floor(exact).astype(np.int64)
    missing = world.networks - world.ases - int(counts.sum())
    counts[np.argsort(counts - exact, kind="stable")[:missing]] += 1
    total: Whole = counts + 1
    return total


def _address_sizes(world: World, dice: np.random.Generator) -> Whole:
    """Return how many slots each address has, for as many addresses as hold all machines."""
    most = machines(world)
    kind = dice.random(most)
    sizes = np.ones(most, dtype=np.int64)
    carrier = kind < world.carrier_share
    home = ~carrier & (kind < world.carrier_share + world.nat_share)
    sizes[carrier] += dice.poisson(world.carrier_machines - 1, int(carrier.sum()))
    sizes[home] += dice.poisson(world.nat_machines - 1, int(home.sum()))
    needed = int(np.searchsorted(np.cumsum(sizes), most)) + 1
    return sizes[:needed]


class Names(NamedTuple):
    """What rows say of a host number: numbers below `Places.addresses` are addresses, the rest are relays."""

    hosts: pa.Array
    prefixes: pa.Array
    prefix_of_host: Whole
    asn_of_host: Whole


def make_names(world: World, places: Places) -> Names:
    """Return the text of every host and prefix; relay `r` of AS `a` is host `addresses + a * relays_per_as + r`."""
    networks = np.arange(world.networks)
    prefixes = _dotted("10", networks // 256, networks % 256)
    address = np.arange(places.addresses)
    ases = np.arange(world.ases)
    relay_prefixes = _dotted("172", 16 + ases // 256, ases % 256)
    relay_as = np.repeat(ases, world.relays_per_as)
    last = np.concatenate([address // world.networks + 1, np.tile(np.arange(world.relays_per_as) + 1, world.ases)])
    prefix_of_host = np.concatenate([address % world.networks, world.networks + relay_as])
    bare = pa.concat_arrays([prefixes, relay_prefixes])
    hosts = pc.binary_join_element_wise(bare.take(pa.array(prefix_of_host)), _text(last), ".")
    written = pc.binary_join_element_wise(bare, ".0/24", "")
    asn = FIRST_AS + np.concatenate([places.as_of_network[address % world.networks], relay_as])
    return Names(hosts, written, prefix_of_host, asn)


def _dotted(first: str, second: Whole, third: Whole) -> pa.Array:
    return pc.binary_join_element_wise(first, _text(second), _text(third), ".")


def _text(numbers: Whole) -> pa.Array:
    return pa.array(numbers).cast(pa.string())
