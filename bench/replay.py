"""Causal replay of a labelled corpus: what the list would have caught, and whom it would have hit, by policy setting.

    python bench/replay.py --data STORE                    an ingested store's observations
    python bench/replay.py MAIL... [--labels INDEX]        mail files; without an index, folders named
                                                           spam* and *ham* are the labels
    python bench/replay.py --simulated                     90 days of a made-up site (bench/stream.py)

At each message the answer is what the ledger's listings would have made DNS say at that moment; only then is the
message learned.  Which servers are our own is settled first, over the whole corpus (no knowledge of labels).
"""

import argparse
import hashlib
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that `bench` is found when run as a script

from bench.causal import Point, oracle, replay, upper_bound

from whimbrel.errors import WhimbrelError
from whimbrel.evidence.store import Evidence
from whimbrel.listings.settings import PROFILES
from whimbrel.listings.state import Seen, seen_from_table
from whimbrel.model.address import host_of
from whimbrel.model.reading import Hop
from whimbrel.sensors.boundary import connecting_client, parse_trust, was_passed_on
from whimbrel.sensors.inference import TrustLearner
from whimbrel.sensors.labels import Labels
from whimbrel.sensors.mailfiles import Item, open_sources
from whimbrel.wire.envelope import envelope_time
from whimbrel.wire.received import parse_received

CURVE = (0.1, 0.05, 0.02, 0.01, 0.005, 0.003, 1e-3, 1e-4, 1e-5)

# A header longer than this is cut: only its Received lines are read here.
HEADER_BYTES = 262_144
MAX_HOPS = 100


def main() -> int:
    """Print the curve; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mail", nargs="*", help="mbox, maildir, .eml, folders, archives")
    parser.add_argument("--data", type=Path, help="an ingested store")
    parser.add_argument("--labels", help="a TREC-style index: lines `label path`")
    parser.add_argument("--trust", action="append", default=[], help="our own relays, where they are known")
    parser.add_argument("--simulated", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile", choices=sorted(PROFILES), default="own")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    try:
        rows = _rows(asked)
    except WhimbrelError as error:
        print(f"replay: {error}", file=sys.stderr)
        return error.exit_code
    if not rows:
        print("replay: no labelled message with a connecting client", file=sys.stderr)
        return 1
    _report(rows, asked.profile, as_json=asked.json)
    return 0


def _rows(asked: argparse.Namespace) -> list[Seen]:
    if asked.simulated:
        from bench.stream import simulated  # noqa: PLC0415 - the only use

        return simulated(asked.seed)
    if asked.data is not None:
        with Evidence.open(asked.data) as store:
            batches = store.in_decision_order()
            return [row for batch in batches for row in seen_from_table(batch) if row.label != "unknown"]
    return rows_from_mail(asked.mail, None if asked.labels is None else Labels.load(asked.labels), asked.trust)


def rows_from_mail(paths: Sequence[str], labels: Labels | None, trusted: Sequence[str]) -> list[Seen]:
    """Return the rows of labelled mail files in decision order, as seen at the border of our own servers."""
    read = [(label, at, hops) for label, at, hops in _routes(paths, labels) if hops]
    learner = TrustLearner(parse_trust(trusted))
    for _, _, hops in read:
        learner.add(hops)
    trust = learner.result()
    rows = []
    for number, (label, at, hops) in enumerate(read):
        client = connecting_client(hops, trust)
        seen_at = at if client is None else client.at or at
        if client is None or seen_at is None:
            continue
        digest = hashlib.sha256(client.trace_sha256 + number.to_bytes(8, "big")).digest()[:16]
        rows.append(
            Seen(
                id=digest,
                seen_at=seen_at,
                learned_at=seen_at,
                sensor="own",
                host=host_of(client.peer),
                kind="message",
                label=label,
                label_basis="given",
                family=None,
                method=None,
                received_below=client.received_below,
                helo=client.helo,
                rdns=client.rdns,
                asn=None,
                count=1,
                supersedes=None,
                passed_on=was_passed_on(hops, client),
            )
        )
    print(f"own servers inferred: {', '.join(one.network for one in trust.inferred) or 'none'}")
    print(f"{len(read)} labelled messages with a route, {len(rows)} with a connecting client and a time")
    return sorted(rows, key=lambda row: (row.learned_at, row.seen_at, row.id))


def _routes(paths: Sequence[str], labels: Labels | None) -> Iterator[tuple[str, datetime | None, tuple[Hop, ...]]]:
    for chunk in open_sources(paths).chunks(lambda _: False):
        for item in chunk.items:
            label = _label_of(item, labels)
            if label is not None:
                envelope_at = None if item.envelope is None else envelope_time(item.envelope)
                yield label, envelope_at, tuple(_hops(item.content))


def _label_of(item: Item, labels: Labels | None) -> str | None:
    if labels is not None:
        found = labels.label_of(item.location)
        return None if found is None or found[0] == "unknown" else found[0]
    folders = item.location.lower().split("/")[:-1]
    for folder in reversed(folders):
        if "ham" in folder:
            return "ham"
        if folder.startswith("spam") and "assassin" not in folder:
            return "spam"
    return None


def _hops(content: bytes) -> Iterator[Hop]:
    head = content[:HEADER_BYTES].replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    lines: list[bytes] = []
    for line in head.split(b"\n"):
        if line[:1] in {b" ", b"\t"} and lines:
            lines[-1] += b"\n" + line
        else:
            lines.append(line)
    received = [line[9:] for line in lines if line[:9].lower() == b"received:"]
    for value in received[:MAX_HOPS]:
        yield parse_received(value.strip())


def _report(rows: Sequence[Seen], profile: str, *, as_json: bool) -> None:
    spam = sum(row.label == "spam" for row in rows)
    ham = sum(row.label == "ham" for row in rows)
    ham_hosts = len({row.host for row in rows if row.label == "ham"})
    bound = oracle(rows)
    settings = PROFILES[profile]
    points = [replay(rows, msgspec.structs.replace(settings, q=q)) for q in sorted({*CURVE, settings.q}, reverse=True)]
    if as_json:
        told = {"spam": spam, "ham": ham, "ham_hosts": ham_hosts, "oracle": bound._asdict()}
        print(msgspec.json.encode({**told, "points": [point._asdict() for point in points]}).decode())
        return
    print(f"{spam} spam, {ham} ham messages; {ham_hosts} hosts sent ham, {bound.mixed_hosts} of them spam too")
    print(
        f"oracle: {bound.by_address_or_network} spam ({bound.by_address_or_network / max(1, spam):.1%}), "
        f"{bound.by_address} by address alone; profile {profile}, default q {settings.q:g} marked *"
    )
    print(
        "        q   caught  of spam of oracle by net | ham msgs wrong  <= 95 %  hosts  <= 95 %  ham-only | mean P   "
        "at once  hours 50/90/99 %   stale  collateral min"
    )
    for point in points:
        mark = "*" if point.q == settings.q else " "
        print(_line(point, spam=spam, ham=ham, ham_hosts=ham_hosts, best=bound.by_address_or_network, mark=mark))


def _line(point: Point, *, spam: int, ham: int, ham_hosts: int, best: int, mark: str) -> str:
    hours = "/".join(f"{each:.1f}" for each in point.hours_to_list)
    return (
        f"{mark}{point.q:8g} {point.caught:8d} {point.caught / max(1, spam):8.1%} {point.caught / max(1, best):8.1%}"
        f" {point.caught_by_network:7d} | {point.wrong_messages:5d} {point.wrong_messages / max(1, ham):7.3%}"
        f" {upper_bound(point.wrong_messages, ham):8.3%}"
        f" {point.wrong_hosts:6d} {upper_bound(point.wrong_hosts, ham_hosts):8.2%}"
        f" {point.wrong_ham_only_hosts:9d} | {point.mean_probability:7.1e} {point.listed_at_once:8.1%} {hours:>18}"
        f" {point.stale_share:6.1%} {point.collateral_minutes:10.0f}"
    )


if __name__ == "__main__":
    sys.exit(main())
