"""DHCP: machines change places with others of their AS; what they are infected with goes along.

Pools are closed: when a lease ends, the address goes to another customer of the same AS, mostly one whose lease ended
too (Padmanabhan and others, IMC 2016, find reassignment within the AS and prefix).  Two clocks: `churn` is the share of
machines that move at the end of the week of their first infection, `lease_weeks` the mean length of every lease.
"""

import numpy as np

from whimbrel.worlds.places import Places, Whole
from whimbrel.worlds.population import Population
from whimbrel.worlds.settings import WEEK_SECONDS, World
from whimbrel.worlds.streams import stream


def movers(world: World, seed: int, week: int, population: Population) -> Whole:
    """Return the machines that move at the beginning of a week (from 0)."""
    if week == 0 or (world.churn == 0 and world.lease_weeks == 0):
        return np.zeros(0, dtype=np.int64)
    dice = stream(seed, "moves", week)
    draw = dice.random(population.volume.size)
    first = population.first_infected_seconds
    just = (first >= (week - 1) * WEEK_SECONDS) & (first < week * WEEK_SECONDS)
    leaving = just & (draw < world.churn)
    # As many clean machines move with them, so that the pool is not one of infected machines only.
    clean = np.isinf(first)
    leaving |= clean & (draw < min(1.0, leaving.sum() / max(1, clean.sum())))
    if world.lease_weeks:
        leaving |= dice.random(draw.size) < -np.expm1(-1.0 / world.lease_weeks)
    return np.flatnonzero(leaving)


def move(dice: np.random.Generator, places: Places, slot_of_machine: Whole, moving: Whole) -> None:
    """Let the moving machines of each AS change places among themselves, in `slot_of_machine`."""
    if moving.size == 0:
        return
    slots = slot_of_machine[moving]
    as_of_slot = places.as_of_slot[slots]
    order = np.lexsort((dice.random(moving.size), as_of_slot))
    # In random order within the AS, each takes the slot of the next, and the last that of the first.
    ordered = as_of_slot[order]
    ends = np.flatnonzero(np.diff(ordered, append=-1))
    starts = np.concatenate([[0], ends[:-1] + 1])
    following = np.arange(1, moving.size + 1)
    following[ends] = starts
    slot_of_machine[moving[order]] = slots[order[following]]
