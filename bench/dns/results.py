"""What was measured, as it is kept, and the tables made of it."""

import statistics

import msgspec
from bench.dns.measure import LEAST_BUSY, Load, Memory

START = "start: "  # begins the name of a row that is about nothing else
_MILLION = 1_000_000
_LEAST_FOR_QUARTILES = 5


class Settings(msgspec.Struct, frozen=True):
    """How it is measured."""

    rounds: int
    seconds: float
    server_core: int
    load_core: int


class Row(msgspec.Struct):
    """A server with a list: what was measured, or a note why it was not."""

    peer: str
    family: int
    entries: int
    loads: list[Load] = []
    start_seconds: list[float] = []
    memory: Memory | None = None
    note: str = ""


class Bytes(msgspec.Struct, frozen=True):
    """The size of a snapshot."""

    family: int
    entries: int
    snapshot: int


class Results(msgspec.Struct):
    """A run."""

    date: str
    processor: str
    kernel: str
    versions: dict[str, str]
    settings: Settings
    rows: list[Row] = []
    sizes: list[Bytes] = []


def report(results: Results) -> str:
    """Return the tables, in Markdown."""
    settings = results.settings
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    measured = f"medians of {settings.rounds} rounds of {settings.seconds:g} s"
    lines = [f"{results.date}, {results.processor}, {results.kernel}; {versions}; {measured}."]
    for family, entries in dict.fromkeys((row.family, row.entries) for row in results.rows):
        rows = [row for row in results.rows if (row.family, row.entries) == (family, entries)]
        lines += ["", f"IPv{family}, {entries / _MILLION:g} million entries:", ""]
        lines += [
            "| server | CPU ns an answer | echo = 1 | answers/s | core busy | p99 ms | RSS MB | PSS MB | start s |"
        ]
        lines += ["|---|---|---|---|---|---|---|---|---|"]
        echo = next((row for row in rows if row.peer == "C echo" and row.loads), None)
        lines += [_line(row, echo) for row in rows if not row.peer.startswith(START)]
    lines += ["", "| start until the first right answer | entries | s |", "|---|---|---|"]
    for row in results.rows:
        if row.peer.startswith(START) and row.start_seconds:
            seconds = statistics.median(row.start_seconds)
            lines.append(f"| {row.peer.removeprefix(START)} | {row.entries / _MILLION:g} M | {seconds:.2f} |")
    lines += _memory_lines(results.rows)
    lines += ["", "| snapshot | bytes | bytes an entry |", "|---|---|---|"]
    lines += [
        f"| IPv{size.family}, {size.entries / _MILLION:g} M | {size.snapshot:,} | {size.snapshot / size.entries:.2f} |"
        for size in results.sizes
    ]
    return "\n".join(lines)


def _memory_lines(rows: list[Row]) -> list[str]:
    """Return how memory grows from the shortest to the longest list, the program's own part of it left out so."""
    lines = ["", "| server | bytes of memory (PSS) for each further entry |", "|---|---|"]
    by_server: dict[tuple[str, int], dict[int, int]] = {}
    for row in rows:
        if row.memory:
            by_server.setdefault((row.peer, row.family), {})[row.entries] = row.memory.pss
    for (peer, family), sizes in by_server.items():
        least, most = min(sizes), max(sizes)
        if least < most:
            lines.append(f"| {peer}, IPv{family} | {(sizes[most] - sizes[least]) / (most - least):.1f} |")
    return lines if len(lines) > 3 else []


def _median(loads: list[Load], part: str) -> float:
    return float(statistics.median(getattr(each, part) for each in loads))


def _counting(row: Row) -> list[Load]:
    """Return the rounds that count; where none does, all."""
    return [each for each in row.loads if each.busy >= LEAST_BUSY] or row.loads


def _ratio(row: Row, echo: Row | None) -> str:
    """Return the echo's processor time over a server's: the median, and quartiles, of the rounds that count for both.

    By rounds, since the machine's speed wanders: what they have in common is in both times.
    """
    if echo is None:
        return ""
    rounds = list(zip(echo.loads, row.loads, strict=False))
    counting = [each for each in rounds if all(load.busy >= LEAST_BUSY for load in each)] or rounds
    ratios = [ours.nanoseconds / theirs.nanoseconds for ours, theirs in counting]
    if row is echo or len(ratios) < _LEAST_FOR_QUARTILES:
        return f"{statistics.median(ratios):.2f}"
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def _line(row: Row, echo: Row | None) -> str:
    if not row.loads:
        return f"| {row.peer} | {row.note or 'not measured'} | | | | | | | |"
    loads = _counting(row)
    least_busy = min(each.busy for each in loads)
    if least_busy < LEAST_BUSY:
        remark = " (does not count)"
    else:
        remark = "" if len(loads) == len(row.loads) else f" ({len(loads)} of {len(row.loads)} rounds count)"
    spent = _median(loads, "nanoseconds")
    rss, pss = (f"{each / 1e6:.0f}" for each in row.memory or (0, 0))
    return (
        f"| {row.peer}{f' ({row.note})' if row.note else ''} | {spent:.0f} | {_ratio(row, echo)} "
        f"| {_median(loads, 'per_second'):,.0f} | {least_busy:.0%}{remark} | {_median(loads, 'p99_milliseconds'):.1f} "
        f"| {rss} | {pss} | {statistics.median(row.start_seconds):.2f} |"
    )
