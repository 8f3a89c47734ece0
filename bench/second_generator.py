"""A second made-up internet, to judge probabilities that were fitted on the first (`whimbrel.worlds`): shares no code.

    python bench/second_generator.py --seed 1 --out /tmp/second.jsonl        (Observation v1; the truth on stdout)

The story is another one, and so are its laws.  Families spread as epidemics (logistic in time) over providers that each
family prefers in its own way (Dirichlet).  A bot *polls* its master at renewal times (gamma intervals, the shorter the
more its host is on line); at a poll it gets a job, a campaign from its family's menu, or mostly nothing.  A job is a
burst of messages over hours.  A link is a dish that stands on a family's menu more often than on others'.  Menus of
unlinked families differ a little too (by 8 %), for no two crews are alike.  Hosts differ by a gamma frailty and by how
much they are on line (beta); leases end (exponential), and then nobody's bot is there.  Two sensors see a part of it.

A fifth of all pairs are linked, by ratios between 1.5 and 8; family sizes spread over a factor of a hundred, so that
some pairs have evidence and some have little.  In time, too: nothing here is drawn by the week but connections.
"""

import argparse
import json
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

START_SECONDS: Final = 1_072_051_200  # 2003-12-22, a Monday, 00:00 UTC
DAY_SECONDS: Final = 86_400
PROVIDERS: Final = 30
HOSTS_OF_A_NETWORK: Final = 250
FIRST_AS: Final = 4_200_100_000  # private (RFC 6996); hosts are in 10.0.0.0/8, private too (RFC 1918)

# The laws; all chosen, to be plausible and unlike those of the first generator.
LINKED_SHARE: Final = 0.2
RATIOS: Final = (1.5, 8.0)  # of linked pairs, evenly in the logarithm
MENU_NOISE: Final = 0.08  # standard deviation of the log ratio of pairs that are not linked
SIZES: Final = (30, 3_000)  # hosts a family, evenly in the logarithm
CLEAN_SHARE: Final = 0.4  # of all hosts
STOLEN_SHARE: Final = 0.05  # of all hosts send without any bot (a stolen password), a tenth as readily
POLL_DAYS: Final = 1.5  # mean interval of a host that is always on line
POLL_SHAPE: Final = 2.0  # of the gamma law of intervals: more regular than chance
JOB_CHANCE: Final = (0.0005, 0.004)  # that a poll brings the campaign, evenly in the logarithm over campaigns
FRAILTY_SHAPE: Final = 2.0
LEASE_DAYS: Final = 120.0
BURST_MESSAGES: Final = 4.0
BURST_HOURS: Final = 3.0
COVERAGE: Final = (0.9, 0.6)  # the chance that a sensor sees an event in its half of the world
MISLABELLED: Final = 0.02

Real = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]


class Truth(NamedTuple):
    """What is true of a pair: whether it is a link, and two ratios of its job's chance at a poll.

    `ratio` is over the campaign's usual chance; `ratio_to_others` is over the mean of all other families by size, which
    is what hosts of other families show: where another family has a link with the campaign too, it is the smaller.
    """

    family: str
    campaign: str
    linked: bool
    ratio: float
    ratio_to_others: float


class Hosts(NamedTuple):
    """Everybody: provider, frailty, share of time on line, and the end of the lease in days."""

    provider: Whole
    frailty: Real
    online: Real
    until: Real


class Bots(NamedTuple):
    """Who has what since when (days); family -1 is a clean host whose password was stolen."""

    host: Whole
    family: Whole
    since: Real


def generate(seed: int, families: int = 10, campaigns: int = 10, weeks: int = 13) -> tuple[pa.Table, list[Truth]]:
    """Return observations (columns as those of `whimbrel.worlds.rows`) and the truth of every pair."""
    dice = np.random.default_rng([seed, 20_031_222])
    sizes = _evenly(dice, SIZES, families).astype(np.int64)
    ratios, truths = _menus(dice, sizes, campaigns)
    hosts = _hosts(dice, int(sizes.sum()), weeks * 7.0)
    bots = _bots(dice, hosts, sizes, weeks * 7.0)
    chance = _evenly(dice, JOB_CHANCE, campaigns)
    parts = [
        _messages(dice, hosts, bots, chance * np.vstack([ratios, np.full(campaigns, 0.1)]), weeks * 7.0),
        _infections(dice, bots, families),
        _connections(dice, hosts, weeks),
    ]
    return _table(dice, hosts, [part for part in parts if part["day"].size], weeks * 7.0), truths


def _evenly(dice: np.random.Generator, bounds: tuple[float, float], count: int) -> Real:
    """Return numbers between bounds, even in the logarithm."""
    return np.exp(dice.uniform(np.log(bounds[0]), np.log(bounds[1]), count))


def _menus(dice: np.random.Generator, sizes: Whole, campaigns: int) -> tuple[Real, list[Truth]]:
    pairs = sizes.size * campaigns
    linked = np.zeros(pairs, dtype=bool)
    linked[dice.permutation(pairs)[: round(LINKED_SHARE * pairs)]] = True
    high, low = _evenly(dice, RATIOS, pairs), np.exp(dice.normal(0.0, MENU_NOISE, pairs))
    ratio = np.where(linked, high, low).reshape(sizes.size, campaigns)
    weighted = ratio * sizes[:, None]
    others = (weighted.sum(axis=0) - weighted) / np.maximum(1, sizes.sum() - sizes)[:, None]
    truths = [
        Truth(
            f"bot-{family}",
            f"run-{campaign}",
            bool(linked[family * campaigns + campaign]),
            round(float(ratio[family, campaign]), 4),
            round(float(ratio[family, campaign] / max(others[family, campaign], 1e-9)), 4),
        )
        for family in range(sizes.size)
        for campaign in range(campaigns)
    ]
    return ratio, truths


def _hosts(dice: np.random.Generator, infected: int, days: float) -> Hosts:
    count = round(infected / (1 - CLEAN_SHARE))
    provider = dice.choice(PROVIDERS, count, p=dice.dirichlet(np.full(PROVIDERS, 0.8)))
    grime = dice.gamma(4.0, 0.25, PROVIDERS)[provider]
    frailty = dice.gamma(FRAILTY_SHAPE, 1 / FRAILTY_SHAPE, count) * grime
    until = np.minimum(days, dice.exponential(LEASE_DAYS, count) + dice.uniform(0, days, count))
    return Hosts(provider, frailty, dice.beta(2.0, 2.0, count), until)


def _bots(dice: np.random.Generator, hosts: Hosts, sizes: Whole, days: float) -> Bots:
    """Let every family spread: by its taste for providers, to weak and busy hosts first, along an S-shaped curve."""
    stolen = np.flatnonzero(dice.random(hosts.online.size) < STOLEN_SHARE)
    parts: list[tuple[Whole, Whole, Real]] = [(stolen, np.full(stolen.size, -1), np.zeros(stolen.size))]
    for family, size in enumerate(sizes):
        taste = dice.gamma(2.0, 0.5, PROVIDERS)[hosts.provider]
        weight = taste * np.sqrt(hosts.frailty) * (0.2 + hosts.online)
        got = dice.choice(hosts.online.size, size, replace=False, p=weight / weight.sum())
        begin = dice.uniform(0, days / 2) + dice.logistic(0, days / 20, size)
        parts.append((got, np.full(size, family), np.clip(begin, 0, None)))
    host, family_of_bot, since = (np.concatenate(column) for column in zip(*parts, strict=True))
    alive = since < hosts.until[host]
    return Bots(host[alive], family_of_bot[alive], since[alive])


def _messages(
    dice: np.random.Generator, hosts: Hosts, bots: Bots, menu: Real, days: float
) -> dict[str, npt.NDArray[Any]]:
    """Let bots poll, take jobs from their family's row of the menu (the last one for clean hosts), and do them."""
    mean = POLL_DAYS / (0.1 + hosts.online[bots.host])
    most = int(days / mean.min() * 1.5) + 10
    steps = dice.gamma(POLL_SHAPE, 1 / POLL_SHAPE, (bots.host.size, most)) * mean[:, None]
    at = bots.since[:, None] + np.cumsum(steps, axis=1)
    bot, poll = np.nonzero(at < hosts.until[bots.host][:, None])
    wanted = menu[bots.family[bot]] * hosts.frailty[bots.host[bot]][:, None]
    job = np.cumsum(wanted, axis=1)
    drawn = dice.random(bot.size)
    got = drawn < job[:, -1]
    campaign = (drawn[got, None] >= job[got]).sum(axis=1)
    bot, begin = bot[got], at[bot[got], poll[got]]
    copies = dice.geometric(1 / BURST_MESSAGES, bot.size)
    row = np.repeat(np.arange(bot.size), copies)
    when = begin[row] + dice.exponential(BURST_HOURS / 24, row.size)
    late = when < hosts.until[bots.host[bot[row]]]
    return {"day": when[late], "host": bots.host[bot[row]][late], "campaign": campaign[row][late]}


def _infections(dice: np.random.Generator, bots: Bots, families: int) -> dict[str, npt.NDArray[Any]]:
    real = bots.family >= 0
    wrong = dice.random(int(real.sum())) < MISLABELLED
    family = np.where(wrong, dice.integers(families, size=wrong.size), bots.family[real])
    noticed = bots.since[real] + dice.exponential(0.5, wrong.size)
    return {"day": noticed, "host": bots.host[real], "family": family}


def _connections(dice: np.random.Generator, hosts: Hosts, weeks: int) -> dict[str, npt.NDArray[Any]]:
    """Return weekly connections by the host's time on line, more uneven than chance (negative binomial)."""
    host, week = np.repeat(np.arange(hosts.online.size), weeks), np.tile(np.arange(weeks), hosts.online.size)
    mean = 30 * hosts.online[host]
    count = dice.negative_binomial(4.0, 4.0 / (4.0 + mean))
    kept = (count > 0) & (week * 7 < hosts.until[host])
    return {"day": (week + dice.random(week.size))[kept] * 7, "host": host[kept], "count": count[kept]}


def _table(dice: np.random.Generator, hosts: Hosts, parts: list[dict[str, npt.NDArray[Any]]], days: float) -> pa.Table:
    """Return what the two sensors saw, in order of time; a host is in the view of the sensor of its provider."""
    sizes = [part["day"].size for part in parts]

    def column(name: str, otherwise: int) -> Whole:
        filled = [part.get(name, np.full(size, otherwise)) for part, size in zip(parts, sizes, strict=True)]
        return np.concatenate(filled).astype(np.int64)

    day, host = np.concatenate([part["day"] for part in parts]), column("host", 0)
    sensor = hosts.provider[host] % 2
    order = np.argsort(day, kind="stable")
    order = order[(dice.random(order.size) < np.array(COVERAGE)[sensor[order]]) & (day[order] < days)]
    host, sensor, family, campaign = (
        host[order],
        sensor[order],
        column("family", -1)[order],
        column("campaign", -1)[order],
    )
    seen = pa.array(((START_SECONDS + day[order] * DAY_SECONDS) * 1e3).astype(np.int64) * 1_000)
    seen = seen.cast(pa.timestamp("us", tz="UTC"))
    kind = np.where(family >= 0, 2, np.where(campaign >= 0, 0, 1))
    network = [f"10.{number // 256}.{number % 256}." for number in range(65_536)]
    place = _places(hosts.provider)
    return pa.table(
        {
            "seen_at": seen,
            "learned_at": seen,
            "sensor": _texts(["mx", "sinkhole"], sensor),
            "host": [f"{network[at // 250]}{at % 250 + 1}" for at in place[host].tolist()],
            "kind": _texts(["message", "connection", "infection"], kind),
            "label": _texts(["spam", "unknown"], np.minimum(kind, 1)),
            "label_basis": _texts(["given"], np.where(kind == 0, 0, -1)),
            "campaign": _texts([f"run-{number}" for number in range(1 + int(campaign.max(initial=0)))], campaign),
            "campaign_basis": _texts(["text"], np.where(kind == 0, 0, -1)),
            "family": _texts([f"bot-{number}" for number in range(1 + int(family.max(initial=0)))], family),
            "method": _texts(["payload", "sinkhole"], np.where(kind == 2, sensor, -1)),
            "asn": pa.array(FIRST_AS + hosts.provider[host]),
            "prefix": [f"{network[at // 250]}0/24" for at in place[host].tolist()],
            "count": pa.array(column("count", 1)[order]),
        }
    )


def _places(provider: Whole) -> Whole:
    """Return the address number of each host: each provider fills networks of its own, one after the other."""
    order = np.argsort(provider, kind="stable")
    members = np.bincount(provider, minlength=PROVIDERS)
    networks = -(-members // HOSTS_OF_A_NETWORK)
    first = np.concatenate([[0], np.cumsum(networks)[:-1]]) * HOSTS_OF_A_NETWORK
    rank = np.arange(provider.size) - np.repeat(np.cumsum(members) - members, members)
    place = np.empty(provider.size, dtype=np.int64)
    place[order] = first[provider[order]] + rank
    return place


def _texts(words: list[str], codes: Whole) -> pa.Array:
    return pa.array(words).take(pa.array(codes, mask=codes < 0))


def main() -> None:
    """Write one world's observations to a file, and its truth to standard output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    table, truths = generate(given.seed)
    with given.out.open("w", encoding="utf-8") as file:
        for row in table.to_pylist():
            row["seen_at"], row["learned_at"] = row["seen_at"].isoformat(), row["learned_at"].isoformat()
            file.write(json.dumps({key: value for key, value in row.items() if value is not None}) + "\n")
    for truth in truths:
        print(json.dumps(truth._asdict()))


if __name__ == "__main__":
    main()
