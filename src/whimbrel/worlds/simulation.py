"""The generator: a made-up internet, week by week, and what sensors would have written down of it.

This is a model of what happens to machines, not of the test that will judge it (`docs/worlds.md` has every setting).

**Places.**  A world has AS; an AS has networks (/24s); a network has addresses; an address has one slot for a machine,
or several behind a NAT or a carrier's.  Networks and AS differ in dirt: log-odds added to infection and sending alike.

**Machines.**  Each has a volume of mail connections, is frail or not, busy or not, and in the view of one sensor.
Families infect machines in proportion to dirt, volume and frailty; which family comes first depends on the place alone.
Frail machines get several; a bundle brings a second family along.

**Sending.**  A machine sends each campaign as a Poisson process whose chance of one sending or more in a week has the
odds (`whimbrel.worlds.sending` has the arithmetic)

    weekly odds of the campaign * dirt of the place * volume ** volume_effect * frail * busy * sensor
      * (clean_odds before the first infection, 1 from then on) * (1 + sum of (odds ratio - 1) over the family's links)

with the factors scaled so that infected machines have 1 on average: `base_rate` is theirs whatever else is set.  For
two machines that are equal in all but the family, the ratio of the weekly odds is the planted odds ratio, exactly.
Once a machine has sent a campaign, it goes on in each later week with probability `persistence`.

**Moves.**  At a week's beginning, machines whose lease ended change places with others of their AS.  They take their
infections and campaigns along; the address keeps what was observed of it.  So the observed hosts and the machines part.

**Seeing.**  Infections are seen or missed by family, sensor and method, named rightly or wrongly.  Connections of a
machine in a week are one observation with their number as `count`, or none where the sensor missed that week.
Messages are seen from the address, or from a relay of the AS; lists name senders as infected with some family.

Randomness: one stream for each component and week (`whimbrel.worlds.streams`).  Memory: the machines (about 150 octets
each) and one week's rows.  Order: a batch is a week; its rows are in order of `seen_at`, and delays may carry some of
them into the weeks after it.  Nothing is seen after the world's end.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa

from whimbrel.worlds.moving import move, movers
from whimbrel.worlds.places import Places, Real, Whole, make_names, make_places
from whimbrel.worlds.population import HOUR_SECONDS, Population, make_population
from whimbrel.worlds.reading import checked
from whimbrel.worlds.rows import COLUMNS, CONNECTION, INFECTION, MESSAGE, NOTHING, Rows, batch, dictionaries, rows
from whimbrel.worlds.seeing import LIST, PAYLOAD, see
from whimbrel.worlds.sending import Enrolled, Sendings, members, send
from whimbrel.worlds.settings import WEEK_SECONDS, World
from whimbrel.worlds.streams import stream

RELAY_VOLUME: Final = 50.0  # a relay's connections over a machine's: it carries a few dozen customers' mail


def generate(world: World, seed: int) -> pa.Table:
    """Return all observations of a world in the columns of `rows.COLUMNS`; equal arguments give equal tables."""
    return pa.Table.from_batches(batches(world, seed), schema=COLUMNS)


def batches(world: World, seed: int) -> Iterator[pa.RecordBatch]:
    """Yield the observations of a world week by week, in memory that does not grow with the weeks.

    Raises ConfigError where the settings make no sense together.
    """
    checked(world)
    simulation = _Simulation(world, seed)
    for week in range(world.weeks):
        yield simulation.week(week)


class _Simulation:
    """One run of a world; `week` is to be called for 0, 1, 2, ... in order."""

    def __init__(self, world: World, seed: int) -> None:
        self._world, self._seed = world, seed
        self._places = make_places(world, seed)
        self._population, self._infections = make_population(world, seed, self._places)
        self._seen = see(world, seed, self._population, self._infections)
        self._linked = members(world, self._infections, self._population.volume.size)
        self._enrolled = Enrolled(world, seed)
        self._slot_of_machine = np.arange(self._population.volume.size)
        self._texts = dictionaries(world, make_names(world, self._places))
        self._scale = _scale(self._places, self._population)
        self._last_of_machine = _last_infections(self._infections.machine, self._population.volume.size)

    def week(self, week: int) -> pa.RecordBatch:
        world, seed = self._world, self._seed
        moving = movers(world, seed, week, self._population)
        move(stream(seed, "pools", week), self._places, self._slot_of_machine, moving)
        messages, sent = self._messages(week)
        parts = [*self._infection_rows(week, moving), *self._connection_rows(week), messages]
        parts += self._list_rows(week, sent)
        if world.sensor_overlap and world.sensors > 1:
            parts += [self._seen_twice(week, number, part) for number, part in enumerate(parts)]
        parts = [_before(part, float(world.weeks * WEEK_SECONDS)) for part in parts]
        delay_seconds = world.learning_delay_hours * HOUR_SECONDS
        return batch(parts, delay_seconds, self._texts, stream(seed, "learning", week))

    def _hosts(self, machine: Whole) -> Whole:
        return self._places.address_of_slot[self._slot_of_machine[machine]]

    def _relayed(self, machine: Whole, dice: np.random.Generator) -> Whole:
        """Return the hosts that mail of machines comes from: their own, or a relay of their AS."""
        hosts, world = self._hosts(machine), self._world
        if world.relay_share == 0:
            return hosts
        as_of_machine = self._places.as_of_slot[self._slot_of_machine[machine]]
        relay = self._places.addresses + as_of_machine * world.relays_per_as
        relay += dice.integers(world.relays_per_as, size=machine.size)
        return np.where(dice.random(machine.size) < world.relay_share, relay, hosts)

    def _infection_rows(self, week: int, moving: Whole) -> list[Rows]:
        """Return what is seen of this week's infections, and again of old ones that have moved to a new address."""
        begin, end = week * WEEK_SECONDS, (week + 1) * WEEK_SECONDS
        first, last = np.searchsorted(self._infections.at_seconds, [begin, end])
        dice = stream(self._seed, "infection hosts", week)
        new = np.flatnonzero(self._seen.yes[first:last]) + first
        parts = [self._infected(new, self._seen.at_seconds[new], dice)]
        if self._world.seen_again and moving.size:
            old = self._last_of_machine[moving]
            old = old[old >= 0]
            old = old[(self._infections.at_seconds[old] < begin) & self._seen.yes[old]]
            old = old[dice.random(old.size) < self._world.seen_again]
            parts.append(self._infected(old, begin + dice.random(old.size) * WEEK_SECONDS, dice))
        return parts

    def _infected(self, which: Whole, at_seconds: Real, dice: np.random.Generator) -> Rows:
        machine, method = self._infections.machine[which], self._seen.method[which]
        # The worm's own mail goes through relays as spam does; what a sinkhole sees does not.
        hosts = np.where(method == PAYLOAD, self._relayed(machine, dice), self._hosts(machine))
        written = method if self._world.method_written else np.full(method.size, NOTHING)
        sensor = self._population.sensor[machine]
        return rows(INFECTION, at_seconds, sensor, hosts, family=self._seen.family[which], method=written)

    def _connection_rows(self, week: int) -> list[Rows]:
        """Return each machine's connections in the week, where there were some and its sensor saw them."""
        world, people = self._world, self._population
        dice = stream(self._seed, "connections", week)
        machine = np.flatnonzero(dice.random(people.volume.size) < world.connections_seen)
        # Of the week of its infection, the part before counts at the volume that it had before.
        clean = np.clip(people.first_infected_seconds[machine] / WEEK_SECONDS - week, 0.0, 1.0)
        count = dice.poisson(clean * people.volume[machine] + (1.0 - clean) * people.infected_volume[machine])
        machine, count = machine[count > 0], count[count > 0]
        at = (week + dice.random(machine.size)) * WEEK_SECONDS
        parts = [rows(CONNECTION, at, people.sensor[machine], self._hosts(machine), counts=count)]
        if world.relay_share:
            relay = np.arange(world.ases * world.relays_per_as)
            count = 1 + dice.poisson(world.connections * RELAY_VOLUME, relay.size)
            at = (week + dice.random(relay.size)) * WEEK_SECONDS
            sensor = dice.integers(world.sensors, size=relay.size)
            parts.append(rows(CONNECTION, at, sensor, self._places.addresses + relay, counts=count))
        return parts

    def _messages(self, week: int) -> tuple[Rows, Sendings]:
        world, seed = self._world, self._seed
        place_odds = np.exp(self._places.dirt)[self._slot_of_machine] * self._scale
        again = self._enrolled.again(week)
        new = send(world, seed, week, self._population, place_odds=place_odds, linked=self._linked)
        self._enrolled.add(new)
        sent = Sendings._make(np.concatenate(pair) for pair in zip(new, again, strict=True))
        dice = stream(seed, "messages", week)
        count = 1 + dice.poisson(world.messages - 1.0, sent.machine.size)
        hosts = self._relayed(sent.machine, dice)
        sensor = self._population.sensor[sent.machine]
        return rows(MESSAGE, sent.at_seconds, sensor, hosts, campaign=sent.campaign, counts=count), sent

    def _list_rows(self, week: int, sent: Sendings) -> list[Rows]:
        """Return what spam lists make of the week's senders: infected with one family, because they sent spam."""
        world = self._world
        if world.list_share == 0:
            return []
        dice = stream(self._seed, "lists", week)
        listed = dice.random(sent.machine.size) < world.list_share
        machine, at = sent.machine[listed], sent.at_seconds[listed]
        at = at + dice.standard_exponential(machine.size) * world.list_delay_hours * HOUR_SECONDS
        family, method = np.full(machine.size, world.list_family - 1), np.full(machine.size, LIST)
        sensor = self._population.sensor[machine]
        return [rows(INFECTION, at, sensor, self._hosts(machine), family=family, method=method, listed=True)]

    def _seen_twice(self, week: int, number: int, part: Rows) -> Rows:
        """Return the rows that another sensor saw too, at the same time."""
        dice, world = stream(self._seed, f"overlap {number}", week), self._world
        also = dice.random(part.host.size) < world.sensor_overlap
        twice = Rows._make(column[also] for column in part)
        other = (twice.sensor + dice.integers(1, world.sensors, size=twice.sensor.size)) % world.sensors
        return twice._replace(sensor=other)


def _scale(places: Places, population: Population) -> float:
    """Return what makes the relative odds of infected machines 1 on average."""
    infected = np.isfinite(population.first_infected_seconds)
    if not infected.any():
        return 1.0
    return float(1.0 / np.mean((np.exp(places.dirt) * population.infected_odds)[infected]))


def _last_infections(machine: Whole, count: int) -> Whole:
    """Return for each machine its last infection by number, or -1."""
    last = np.full(count, -1)
    last[machine] = np.arange(machine.size)
    return last


def _before(part: Rows, end_seconds: float) -> Rows:
    inside = part.at_seconds < end_seconds
    return part if inside.all() else Rows._make(column[inside] for column in part)
