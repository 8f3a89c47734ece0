"""`whimbrel top`: a running name server, seen from a terminal."""

import contextlib
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from whimbrel.cli.options import data_option, json_option
from whimbrel.cli.output import print_json
from whimbrel.nameserver.statistics import Statistics, percentile, read
from whimbrel.pipeline.places import snapshot_path, statistics_path

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_EPILOG = """\b
Examples:
  whimbrel top
  whimbrel top --once --json
  whimbrel top --statistics /srv/mirror/serving.statistics
"""

# A server writes each second; one that has been silent for so many has ended, or hangs.
_SILENT_SECONDS = 5.0
_SHARES = {"p50_seconds": 0.5, "p99_seconds": 0.99, "p999_seconds": 0.999}
_SHOWN = 10  # networks and subscribers, of the twenty in the file: two tables of them fit a terminal of 24 lines


@click.command(epilog=_EPILOG)
@click.option(
    "--statistics",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file that the name server writes [serving.statistics in the store].",
)
@click.option(
    "--every",
    "every_seconds",
    metavar="SECONDS",
    type=click.FloatRange(min=0.1, max=3600),
    default=1.0,
    show_default=True,
    help="How often to look.",
)
@click.option("--once", is_flag=True, help="Look at one such while, show it, and end.")
@data_option
@json_option
def command(statistics: Path | None, every_seconds: float, once: bool, data_dir: Path, as_json: bool) -> None:
    """Show a running name server: queries, answers, what it dropped and why, who asks, and how long answers take.

    Ctrl-C ends it.
    """
    path = statistics or statistics_path(snapshot_path(data_dir))
    before = read(path)
    with contextlib.suppress(KeyboardInterrupt):
        if once or as_json or not sys.stdout.isatty():
            while True:
                time.sleep(every_seconds)
                now = read(path)
                told, before = summary(now, before), now
                if as_json:
                    print_json(told)
                else:
                    _print(told)
                if once or not as_json:
                    return
        _watch(path, before, every_seconds)


def summary(now: Statistics, before: Statistics) -> dict[str, Any]:
    """Return what is shown: rates and times of the while between, all else since the start of the server."""
    if before.pid != now.pid or before.at >= now.at:
        rate, times = 0.0, now.times
    else:
        rate = (sum(now.queries.values()) - sum(before.queries.values())) / (now.at - before.at)
        times = {place: count - before.times.get(place, 0) for place, count in now.times.items()}
        times = times if any(times.values()) else now.times
    return {
        "at": datetime.fromtimestamp(now.at, UTC),
        "pid": now.pid,
        "serial": now.serial,
        "is_silent": time.time() - now.at > _SILENT_SECONDS,
        "queries_per_second": round(rate, 1),
        "queries": now.queries,
        "known": now.known,
        "rcodes": now.rcodes,
        "codes": now.codes,
        "dropped": now.dropped,
        "slipped": now.slipped,
        "denied": now.denied,
        "cookies": now.cookies,
        "clients": now.clients,
        "limited": now.limited,
        "subscribers": {name: {"used": spent.used, "limit": spent.limit} for name, spent in now.subscribers.items()},
    } | {name: percentile(times, share) for name, share in _SHARES.items()}


def _watch(path: Path, before: Statistics, every_seconds: float) -> None:
    from rich.live import Live  # noqa: PLC0415 - for terminals only

    with Live(_screen(summary(before, before)), screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(every_seconds)
            now = read(path)
            live.update(_screen(summary(now, before)), refresh=True)
            before = now


def _print(told: dict[str, Any]) -> None:
    from rich.console import Console  # noqa: PLC0415 - as above

    Console(file=sys.stdout, highlight=False).print(_screen(told))


def _screen(told: dict[str, Any]) -> "RenderableType":
    """Return all of it as it is printed."""
    from rich.columns import Columns  # noqa: PLC0415 - as above
    from rich.console import Group  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    withheld = {**told["dropped"], "slipped": told["slipped"], "denied": told["denied"]}
    tables = [
        _table("answers", told["rcodes"]),
        _table("addresses sent", told["codes"]),
        _table("not answered", withheld),
        _table("cookies", told["cookies"]),
        _table("busiest networks", told["clients"]),
        _table("limited networks", told["limited"]),
    ]
    spent = {name: f"{each['used']:,} of {each['limit']:,}" for name, each in told["subscribers"].items()}
    if spent:
        tables.append(_table("subscribers today", spent))
    return Group(*map(Text, _head(told)), "", Columns(tables, padding=(1, 4), equal=False))


def _head(told: dict[str, Any]) -> list[str]:
    silent = ": SILENT SINCE THEN" if told["is_silent"] else ""
    queries = f"{told['queries']['udp']:,} UDP, {told['queries']['tcp']:,} TCP, {told['known']:,} of known networks"
    times = ", ".join(
        f"{name} {_time(told[key])}" for name, key in zip(("half", "99 %", "99.9 %"), _SHARES, strict=True)
    )
    return [
        f"name server {told['pid']}, list {told['serial']}, {told['at']:%Y-%m-%d %H:%M:%S} UTC{silent}",
        f"{told['queries_per_second']:,.1f} queries a second; since the start {queries}",
        f"answered within: {times}",
    ]


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds * 1e6:,.0f} µs" if seconds < 0.001 else f"{seconds * 1e3:,.1f} ms"


def _table(title: str, values: Mapping[str, int | str]) -> "Table":
    from rich.markup import escape  # noqa: PLC0415 - as above
    from rich.table import Table  # noqa: PLC0415

    table = Table(title=title, title_justify="left", box=None, pad_edge=False, show_header=False, title_style="bold")
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    for name, value in list(values.items())[:_SHOWN]:
        table.add_row(escape(name), value if isinstance(value, str) else f"{value:,}")
    if not values:
        table.add_row("none", "")
    return table
