"""Every setting of a world; meanings, units, defaults and sources are one table in `docs/worlds.md`.

Flat on purpose, so that one setting is changed by `msgspec.structs.replace(world, churn=0.5)` or `--set churn=0.5`.  W
is the first family (`family-01`), the one in question.  A default of a confounder is the value at which it is off.
"""

import datetime as dt
from typing import Final

import msgspec

WEEK_SECONDS: Final = 7 * 86_400
NETWORK_HOSTS: Final = 254  # usable addresses of a /24
NETWORKS_MAX: Final = 65_536  # the /24s of 10.0.0.0/8 (RFC 1918): no simulated host is anybody's
ASES_MAX: Final = 4_096  # the /24s of 172.16.0.0/12 (RFC 1918): one for the relays of each AS


class Link(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A family that sends a campaign more than comparable hosts do; numbers count from 1."""

    family: int
    campaign: int
    odds_ratio: float
    lag_hours: float = 6.0
    tooling: bool = True
    control: bool = True


class Bundle(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pay-per-install bundle: who gets `family` also gets `also`, with probability `share`, `delay_hours` later."""

    family: int
    also: int
    share: float
    delay_hours: float = 1.0


class World(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A world: its sizes, its planted truth, and one number for every confounder."""

    # Time
    start: dt.date = dt.date(2003, 8, 18)
    weeks: int = 10

    # Sizes
    families: int = 11
    campaigns: int = 1
    units: int = 1_000
    controls_per_unit: float = 10.0
    family_skew: float = 0.0
    family_sizes: tuple[int, ...] = ()
    clean_machines: float = 1.0
    ases: int = 20
    as_skew: float = 1.0
    networks: int = 400
    sensors: int = 1
    infection_weeks: int = 1

    # Truth
    odds_ratio: float = 1.0
    linked_pairs: int = 1
    lag_hours: float = 6.0
    tooling: bool = True
    control: bool = True
    links: tuple[Link, ...] = ()
    bundles: tuple[Bundle, ...] = ()

    # Sending
    base_rate: float = 0.03
    base_rate_weeks: int = 1
    campaign_skew: float = 0.0
    campaign_weeks: int = 0
    clean_odds: float = 0.1
    persistence: float = 0.0
    messages: float = 3.0

    # Dirty networks
    as_dirt: float = 0.0
    as_tilt: float = 0.0
    network_dirt: float = 0.0
    network_tilt: float = 0.0

    # Volume
    connections: float = 20.0
    connections_seen: float = 1.0
    volume_spread: float = 0.0
    volume_effect: float = 0.0
    w_volume: float = 1.0
    family_volume_spread: float = 0.0

    # Several machines behind an address, and machines that move
    nat_share: float = 0.0
    nat_machines: float = 3.0
    carrier_share: float = 0.0
    carrier_machines: float = 32.0
    churn: float = 0.0
    lease_weeks: float = 0.0
    seen_again: float = 0.0

    # Frail machines
    frail_share: float = 0.0
    frail_families: float = 3.0
    frail_odds: float = 3.0

    # Shared relays
    relays_per_as: int = 2
    relay_share: float = 0.0

    # Labels
    list_share: float = 0.0
    list_family: int = 1
    list_delay_hours: float = 12.0
    mislabelled: float = 0.0

    # What sensors see
    sensor_mismatch: float = 0.0
    sensor_odds: float = 1.0
    sensor_overlap: float = 0.0
    detection: float = 1.0
    detection_ratio: float = 1.0
    detection_delay_hours: float = 0.0
    learning_delay_hours: float = 0.0
    payload_share: float = 0.5
    w_payload_share: float = 0.5
    payload_quiet: float = 1.0
    busy_share: float = 0.3
    busy_odds: float = 1.0
    method_written: bool = True


# The least and the greatest value, both allowed.  Upper bounds only keep a slip of the pen from filling the memory.
BOUNDS: Final[dict[str, tuple[float, float]]] = {
    "weeks": (1, 520),
    "families": (1, 10_000),
    "campaigns": (1, 100_000),
    "units": (0, 50_000_000),
    "controls_per_unit": (0, 10_000),
    "family_skew": (0, 5),
    "clean_machines": (0, 1_000),
    "ases": (1, ASES_MAX),
    "as_skew": (0, 5),
    "networks": (1, NETWORKS_MAX),
    "sensors": (1, 1_000),
    "infection_weeks": (1, 520),
    "odds_ratio": (1, 1_000),
    "linked_pairs": (0, 10_000),
    "lag_hours": (0, 24 * 365),
    "base_rate": (0, 0.99),
    "base_rate_weeks": (1, 520),
    "campaign_skew": (0, 5),
    "campaign_weeks": (0, 520),
    "clean_odds": (0, 1),
    "persistence": (0, 1),
    "messages": (1, 1_000_000),
    "as_dirt": (0, 3),
    "as_tilt": (0, 3),
    "network_dirt": (0, 3),
    "network_tilt": (0, 3),
    "connections": (0, 1_000_000),
    "connections_seen": (0, 1),
    "volume_spread": (0, 3),
    "volume_effect": (0, 2),
    "w_volume": (0.001, 1_000),
    "family_volume_spread": (0, 3),
    "nat_share": (0, 1),
    "nat_machines": (1, 1_000),
    "carrier_share": (0, 1),
    "carrier_machines": (1, 65_536),
    "churn": (0, 1),
    "lease_weeks": (0, 520),
    "seen_again": (0, 1),
    "frail_share": (0, 1),
    "frail_families": (0, 100),
    "frail_odds": (1, 1_000),
    "relays_per_as": (1, NETWORK_HOSTS),
    "relay_share": (0, 1),
    "list_share": (0, 1),
    "list_family": (1, 10_000),
    "list_delay_hours": (0, 24 * 365),
    "mislabelled": (0, 1),
    "sensor_mismatch": (0, 1),
    "sensor_odds": (0.001, 1_000),
    "sensor_overlap": (0, 1),
    "detection": (0, 1),
    "detection_ratio": (1, 1_000),
    "detection_delay_hours": (0, 24 * 365),
    "learning_delay_hours": (0, 24 * 365),
    "payload_share": (0, 1),
    "w_payload_share": (0, 1),
    "payload_quiet": (0, 1),
    "busy_share": (0, 1),
    "busy_odds": (1, 1_000),
}

# The same for a [[links]] and a [[bundles]] table; their numbers of families and campaigns are checked apart.
TABLE_BOUNDS: Final[dict[str, tuple[float, float]]] = {
    "odds_ratio": (1, 1_000),
    "lag_hours": (0, 24 * 365),
    "share": (0, 1),
    "delay_hours": (0, 24 * 365),
}


def planted(world: World) -> tuple[Link, ...]:
    """Return every link: `linked_pairs` pairs of equal number at `odds_ratio`, then those of [[links]].

    A pair at odds ratio 1 is none.
    """
    equal = (
        Link(
            family=number,
            campaign=number,
            odds_ratio=world.odds_ratio,
            lag_hours=world.lag_hours,
            tooling=world.tooling,
            control=world.control,
        )
        for number in range(1, world.linked_pairs + 1)
    )
    return tuple(link for link in (*equal, *world.links) if link.odds_ratio > 1)


def sizes(world: World) -> list[int]:
    """Return how many machines each family infects first: W `units`, the others `controls_per_unit` times as many."""
    if world.family_sizes:
        return list(world.family_sizes)
    weights = [float(rank) ** -world.family_skew for rank in range(1, world.families)]
    others = world.units * world.controls_per_unit
    return [world.units, *(round(others * weight / sum(weights)) for weight in weights)]


def machines(world: World) -> int:
    """Return how many machines there are, infected ones and clean ones."""
    infected = sum(sizes(world))
    return infected + round(infected * world.clean_machines)


def weekly_odds(world: World, campaign: int, week: int) -> float:
    """Return the odds that a machine of an unlinked family sends the campaign (from 1) in a week (from 0)."""
    if not _runs(world, campaign, week):
        return 0.0
    rate = world.base_rate * float(campaign) ** -world.campaign_skew
    weekly = 1.0 - (1.0 - rate) ** (1.0 / world.base_rate_weeks)
    return float(weekly / (1.0 - weekly))


def _runs(world: World, campaign: int, week: int) -> bool:
    if world.campaign_weeks == 0 or world.campaign_weeks >= world.weeks:
        return True
    # Starts are spread evenly, by the golden ratio's multiples, so that the truth needs no draw.
    starts = world.weeks - world.campaign_weeks + 1
    start = int((campaign * 0.6180339887498949 % 1.0) * starts)
    return start <= week < start + world.campaign_weeks


def family_name(number: int) -> str:
    """Return the name of a family (from 1)."""
    return f"family-{number:02d}"


def campaign_name(number: int) -> str:
    """Return the name of a campaign (from 1)."""
    return f"campaign-{number:03d}"


def sensor_name(number: int) -> str:
    """Return the name of a sensor (from 1)."""
    return f"sensor-{number}"
