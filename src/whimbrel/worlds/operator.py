"""What an operator would know of a world besides its observations: who announces each network, and every lease.

Both are told truly, in the formats of docs/link.md, for `whimbrel links --as-table` and `--leases`.  In a world,
machines move at the beginnings of weeks; of an address with several machines behind it (NAT) no lease is told.
"""

import datetime as dt
from collections.abc import Iterator

import numpy as np

from whimbrel.worlds.moving import move, movers
from whimbrel.worlds.places import FIRST_AS, Whole, make_names, make_places
from whimbrel.worlds.population import make_population
from whimbrel.worlds.settings import World
from whimbrel.worlds.streams import stream


def as_table(world: World, seed: int) -> Iterator[str]:
    """Yield a line `prefix asn` for each network of a world, those of relays last."""
    places = make_places(world, seed)
    prefixes = make_names(world, places).prefixes.to_pylist()
    ases = FIRST_AS + np.concatenate([places.as_of_network, np.arange(world.ases)])
    for prefix, asn in zip(prefixes, ases.tolist(), strict=True):
        yield f"{prefix} {asn}\n"


def leases(world: World, seed: int) -> Iterator[str]:
    """Yield a line `host since until holder` for each lease of a world; holders are its machines."""
    places = make_places(world, seed)
    hosts = make_names(world, places).hosts
    behind = np.bincount(places.address_of_slot)
    for machine, slot, since, until in _leases(world, seed):
        address = places.address_of_slot[slot]
        if behind[address] == 1:
            end = "-" if until == world.weeks else _monday(world, until)
            yield f"{hosts[address].as_py()} {_monday(world, since)} {end} machine-{machine:07}\n"


def _leases(world: World, seed: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield who (a machine) held which slot from which week to which, by playing all moves again."""
    places = make_places(world, seed)
    population, _ = make_population(world, seed, places)
    slot_of_machine = np.arange(population.volume.size)
    since = np.zeros_like(slot_of_machine)
    for week in range(1, world.weeks):
        before = slot_of_machine.copy()
        move(stream(seed, "pools", week), places, slot_of_machine, movers(world, seed, week, population))
        moved = np.flatnonzero(before != slot_of_machine)
        yield from _ended(moved, before[moved], since[moved], week)
        since[moved] = week
    yield from _ended(np.arange(since.size), slot_of_machine, since, world.weeks)


def _ended(machine: Whole, slot: Whole, since: Whole, week: int) -> Iterator[tuple[int, int, int, int]]:
    for row in zip(machine.tolist(), slot.tolist(), since.tolist(), strict=True):
        yield (*row, week)


def _monday(world: World, week: int) -> str:
    return f"{world.start + dt.timedelta(weeks=week)}T00:00:00Z"
