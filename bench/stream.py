"""A made-up site's 90 days of mail, for a second opinion on the policy: not fitted to anything, only plausible.

Zipf-sized networks; bots in dynamic ranges that change address; dedicated spammers in static /24s; mail servers that
return daily, some of which pass on a little spam; shared /24s with servers of both kinds; nameless addresses.
"""

import hashlib
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from whimbrel.listings.state import Seen

BEGINNING = datetime(2007, 4, 8, tzinfo=UTC)
DAYS = 90

# Sizes of the world, in hosts; one receiver sees little of each: about a third of the spam has a past
# (LISTING's 90-day stream: 31.7 %).
MAIL_SERVERS = 400
ONE_TIME_SERVERS = 600
BOT_RANGES = 60_000
BOTS = 11_000
SPAM_HOUSES = 40


def simulated(seed: int) -> list[Seen]:
    """Return the stream of one seed, in decision order."""
    dice = random.Random(seed)
    rows: list[Seen] = []

    def say(  # noqa: PLR0917 - one row of the stream, always said in this order
        host: str, label: str, helo: str, rdns: str | None, below: int, at_days: float
    ) -> None:
        at = BEGINNING + timedelta(seconds=int(at_days * 86_400))
        digest = hashlib.sha256(f"{seed} {len(rows)}".encode()).digest()[:16]
        rows.append(
            Seen(digest, at, at, "own", host, "message", label, "given", None, None, below, helo, rdns, None, 1, None)
        )

    _servers(dice, say)
    _bots(dice, say)
    _spam_houses(dice, say)
    return sorted(rows, key=lambda row: (row.learned_at, row.seen_at, row.id))


Say = Callable[[str, str, str, str | None, int, float], None]


def _servers(dice: random.Random, say: Say) -> None:
    """Mail servers: 7 in 10 have names that agree; 1 in 12 passes on spam among its customers' mail."""
    for number in range(MAIL_SERVERS + ONE_TIME_SERVERS):
        host = f"{dice.randrange(60, 90)}.{dice.randrange(40)}.{dice.randrange(250)}.{dice.randrange(1, 255)}"
        word = dice.choice(["mail", "smtp", "mx", "www", "server", "relay", "ns1", "host"])
        name = f"{word}.org{number}.example"
        draw = dice.random()
        rdns = name if draw < 0.7 else f"x{number}.isp{number % 40}.example" if draw < 0.85 else None
        messages = 1 if number >= MAIL_SERVERS else max(1, int(dice.paretovariate(0.8)))
        spam_share = dice.uniform(0.02, 0.2) if dice.random() < 1 / 12 else 0.0
        for _ in range(min(messages, 300)):
            label = "spam" if dice.random() < spam_share else "ham"
            say(host, label, name, rdns, dice.choice([0, 1, 1, 2]), dice.uniform(0, DAYS))


def _bots(dice: random.Random, say: Say) -> None:
    """Bots: ranges by Zipf's law, customers' lines or nameless; each lives some days at one address, and returns."""
    weights = [1.0 / (rank + 1) ** 0.3 for rank in range(BOT_RANGES)]
    ranges = [f"{dice.randrange(80, 125)}.{dice.randrange(256)}.{dice.randrange(256)}" for _ in range(BOT_RANGES)]
    named = [dice.random() < 0.65 for _ in range(BOT_RANGES)]
    for number in dice.choices(range(BOT_RANGES), weights, k=BOTS):
        last = dice.randrange(1, 255)
        host = f"{ranges[number]}.{last}"
        third = host.split(".")[2]
        rdns = f"dsl-{third}-{last}.isp{number % 40}.example" if named[number] else None
        helo = dice.choice([rdns or "localhost", "friend", f"[{host}]", f"mail{last}.victim.example"])
        start, stay = dice.uniform(0, DAYS), dice.expovariate(1 / 4.0)
        for _ in range(1 + int(dice.expovariate(1.6))):
            say(host, "spam", helo, rdns, dice.choice([0, 0, 1]), min(DAYS, start + dice.uniform(0, stay)))


def _spam_houses(dice: random.Random, say: Say) -> None:
    """Dedicated spammers: a few hosts of a static /24 with proper names, some in /24s that hold mail servers too."""
    for number in range(SPAM_HOUSES):
        network = f"{dice.randrange(60, 90)}.{dice.randrange(40)}.{dice.randrange(250)}"
        for last in dice.sample(range(1, 255), dice.randrange(1, 20)):
            name = f"m{last}.offers{number}.example"
            for _ in range(1 + int(dice.expovariate(1 / 2.0))):
                say(f"{network}.{last}", "spam", name, name, 0, dice.uniform(0, DAYS))
