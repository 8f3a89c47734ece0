"""Who sends which campaign, when.

A machine sends campaign C as a Poisson process.  If `o` is the odds that it sends C at all in a week, the rate is
log(1 + o) a week, for then the chance of one sending or more is 1 - exp(-log(1 + o)) = o / (1 + o), exactly.  The
odds multiply: the campaign's weekly odds, the dirt of the place, volume, frailty, and 1 or `clean_odds`; and a link of
the machine's family with C multiplies them by its odds ratio.  So the planted odds ratio is exact, week by week.

Drawing: events come at the rate of the *odds* (cheap, for it is a product: first a Poisson number for each machine over
all campaigns, then a campaign for each event); a link adds events at the rate of what it adds to the odds; each event
is then kept with probability log(1 + o) / o.  Thinning a Poisson process gives one of the thinned rate.
"""

from typing import NamedTuple

import numpy as np

from whimbrel.worlds.places import Real, Whole, Yes
from whimbrel.worlds.population import HOUR_SECONDS, Infections, Population
from whimbrel.worlds.settings import WEEK_SECONDS, Link, World, planted, weekly_odds
from whimbrel.worlds.streams import stream


class Sendings(NamedTuple):
    """Messages sent, in no order: by which machine, of which campaign (from 0), seconds after the world's start."""

    machine: Whole
    campaign: Whole
    at_seconds: Real


class Members(NamedTuple):
    """The machines of a linked family, and from when on they send its campaign."""

    link: Link
    machine: Whole
    since_seconds: Real
    has: Yes


def members(world: World, infections: Infections, machines: int) -> list[Members]:
    """Return for each link the machines that it makes send, lag included."""
    found = []
    for link in planted(world):
        rows = infections.family == link.family - 1
        machine = infections.machine[rows]
        has = np.zeros(machines, dtype=bool)
        has[machine] = True
        since = infections.at_seconds[rows] + link.lag_hours * HOUR_SECONDS
        found.append(Members(link, machine, since, has))
    return found


def send(
    world: World, seed: int, week: int, population: Population, *, place_odds: Real, linked: list[Members]
) -> Sendings:
    """Draw the sendings of one week; `place_odds` are the relative odds that the place of each machine adds."""
    begin = float(week * WEEK_SECONDS)
    odds = np.array([weekly_odds(world, number, week) for number in range(1, world.campaigns + 1)])
    infected = population.first_infected_seconds < begin + WEEK_SECONDS
    relative = place_odds * np.where(infected, population.infected_odds, population.clean_odds)
    dice = stream(seed, "sendings", week)
    parts = [_by_anybody(dice, relative, odds, begin)]
    parts += [
        _by_link(stream(seed, f"link {group.link.family} {group.link.campaign}", week), relative, odds, begin, group)
        for group in linked
    ]
    sent = Sendings._make(np.concatenate(column) for column in zip(*parts, strict=True))
    before = sent.at_seconds < population.first_infected_seconds[sent.machine]
    kept = _keep_share(sent, relative, odds, linked)
    # Until its infection an infected machine sent as a clean one does.
    kept *= np.where(before & infected[sent.machine], world.clean_odds, 1.0)
    chosen = stream(seed, "thinning", week).random(kept.size) < kept
    return Sendings._make(column[chosen] for column in sent)


def _by_anybody(dice: np.random.Generator, relative: Real, odds: Real, begin: float) -> Sendings:
    total = np.cumsum(odds)
    events = dice.poisson(relative * total[-1])
    machine = np.repeat(np.arange(relative.size), events)
    campaign = np.searchsorted(total[:-1], dice.random(machine.size) * total[-1], side="right")
    return Sendings(machine, campaign, begin + dice.random(machine.size) * WEEK_SECONDS)


def _by_link(dice: np.random.Generator, relative: Real, odds: Real, begin: float, group: Members) -> Sendings:
    link = group.link
    events = dice.poisson(relative[group.machine] * odds[link.campaign - 1] * (link.odds_ratio - 1.0))
    row = np.repeat(np.arange(group.machine.size), events)
    at = begin + dice.random(row.size) * WEEK_SECONDS
    late = at >= group.since_seconds[row]
    row, at = row[late], at[late]
    return Sendings(group.machine[row], np.full(row.size, link.campaign - 1), at)


def _keep_share(sent: Sendings, relative: Real, odds: Real, linked: list[Members]) -> Real:
    """Return log(1 + o) / o for each event, `o` being the odds that its machine sends its campaign this week."""
    ratio = np.ones(sent.machine.size)
    for group in linked:
        own = np.flatnonzero(sent.campaign == group.link.campaign - 1)
        ratio[own] += group.has[sent.machine[own]] * (group.link.odds_ratio - 1.0)
    whole = relative[sent.machine] * odds[sent.campaign] * ratio
    share: Real = np.log1p(whole) / whole
    return share


class Enrolled:
    """Machines that have sent a campaign, and go on: each week with probability `persistence`."""

    def __init__(self, world: World, seed: int) -> None:
        self._world, self._seed = world, seed
        self._keys = np.zeros(0, dtype=np.int64)  # machine * campaigns + campaign, sorted

    def again(self, week: int) -> Sendings:
        """Return this week's sendings by those who had sent before it."""
        world = self._world
        dice = stream(self._seed, "persistence", week)
        keys = self._keys[dice.random(self._keys.size) < world.persistence]
        running = np.array([weekly_odds(world, number, week) > 0 for number in range(1, world.campaigns + 1)])
        keys = keys[running[keys % world.campaigns]]
        at = (week + dice.random(keys.size)) * WEEK_SECONDS
        return Sendings(keys // world.campaigns, keys % world.campaigns, at)

    def add(self, sent: Sendings) -> None:
        """Remember who has sent what."""
        if self._world.persistence == 0:
            return
        keys = np.unique(sent.machine * self._world.campaigns + sent.campaign)
        at = np.searchsorted(self._keys, keys)
        known = np.zeros(keys.size, dtype=bool)
        inside = at < self._keys.size
        known[inside] = self._keys[at[inside]] == keys[inside]
        # Two sorted runs: numpy's stable sort of whole numbers merges them in linear time.
        self._keys = np.sort(np.concatenate([self._keys, keys[~known]]), kind="stable")
