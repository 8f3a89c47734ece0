"""What sensors see of infections: which, by what method, under what name, and when.

An infection is watched for by its payload (the worm's own mail) or in a sinkhole.  Payload sensors see busy machines
more readily than quiet ones; sinkholes see all alike.  Where W is watched for by other means than its controls, W's
*seen* machines differ from the controls' seen machines in how busy they are: a world without any link then looks like
one with a link, unless the method is written down.
"""

from typing import Final, NamedTuple

import numpy as np

from whimbrel.worlds.places import Real, Whole, Yes
from whimbrel.worlds.population import HOUR_SECONDS, Infections, Population
from whimbrel.worlds.settings import World, sizes
from whimbrel.worlds.streams import stream

PAYLOAD, SINKHOLE, LIST = 0, 1, 2
METHODS: Final = ("payload", "sinkhole", "list")


class Seen(NamedTuple):
    """What sensors say of each infection: whether seen at all, the method, the family's name (from 0), and when."""

    yes: Yes
    method: Whole
    family: Whole
    at_seconds: Real


def see(world: World, seed: int, population: Population, infections: Infections) -> Seen:
    """Draw what is seen of each infection."""
    w = infections.family == 0
    dice = stream(seed, "methods")
    payload = dice.random(w.size) < np.where(w, world.w_payload_share, world.payload_share)
    quiet = ~population.busy[infections.machine]
    chance = np.where(payload & quiet, world.payload_quiet, 1.0) * _detection(world, population, infections, w)
    yes = stream(seed, "detection").random(w.size) < chance
    delay = stream(seed, "detection delay").standard_exponential(w.size) * world.detection_delay_hours * HOUR_SECONDS
    method = np.where(payload, PAYLOAD, SINKHOLE)
    return Seen(yes, method, _named(world, seed, infections.family), infections.at_seconds + delay)


def _detection(world: World, population: Population, infections: Infections, w: Yes) -> Real:
    """Return the chance of being seen: in the first sensor's view W's is raised, and the others' lowered."""
    ratio = np.where(w, world.detection_ratio, 1.0 / world.detection_ratio)
    at_first = population.sensor[infections.machine] == 0
    chance: Real = np.minimum(1.0, world.detection * np.where(at_first, ratio, 1.0))
    return chance


def _named(world: World, seed: int, family: Whole) -> Whole:
    """Return the family that each infection is taken for: some get another's name, in proportion to its size."""
    dice = stream(seed, "labels")
    wrong = (dice.random(family.size) < world.mislabelled) & (world.families > 1)
    weights = np.array(sizes(world), dtype=np.float64)
    bounds = np.cumsum(weights) / max(1.0, weights.sum())
    draw = np.searchsorted(bounds[:-1], dice.random(family.size), side="right")
    # Whoever draws the right name by mistake takes the next one: a mislabelled infection is never labelled right.
    other = np.where(draw == family, (draw + 1) % world.families, draw)
    return np.where(wrong, other, family)
