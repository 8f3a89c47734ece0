"""Who is there: machines with their volume and traits, and which families infect them, when.

Nothing here knows of windows, strata or tests.  A machine is infected in proportion to the dirt of its place, its
volume and its frailty; which family comes first depends on its place alone (the AS; by `network_tilt` the network too):
that is what makes hosts of another family comparable.  Frail machines get more families; bundles bring theirs along.
"""

from typing import Final, NamedTuple

import numpy as np

from whimbrel.worlds.places import Places, Real, Whole, Yes
from whimbrel.worlds.settings import WEEK_SECONDS, World, machines, sizes
from whimbrel.worlds.streams import stream

HOUR_SECONDS: Final = 3_600.0
NEVER: Final = float("inf")
_FITTING_ROUNDS: Final = 50  # of proportional fitting; tilts up to 3 standard deviations agree to 1e-6 by then


class Population(NamedTuple):
    """All machines, by number.  `clean_odds` and `infected_odds` are relative odds of sending any campaign.

    The latter hold from the first infection on and leave out the place, which a machine can change.
    """

    volume: Real
    infected_volume: Real
    clean_odds: Real
    infected_odds: Real
    sensor: Whole
    busy: Yes
    first_infected_seconds: Real


class Infections(NamedTuple):
    """All infections, in order of time (seconds from the start); families count from 0."""

    machine: Whole
    family: Whole
    at_seconds: Real


def make_population(world: World, seed: int, places: Places) -> tuple[Population, Infections]:
    """Draw the machines of a world and their infections."""
    count = machines(world)
    spread = world.volume_spread
    volume = world.connections * np.exp(spread * stream(seed, "volume").standard_normal(count) - spread**2 / 2)
    relative = (volume / world.connections) ** world.volume_effect if world.connections else np.ones(count)
    frail = stream(seed, "frailty").random(count) < world.frail_share
    busy = stream(seed, "busy").random(count) < world.busy_share
    infections = _infections(world, seed, places, relative, frail)
    first = np.full(count, NEVER)
    np.minimum.at(first, infections.machine, infections.at_seconds)
    sensor = _sensors(world, seed, infections, count)
    factor = _volume_factors(world, seed, infections, count)
    traits = np.where(frail, world.frail_odds, 1.0) * np.where(busy, world.busy_odds, 1.0)
    traits *= np.where(sensor == 0, world.sensor_odds, 1.0)
    infected_odds = relative * traits * factor**world.volume_effect
    return Population(
        volume=volume,
        infected_volume=volume * factor,
        clean_odds=relative * traits * world.clean_odds,
        infected_odds=infected_odds,
        sensor=sensor,
        busy=busy,
        first_infected_seconds=first,
    ), infections


def _infections(world: World, seed: int, places: Places, relative: Real, frail: Yes) -> Infections:
    """Draw first infections (machine number = slot number at the start), then what frailty and bundles add."""
    weight = np.exp(places.dirt) * relative * np.where(frail, 1.0 + world.frail_families, 1.0)
    count = sum(sizes(world))
    # The smallest of exponential times over weights: a draw without replacement in proportion to the weights.
    times = stream(seed, "infected").standard_exponential(weight.size) / weight
    machine = np.argpartition(times, count - 1)[:count] if 0 < count < weight.size else np.arange(count)
    machine, family = _first_families(world, seed, places, machine)
    last = min(world.infection_weeks, world.weeks) * WEEK_SECONDS
    at = stream(seed, "infection times").random(count) * last
    parts = [(machine, family, at), _frail_infections(world, seed, machine[frail[machine]], last)]
    parts = _with_bundles(world, seed, *(np.concatenate(column) for column in zip(*parts, strict=True)))
    return _in_order(world, *(np.concatenate(column) for column in zip(*parts, strict=True)))


def _first_families(world: World, seed: int, places: Places, machine: Whole) -> tuple[Whole, Whole]:
    """Return the infected machines, network by network in random order, and the family of each."""
    dice = stream(seed, "families")
    network = places.network_of_slot[machine]
    order = np.lexsort((dice.random(machine.size), network))
    infected = np.bincount(network, minlength=world.networks)
    counts = dice.multinomial(infected, _family_shares(world, places, infected, stream(seed, "tilts")))
    family = np.repeat(np.tile(np.arange(world.families), world.networks), counts.ravel())
    # `repeat` lays a family's machines side by side; the machines are in random order within their network already.
    return machine[order], family


def _family_shares(world: World, places: Places, infected: Whole, dice: np.random.Generator) -> Real:
    """Return each family's share of every network's infections: its tilt towards dirt, fitted to the families' sizes.

    W prefers dirty AS by `as_tilt` and networks by `network_tilt`; the tilts of the others spread about 0 by as much.
    """
    tilt = np.concatenate([[1.0], dice.standard_normal(world.families - 1)])
    score = world.as_tilt * places.as_score[places.as_of_network] + world.network_tilt * places.network_score
    wanted = np.array(sizes(world), dtype=np.float64)
    table = np.exp(np.outer(score, tilt)) * wanted
    for _ in range(_FITTING_ROUNDS if world.as_tilt or world.network_tilt else 1):
        table *= infected[:, None] / np.maximum(table.sum(axis=1, keepdims=True), 1e-300)
        table *= wanted / np.maximum(table.sum(axis=0), 1e-300)
    total = table.sum(axis=1, keepdims=True)
    even = np.full(world.families, 1.0 / world.families)
    return np.where(total > 0, table / np.where(total > 0, total, 1.0), even)


def _frail_infections(world: World, seed: int, frail: Whole, last_seconds: float) -> tuple[Whole, Whole, Real]:
    """Return the further infections of frail machines: of any family, in proportion to its size."""
    dice = stream(seed, "frail infections")
    machine = np.repeat(frail, dice.poisson(world.frail_families, frail.size))
    return machine, _any_family(world, dice, machine.size), dice.random(machine.size) * last_seconds


def _any_family(world: World, dice: np.random.Generator, count: int) -> Whole:
    bounds = np.cumsum(sizes(world)) / max(1, sum(sizes(world)))
    return np.searchsorted(bounds[:-1], dice.random(count), side="right")


def _with_bundles(world: World, seed: int, machine: Whole, family: Whole, at: Real) -> list[tuple[Whole, Whole, Real]]:
    """Return the given infections and those that came in one bundle with them."""
    parts = [(machine, family, at)]
    for number, bundle in enumerate(world.bundles):
        dice = stream(seed, f"bundle {number}")
        got = (family == bundle.family - 1) & (dice.random(family.size) < bundle.share)
        also = np.full(int(got.sum()), bundle.also - 1)
        parts.append((machine[got], also, at[got] + bundle.delay_hours * HOUR_SECONDS))
    return parts


def _in_order(world: World, machine: Whole, family: Whole, at: Real) -> Infections:
    """Return infections in order of time, without a family's second on one machine."""
    order = np.argsort(at, kind="stable")
    machine, family, at = machine[order], family[order], at[order]
    _, first = np.unique(machine * world.families + family, return_index=True)
    kept = np.sort(first)
    return Infections(machine[kept], family[kept], at[kept])


def _sensors(world: World, seed: int, infections: Infections, count: int) -> Whole:
    """Return the sensor (from 0) in whose view each machine is.

    Under mismatch machines with W are in the view of the first sensor, and those with other families of the others.
    """
    dice = stream(seed, "sensors")
    sensor = dice.integers(world.sensors, size=count)
    if world.sensor_mismatch == 0:
        return sensor
    moved = dice.random(count) < world.sensor_mismatch
    elsewhere = dice.integers(1, world.sensors, size=count)
    infected, with_w = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    infected[infections.machine] = True
    with_w[infections.machine[infections.family == 0]] = True
    return np.where(moved & infected, np.where(with_w, 0, elsewhere), sensor)


def _volume_factors(world: World, seed: int, infections: Infections, count: int) -> Real:
    """Return what its families multiply each machine's volume by: some are quiet, some chatty."""
    spread = world.family_volume_spread
    factors = np.exp(spread * stream(seed, "family volume").standard_normal(world.families))
    factors[0] = world.w_volume
    total = np.zeros(count)
    np.add.at(total, infections.machine, np.log(factors)[infections.family])
    return np.exp(total)
