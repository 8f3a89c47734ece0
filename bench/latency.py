"""From a file dropped into a watched maildir to the authoritative answer, with a list of 100,000.

    make latency            200 drops at random moments, a table of quantiles, and where the time goes

The store is made by `whimbrel observe`; the service is `whimbrel run`, with its defaults; the answer is asked for over
UDP every 2 ms.  A drop is of a host not seen before.
"""

import argparse
import random
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles

from bench.service import deliver, listed_store, message, running, wait_until_listed

GOAL_SECONDS = 2.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drops", type=int, default=200)
    parser.add_argument("--hosts", type=int, default=51_000, help="hosts listed beforehand, two targets each")
    given = parser.parse_args()
    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        in_force = listed_store(folder / "data", given.hosts)
        print(f"{in_force:,} targets listed")
        taken: list[float] = []
        with running(folder) as service:
            for number in range(given.drops + 3):
                time.sleep(chance.uniform(0.1, 1.5))
                peer = f"93.{number // 250}.{number % 250}.7"
                deliver(folder / "Maildir", f"{number}.drop", message(number, peer, datetime.now(UTC)))
                took = wait_until_listed(service, peer, 20)
                if number >= 3:  # the first ones start the engine
                    taken.append(took)
            metrics = service.metrics()
        tell(taken, metrics)


def tell(taken: list[float], metrics: dict[str, float]) -> None:
    """Print the quantiles, and the mean time of each step."""
    cuts = quantiles(taken, n=100, method="inclusive")
    print("| drops | p50 | p90 | p99 | longest | goal (p99) |")
    print("|---|---|---|---|---|---|")
    cells = " | ".join(f"{seconds:.2f} s" for seconds in (cuts[49], cuts[89], cuts[98], max(taken)))
    print(f"| {len(taken)} | {cells} | {GOAL_SECONDS:.0f} s |")
    print("\n| step | times | mean |\n|---|---|---|")
    for step in ("ingest", "decide", "expire", "publish", "analyse"):
        count = metrics.get(f'whimbrel_step_seconds_count{{step="{step}"}}', 0.0)
        total = metrics.get(f'whimbrel_step_seconds_sum{{step="{step}"}}', 0.0)
        print(f"| {step} | {count:.0f} | {1000 * total / max(count, 1):.1f} ms |")
    if cuts[98] > GOAL_SECONDS:
        raise SystemExit("missed the goal")


if __name__ == "__main__":
    main()
