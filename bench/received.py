"""Who connected to us: the Received reader against the truth, the trust inferred, and the time a message costs.

    python bench/received.py PHISHING_FOLDER MAIL_FOLDER

PHISHING_FOLDER: the unpacked phishing mail, whose `X-Sender-IP` is the connecting client; the reader gets the Received
lines only.  Two figures: with Microsoft's own servers told, and with trust inferred from the chains alone.
MAIL_FOLDER: the shipped mail (`spamassassin/`): who is inferred to be ours, and how many clients the spam then has.
"""

# ruff: noqa: E501 - tables are printed by whole lines
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from whimbrel.model.address import parse_address
from whimbrel.model.reading import Hop
from whimbrel.sensors.boundary import Trust, absence, connecting_client, parse_trust
from whimbrel.sensors.inference import TrustLearner
from whimbrel.wire.received import parse_received

# Exchange Online's inner servers, as Microsoft publishes them (2603:1000::/24) and its edge (2a01:111::/32).
MICROSOFT = ("2603:1000::/24", "2a01:111::/32")
# The collectors' own relays, from the notes to the data (shared/data/README.md).
KNOWN_OWN = (
    "213.105.180.0/24", "193.120.211.0/24", "212.17.35.0/24", "194.125.145.0/24", "64.161.22.236/32", "216.136.171.0/24",
    "66.187.233.0/24", "193.172.5.4/32",
)  # fmt: skip
PLACEHOLDER = re.compile(r"phish\w*@pot")
PASSES = 3


def headers(message: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield names in lower case and raw values of a message's header, with continuation lines."""
    head = re.split(rb"\r?\n\r?\n", message, maxsplit=1)[0]
    for field in re.split(rb"\r?\n(?![ \t])", head):
        name, colon, value = field.partition(b":")
        if colon:
            yield name.strip().lower(), value


def read(folder: Path) -> list[tuple[Path, str, list[bytes]]]:
    """Return (path, X-Sender-IP or '', Received values) of every message in a folder."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "cmds"):
        fields = list(headers(path.read_bytes()))
        truth = next((value.decode("latin-1").strip() for name, value in fields if name == b"x-sender-ip"), "")
        found.append((path, truth, [value for name, value in fields if name == b"received"]))
    return found


def agrees(truth: str, peer: str | None) -> bool:
    """Tell whether the peer is the truth; where the truth itself was redacted in part, whether it fits what is left."""
    if peer is None:
        return False
    pattern = ".+".join(re.escape(piece) for piece in PLACEHOLDER.split(truth))
    return parse_address(truth) == peer or (
        PLACEHOLDER.search(truth) is not None and re.fullmatch(pattern, peer) is not None
    )


def against_truth(title: str, mail: list[tuple[Path, str, list[Hop]]], trust: Trust) -> None:
    """Print the share of messages whose client is the truth, and the misses by form."""
    judged = [(path, truth, hops) for path, truth, hops in mail if truth]
    misses: Counter[tuple[str, str]] = Counter()
    exact = 0
    for _, truth, hops in judged:
        client = connecting_client(hops, trust)
        exact += client is not None and parse_address(truth) == client.peer
        if not agrees(truth, client.peer if client else None):
            redacted = "the truth is redacted" if PLACEHOLDER.search(truth) else "the truth is whole"

            named = f"{hops[client.hop_index].form}: another peer" if client else absence(hops, trust) or ""
            why = re.sub(r"line \d+", "a line", named)
            misses[redacted, why] += 1
    right = len(judged) - sum(misses.values())
    whole = sum(not PLACEHOLDER.search(truth) for _, truth, _ in judged)
    print(
        f"{title}: {right} of {len(judged)} = {right / len(judged):.3%} (identical: {exact}; truth not redacted: {whole})"
    )
    for (redacted, why), times in misses.most_common():
        print(f"  miss {times:4}  {redacted}; {why}")


def own_servers(mail: list[tuple[Path, str, list[Hop]]]) -> None:
    """Print what is inferred from the shipped mail, against what is known, and the clients of its spam."""
    learner = TrustLearner()
    for _, _, hops in mail:
        learner.add(hops)
    trust = learner.result()
    known = parse_trust(KNOWN_OWN)
    found = [one for one in trust.inferred if _inside(one.network, known)]
    covered = [
        network for network in KNOWN_OWN if any(_inside(one.network, parse_trust([network])) for one in trust.inferred)
    ]
    print(
        f"own servers: {len(trust.inferred)} inferred, {len(found)} of them known; {len(covered)} of {len(KNOWN_OWN)} known found"
    )
    for one in trust.inferred:
        print(
            f"  {one.network:20} {one.ground:9} {one.chains:5} chains {one.share:6.1%} {one.days:3} days, fan-in {one.fan_in:3}  {one.name}"
        )
    spam = [connecting_client(hops, trust) for path, _, hops in mail if "spam" in path.parent.name]
    peers = {client.peer for client in spam if client}
    print(
        f"spam: {sum(client is not None for client in spam)} of {len(spam)} have an external client, {len(peers)} distinct"
    )


def _inside(network: str, trust: Trust) -> bool:
    address = network.partition("/")[0]
    return trust.holds(parse_received(f"from x ([{address}]) by y with SMTP".encode()))


def cost(values: list[list[bytes]]) -> None:
    """Print microseconds of CPU a message for its Received lines, and its growth with a hostile line's length."""
    best = min(_seconds(values) for _ in range(PASSES))
    lines = sum(map(len, values))
    print(
        f"time: {best / len(values) * 1e6:.1f} us a message, {best / lines * 1e6:.2f} us a line ({lines / len(values):.1f} lines)"
    )
    for unit in (b"(", b" a", b"[1", b"((a)", b"; "):
        times = [_seconds([[b"from " + unit * count] * 50]) / 50 * 1e6 for count in (500, 1_000, 2_000, 20_000)]
        print(f"  {unit.decode()!r:7} x 500, 1000, 2000, 20000: " + ", ".join(f"{one:.0f} us" for one in times))


def _seconds(values: list[list[bytes]]) -> float:
    start = time.process_time()
    for chain in values:
        for value in chain:
            parse_received(value)
    return time.process_time() - start


def main() -> None:
    """Run all three on the folders given."""
    phishing, shipped = (read(Path(folder)) for folder in sys.argv[1:3])
    truth = [(path, given, [parse_received(value) for value in values]) for path, given, values in phishing]
    against_truth("Microsoft's servers told", truth, parse_trust(MICROSOFT))
    learner = TrustLearner()
    for _, _, hops in truth:
        learner.add(hops)
    against_truth("all inferred", truth, learner.result())
    own_servers([(path, given, [parse_received(value) for value in values]) for path, given, values in shipped])
    cost([values for _, _, values in shipped])


if __name__ == "__main__":
    main()
