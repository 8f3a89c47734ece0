"""Make any number of messages from the 6,294 that ship, to measure speed and memory on.

    python bench/corpus.py --count 100000 --seed 1 --out /tmp/made.tar      (folders spam/ and ham/, and `index`)
    python bench/corpus.py --count 100000 --seed 1 --out /tmp/made.mbox     (made-spam.mbox and made-ham.mbox)

Spam and ham come in the proportion of the source.  Each spam message is a copy of a *template*: a shipped message with
a part of its words replaced and domains of its own.  Templates are opened by a Pitman-Yor process, so their number
grows with the messages (about as n ** 0.75) and few become large.  A copy differs from its template in some words and
in its URLs' ends.  Each ham message is a variant of its own.  The connecting client in the trace is a new address, or
one used before; all dates of a message move by the same number of seconds.

What it can show: time, memory, growth, and that equal sets give equal tables.  What it cannot: whether campaigns are
found *rightly*, or what a list catches.  Its words are drawn without grammar, its networks without owners, and
whoever tunes a threshold on it learns these lines of code.  No threshold of Whimbrel was set on it.
"""

import argparse
import hashlib
import io
import random
import re
import sys
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, Protocol

SOURCE = Path(__file__).resolve().parent.parent / "samples" / "mail" / "spamassassin.tar.xz"
SPREAD_DAYS = 365
# Pitman-Yor: with these, 1,897 messages have some 870 templates and 29,400 some 7,000; the shipped spam has 305
# campaigns and 570 messages of their own (docs/campaigns.md).
DISCOUNT, STRENGTH = 0.75, 30.0
VARIANT_WORDS = (
    0.35  # of a template's words are not its source's: band keys then differ (Jaccard of 3-shingles about 0.16)
)
COPY_WORDS = 0.03  # of a copy's words are not its template's: near duplicates (Jaccard about 0.84)
SLOTS_MAX = 96  # words of a template that its copies may change; bounds what is kept for each
MUTABLE_MIN = 8  # a source with fewer words to change would give equal bodies
SPAM_HOST_AGAIN, HAM_HOST_AGAIN = 0.25, 0.9  # a real site: 21 to 27 % of spam came from an address seen before
DIRTY_NETWORKS = 4_000
DIRTY_SHARE = 0.5

_TOKENS = re.compile(
    rb"<[^>]{0,2000}>|https?://[^\s\"'<>]+|^(?:--|[A-Za-z-]{2,40}:|[ \t]+[a-z-]+=).*$|[A-Za-z0-9+/=]{40,}|&#?\w{1,8};"
    rb"|=[0-9A-F]{2}|\b([A-Za-z]{4,15})\b",
    re.MULTILINE,
)
_URL_HOST = re.compile(rb"https?://([A-Za-z0-9.-]{4,60})")
_DATE = re.compile(
    rb"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), +)?(\d{1,2}) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) (\d{4}) "
    rb"(\d\d):(\d\d):(\d\d)"
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_ADDRESS = re.compile(rb"[\[(](\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})[\])]")
# The collectors' own relays in the shipped mail (../shared/data/README.md), and addresses that cannot be a stranger's.
_OWN = re.compile(
    rb"(?:213\.105\.180|193\.120\.211|212\.17\.35|194\.125\.145|205\.210\.42|66\.187\.233|10\.\d+\.\d+|127\.0\.0|192\.168\.\d+"
    rb"|172\.(?:1[6-9]|2\d|3[01])\.\d+|0\.0\.0)\.\d+$|64\.161\.22\.236$|216\.136\.171\.|193\.172\.5\.4$|66\.92\.53\.74$"
)
# Hosts that all mail names stay as they are, as they would in new mail.
_KEPT_HOSTS = re.compile(
    rb"(?:^|\.)(?:w3\.org|yahoo\.com|hotmail\.com|msn\.com|microsoft\.com|geocities\.com|aol\.com)$"
)


class Source(NamedTuple):
    """A shipped message, cut at what will change: dates in its head, and the client's address (b'' if none)."""

    head: tuple[bytes, ...]  # text between dates
    dates: tuple[datetime, ...]
    client: bytes
    body: bytes
    hosts: tuple[bytes, ...]


class Template(NamedTuple):
    """One mailing: its source, its body, and where its copies may change words (start, end)."""

    source: Source
    body: bytes
    slots: tuple[tuple[int, int], ...]


class Made(NamedTuple):
    """One message made."""

    label: str
    at: datetime
    content: bytes


def read_sources(archive: Path) -> dict[str, list[Source]]:
    """Return the shipped messages that have words to change, by label, in the archive's order."""
    sources: dict[str, list[Source]] = {"spam": [], "ham": []}
    with tarfile.open(archive) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            if file is None or member.name.endswith("cmds"):
                continue
            source = cut(file.read())
            if sum(1 for token in _TOKENS.finditer(source.body) if token[1]) >= MUTABLE_MIN:
                sources["ham" if "ham" in member.name else "spam"].append(source)
    return sources


def cut(content: bytes) -> Source:
    """Cut a message at its dates and find the address of its connecting client."""
    content = content.replace(b"\r\n", b"\n")
    if content.startswith(b"From "):
        content = content.partition(b"\n")[2]
    head, _, body = content.partition(b"\n\n")
    received = b"\n".join(re.findall(rb"^Received:.*(?:\n[ \t].*)*", head, re.MULTILINE | re.IGNORECASE))
    client = next((match for match in _ADDRESS.findall(received) if not _OWN.match(match)), b"")
    pieces, dates, end = [], [], 0
    for date in _DATE.finditer(head):
        at = _moment(date)
        if at is not None:
            pieces.append(head[end : date.start()])
            dates.append(at)
            end = date.end()
    hosts = sorted(
        {host for host in _URL_HOST.findall(body) if not _KEPT_HOSTS.search(host.lower())}, key=len, reverse=True
    )
    return Source((*pieces, head[end:]), tuple(dates), client, body, tuple(hosts))


def _moment(date: re.Match[bytes]) -> datetime | None:
    day, month, year, hour, minute, second = date.groups()
    try:
        return datetime(
            int(year), _MONTHS.index(month.decode()) + 1, int(day), int(hour), int(minute), int(second), tzinfo=UTC
        )
    except ValueError:
        return None


class Maker:
    """Makes messages one after the other; the same seed and sources give the same messages."""

    def __init__(self, sources: dict[str, list[Source]], seed: int) -> None:
        self._random = random.Random(seed)
        self._sources = sources
        self._vocabulary = _vocabulary(sources["spam"])
        self._templates: list[Template] = []
        self._sent: list[int] = []  # the template of each spam message so far: a uniform pick is a pick by size
        self._hosts: dict[str, list[bytes]] = {"spam": [], "ham": []}
        self._networks = [self._network() for _ in range(DIRTY_NETWORKS)]

    def messages(self, count: int) -> Iterator[Made]:
        """Yield `count` messages, spam and ham mixed in the proportion of the sources."""
        share = len(self._sources["spam"]) / sum(len(sources) for sources in self._sources.values())
        for _ in range(count):
            if self._random.random() < share:
                template = self._template()
                yield self._finished("spam", template.source, self._copy(template))
            else:
                source = self._random.choice(self._sources["ham"])
                yield self._finished("ham", source, self._variant(source, rename=False))

    @property
    def templates(self) -> int:
        """How many templates were opened."""
        return len(self._templates)

    def _template(self) -> Template:
        opening = (STRENGTH + DISCOUNT * len(self._templates)) / (STRENGTH + len(self._sent))
        if not self._sent or self._random.random() < opening:
            source = self._random.choice(self._sources["spam"])
            body = self._variant(source, rename=True)
            slots = [token.span(1) for token in _TOKENS.finditer(body) if token[1]]
            kept = sorted(self._random.sample(slots, min(SLOTS_MAX, len(slots))))
            self._sent.append(len(self._templates))
            self._templates.append(Template(source, body, tuple(kept)))
        else:
            self._sent.append(self._random.choice(self._sent))
        return self._templates[self._sent[-1]]

    def _variant(self, source: Source, *, rename: bool) -> bytes:
        draw, choice, words = self._random.random, self._random.choice, self._vocabulary

        def changed(token: re.Match[bytes]) -> bytes:
            return choice(words) if token[1] and draw() < VARIANT_WORDS else token[0]

        body = _TOKENS.sub(changed, source.body)
        for host in source.hosts if rename else ():
            body = body.replace(
                host, b"www." + choice(words).lower() + choice(words).lower() + choice((b".com", b".net"))
            )
        return body

    def _copy(self, template: Template) -> bytes:
        body, slots = template.body, template.slots
        changes = max(2, round(COPY_WORDS * len(slots)))
        pieces, end = [], 0
        for start, stop in sorted(self._random.sample(slots, min(changes, len(slots)))):
            pieces += [body[end:start], self._random.choice(self._vocabulary)]
            end = stop
        return b"".join([*pieces, body[end:]])

    def _finished(self, label: str, source: Source, body: bytes) -> Made:
        shift = timedelta(seconds=self._random.randrange(SPREAD_DAYS * 86_400))
        moved = [date + shift for date in source.dates]
        pieces = [piece for pair in zip(source.head, map(_written, moved), strict=False) for piece in pair]
        head = b"".join([*pieces, source.head[-1]])
        if source.client:
            head = head.replace(source.client, self._host(label))
        at = moved[0] if moved else datetime(2002, 7, 1, tzinfo=UTC) + shift
        return Made(label, at, head + b"\n\n" + body)

    def _host(self, label: str) -> bytes:
        known = self._hosts[label]
        again = SPAM_HOST_AGAIN if label == "spam" else HAM_HOST_AGAIN
        if known and self._random.random() < again:
            host = self._random.choice(known)
        else:
            dirty = label == "spam" and self._random.random() < DIRTY_SHARE
            network = self._random.choice(self._networks) if dirty else self._network()
            host = network + str(self._random.randrange(1, 255)).encode()
        known.append(host)
        return host

    def _network(self) -> bytes:
        # 11.0.0.0/8 to 99.255.255.255 hold no private, shared, loopback or test address (IANA's registries).
        draw = self._random.randrange
        return f"{draw(11, 100)}.{draw(256)}.{draw(256)}.".encode()


def _vocabulary(sources: list[Source]) -> list[bytes]:
    """Return the words of spam as often as every twentieth message has them, so that draws have natural frequencies."""
    return [token[1] for source in sources[::20] for token in _TOKENS.finditer(source.body) if token[1]]


def _written(at: datetime) -> bytes:
    day, month = _DAYS[at.weekday()], _MONTHS[at.month - 1]
    return f"{day}, {at.day:02} {month} {at.year} {at.hour:02}:{at.minute:02}:{at.second:02}".encode()


class Sink(Protocol):
    """Takes messages."""

    def add(self, number: int, made: Made) -> None:
        """Write one message."""

    def close(self) -> None:
        """Write what comes after the last."""


class TarSink:
    """A tar of spam/N.eml and ham/N.eml, with the labels in `index` (TREC's form) at its end."""

    def __init__(self, path: Path) -> None:
        self._tar = tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 - closed in close()
        self._index: list[str] = []

    def add(self, number: int, made: Made) -> None:
        """Write one message."""
        name = f"{made.label}/{number:07}.eml"
        self._put(name, made.content)
        self._index.append(f"{made.label} {name}\n")

    def close(self) -> None:
        """Write the index."""
        self._put("index", "".join(self._index).encode())
        self._tar.close()

    def _put(self, name: str, content: bytes) -> None:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        self._tar.addfile(entry, io.BytesIO(content))


class MboxSink:
    """One mbox for each label, `>From ` quoted (mboxrd)."""

    def __init__(self, path: Path) -> None:
        names = {label: path.with_name(f"{path.stem}-{label}.mbox") for label in ("spam", "ham")}
        self._stack = ExitStack()
        self._files = {label: self._stack.enter_context(name.open("wb")) for label, name in names.items()}

    def add(self, number: int, made: Made) -> None:  # noqa: ARG002 - an mbox numbers by place
        """Write one message."""
        quoted = re.sub(rb"^(>*From )", rb">\1", made.content, flags=re.MULTILINE)
        line = f"From made@example.com {made.at:%a %b %d %H:%M:%S %Y}\n".encode()
        self._files[made.label].write(line + quoted.rstrip(b"\n") + b"\n\n")

    def close(self) -> None:
        """Close both."""
        self._stack.close()


def main() -> int:
    """Make a corpus as told on the command line; print what it holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--source", type=Path, default=SOURCE)
    given = parser.parse_args()
    maker = Maker(read_sources(given.source), given.seed)
    sink: Sink = MboxSink(given.out) if given.out.suffix == ".mbox" else TarSink(given.out)
    bodies: set[bytes] = set()
    spam = 0
    for number, made in enumerate(maker.messages(given.count)):
        sink.add(number, made)
        spam += made.label == "spam"
        bodies.add(hashlib.blake2b(made.content.partition(b"\n\n")[2], digest_size=16).digest())
    sink.close()
    same = 1 - len(bodies) / max(1, given.count)
    print(f"{given.count} messages, {spam} spam of {maker.templates} templates; {same:.2%} have the body of another")
    return 0


if __name__ == "__main__":
    sys.exit(main())
