"""What is true in a world, claim by claim (the four claims of `docs/worlds.md`): planted, so known without drawing."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Literal

import msgspec

from whimbrel.worlds.settings import Link, World, campaign_name, family_name, machines, planted, sizes

Claim = Literal["L1", "L2", "L3", "L4"]


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a claim holds of a pair.

    `odds_ratio` is what was planted, for one week and machines that are equal in all else: of L1 against the average
    of all other machines, of L2 against machines infected with an unlinked family; None where a claim has none.
    """

    family: str
    campaign: str
    claim: Claim
    holds: bool
    odds_ratio: float | None


def truth(world: World) -> Iterator[Truth]:
    """Yield the truth of every pair and claim, families first.

    L2 is a claim about hosts: it also holds of a family whose bundle brings along a family that sends the campaign.
    """
    links = planted(world)
    sending = _sending(world, links)
    tooling = {(link.family, link.campaign) for link in links if link.tooling}
    control = {(link.family, link.campaign) for link in links if link.control}
    for family in range(1, world.families + 1):
        for campaign in range(1, world.campaigns + 1):
            pair = family, campaign
            names = family_name(family), campaign_name(campaign)
            together = _colocation(world, sending, family, campaign)
            yield _truth(names, "L1", together > 1, together)
            yield _truth(names, "L2", sending[pair] > 1, sending[pair])
            yield _truth(names, "L3", pair in tooling, None)
            yield _truth(names, "L4", pair in control, None)


def _truth(names: tuple[str, str], claim: Claim, holds: bool, odds_ratio: float | None) -> Truth:  # noqa: FBT001
    rounded = None if odds_ratio is None else round(odds_ratio, 6)
    return Truth(family=names[0], campaign=names[1], claim=claim, holds=holds, odds_ratio=rounded)


def _sending(world: World, links: tuple[Link, ...]) -> defaultdict[tuple[int, int], float]:
    """Return the odds ratio of sending for each pair with one; every other pair has 1."""
    ratios: defaultdict[tuple[int, int], float] = defaultdict(lambda: 1.0)
    for link in links:
        ratios[link.family, link.campaign] += link.odds_ratio - 1
        for bundle in world.bundles:
            if bundle.also == link.family:
                ratios[bundle.family, link.campaign] += bundle.share * (link.odds_ratio - 1)
    return ratios


def _colocation(world: World, sending: defaultdict[tuple[int, int], float], family: int, campaign: int) -> float:
    """Return the odds of the family's machines over the average odds of all other machines, clean ones included."""
    infected = sizes(world)
    # All other machines at odds 1, then what clean ones lack and linked families have in addition.
    others = machines(world) - infected[family - 1]
    odds = others - (machines(world) - sum(infected)) * (1 - world.clean_odds)
    odds += sum(
        infected[other - 1] * (sending[other, campaign] - 1)
        for other, sent in list(sending)
        if sent == campaign and other != family
    )
    return sending[family, campaign] * others / odds if odds > 0 else sending[family, campaign]
