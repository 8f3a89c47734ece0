"""Microseconds a message of `read_work` (all that a reader process does), step by step, beside the stdlib's `email`.

`email` reads by its policy compat32 and decodes every part.

    python bench/read.py [FOLDER] [--every N]

Reads every N-th file of FOLDER (default: the mail that ships with the project, unpacked to a temporary folder) into
memory; each figure is processor time of one core, the least of three rounds, divided by the number of messages.  The
machine's speed is in all figures alike: compare the ratios.  Each step is measured on its own, its input at hand, so
the steps do not add up exactly: in the whole, each finds the processor's caches filled by the others.
"""

import argparse
import email
import math
import statistics
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from whimbrel.messages import read_message
from whimbrel.messages.addresses import recipients
from whimbrel.messages.body import read_body
from whimbrel.messages.canonical import canonical
from whimbrel.messages.decode import decode_words
from whimbrel.messages.mime import parse_tree
from whimbrel.messages.script import script_of
from whimbrel.messages.signature import signature
from whimbrel.messages.skeletons import header_skeleton, mime_skeleton
from whimbrel.pipeline.reading import hops_of, read_work
from whimbrel.pipeline.work import Work

SHIPPED = Path(__file__).resolve().parent.parent / "samples" / "mail" / "spamassassin.tar.xz"
ROUNDS = 3


def _messages(folder: Path, every: int) -> list[bytes]:
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "cmds"]
    return [path.read_bytes() for path in paths[::every]]


def microseconds(step: Callable[[Any], object], inputs: Sequence[Any]) -> float:
    """Return the mean processor time of `step` over the inputs, in microseconds."""
    least = math.inf
    for _ in range(ROUNDS):
        start = time.process_time()
        for each in inputs:
            step(each)
        least = min(least, time.process_time() - start)
    return least / len(inputs) * 1e6


def _by_email(raw: bytes) -> None:
    for part in email.message_from_bytes(raw).walk():
        part.get_payload(decode=True)


def _steps(messages: list[bytes]) -> dict[str, float]:
    forms = [canonical(raw).raw for raw in messages]
    trees = [(raw, parse_tree(raw, [])) for raw in forms]
    bodies = [(tree, read_body(raw, tree, [])) for raw, tree in trees]
    texts = [body.text for _tree, body in bodies]
    facts = [read_message(raw) for raw in messages]
    return {
        "canonical form, digest": microseconds(canonical, messages),
        "headers and tree": microseconds(lambda raw: parse_tree(raw, []), forms),
        "text, URLs, files": microseconds(lambda pair: read_body(pair[0], pair[1], []), trees),
        "subject": microseconds(lambda pair: decode_words(pair[1][0].fields.get("subject", b""), "", []), trees),
        "header skeleton": microseconds(lambda pair: header_skeleton(pair[1][0].headers, pair[1][0].fields), trees),
        "MIME skeleton": microseconds(lambda pair: mime_skeleton(pair[0], pair[1].parts), bodies),
        "signature": microseconds(signature, texts),
        "script": microseconds(script_of, texts),
        "Received lines": microseconds(hops_of, facts),
        "recipients": microseconds(recipients, facts),
    }


def _read(raw: bytes) -> None:
    read_work(Work(location="", label="", label_basis=None, envelope=None, content=raw))


def _median_microseconds(messages: list[bytes]) -> float:
    spent = []
    for raw in messages:
        start = time.perf_counter()
        read_message(raw)
        spent.append(time.perf_counter() - start)
    return statistics.median(spent) * 1e6


def _report(messages: list[bytes]) -> None:
    print(f"{len(messages)} messages, {sum(map(len, messages)) / len(messages):.0f} bytes on average")
    whole = microseconds(_read, messages)
    facts = microseconds(read_message, messages)
    by_email = microseconds(_by_email, messages)
    for name, spent in _steps(messages).items():
        print(f"  {name:<24} {spent:>8.1f} us")
    print(f"read_message               {facts:>8.1f} us on average, {_median_microseconds(messages):.1f} us median")
    print(f"read_work                  {whole:>8.1f} us on average")
    print(f"email compat32, decoded    {by_email:>8.1f} us on average")
    print(f"ratio                      {whole / by_email:>8.2f}")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--every", type=int, default=1, help="read every N-th file")
    options = parser.parse_args()
    if options.folder is not None:
        _report(_messages(options.folder, options.every))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(SHIPPED) as tar:
            tar.extractall(folder, filter="data")
        _report(_messages(Path(folder), options.every))
    return 0


if __name__ == "__main__":
    sys.exit(main())
