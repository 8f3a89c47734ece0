"""What the commands share that answer over DNS: where to listen, by which clock, and how they end."""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import click
import msgspec

from whimbrel.cli.output import print_json
from whimbrel.model.endpoint import Endpoint, parse_endpoint
from whimbrel.nameserver import Bound, Counters, ServerSettings, serve, statistics
from whimbrel.nameserver.guards.counts import time_bound
from whimbrel.nameserver.statistics import Statistics

Clock = Callable[[], float]
_Function = TypeVar("_Function", bound=Callable[..., object])

_DNS_PORT = 53
_REPORT_SECONDS = 1.0  # Prometheus asks every 15 s or so; a name server that is silent for ten of these hangs
_log = logging.getLogger(__name__)

_DEFAULT = (Endpoint("127.0.0.1", 5300), Endpoint("::1", 5300))


class _Listen(click.ParamType[Endpoint]):
    name = "address:port"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Endpoint:
        if isinstance(value, Endpoint):
            return value
        text = str(value)
        try:
            return parse_endpoint(text, _DNS_PORT)
        except ValueError:
            self.fail(f"{text!r} is no address and port; write 127.0.0.1:5300 or [::1]:5300", param, ctx)


def listen_option(function: _Function) -> _Function:
    """Add `--listen ADDRESS:PORT`: where to answer."""
    return click.option(
        "--listen",
        type=_Listen(),
        multiple=True,
        help="Where to answer, UDP and TCP; may be repeated; port 0: a free one [127.0.0.1:5300 and [::1]:5300].",
    )(function)


def statistics_option(function: _Function) -> _Function:
    """Add `--statistics FILE`: where to tell how it goes."""
    return click.option(
        "--statistics",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Where to tell each second how it goes, for `whimbrel top` [serving.statistics beside the list].",
    )(function)


def workers_option(function: _Function) -> _Function:
    """Add `--workers N`: how many threads answer."""
    return click.option(
        "--workers",
        metavar="N",
        type=click.IntRange(min=0, max=256),
        default=1,
        show_default=True,
        envvar="WHIMBREL_SERVE_WORKERS",
        help="Threads that answer UDP on each endpoint, compiled: as many as it has cores; 0: none, all in Python.",
    )(function)


def endpoints(listen: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """Return where to answer: as told, or on loopback."""
    return listen or _DEFAULT


def clock_from(now: datetime | None) -> Clock:
    """Return a clock in seconds since 1970 that begins at `now` and runs on; None: the machine's."""
    offset_seconds = 0.0 if now is None else now.timestamp() - time.time()
    return lambda: time.time() + offset_seconds


def until_told(run: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run until Ctrl-C or SIGTERM sets the event that `run` is given."""

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        await run(stop)

    asyncio.run(main())


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """What is served, and for whom: `supervised` for `whimbrel run`, `as_json` for another program, else for people.

    How it goes is told in the file `statistics`, where that can be written.
    """

    settings: ServerSettings
    clock: Clock
    sockets: list[Bound] | None = None
    as_json: bool = False
    supervised: bool = False
    statistics: Path | None = None


async def answer(serving: Serving, stop: asyncio.Event) -> None:
    """Serve until `stop`; say where at the start, and how many queries there were at the end.

    One who is supervised tells it each second, as JSON, and ends with its standard input.
    """
    counters = Counters()
    if serving.supervised:
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _stop_at_the_end, stop)
    reporting = asyncio.create_task(_report(serving, counters))

    def ready(listening: tuple[Endpoint, ...]) -> None:
        _tell(serving, listening)
        _tell_statistics(serving, counters)

    await serve(
        serving.settings,
        stop=stop,
        ready=ready,
        clock=serving.clock,
        counters=counters,
        sockets=serving.sockets,
    )
    reporting.cancel()
    _tell_statistics(serving, counters)
    if serving.supervised:
        return
    click.echo(f"{counters.udp:,} UDP and {counters.tcp:,} TCP queries, {counters.dropped:,} not answered", err=True)


def _tell(serving: Serving, listening: tuple[Endpoint, ...]) -> None:
    if serving.as_json or serving.supervised:
        print_json({"listening": [endpoint._asdict() for endpoint in listening]})
    else:
        places = " and ".join(map(str, listening))
        click.echo(f"answering on {places} from {serving.settings.snapshot}; Ctrl-C ends")


def _stop_at_the_end(stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 1):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        stop.set()


async def _report(serving: Serving, counters: Counters) -> None:
    is_writable = True
    while True:
        await asyncio.sleep(_REPORT_SECONDS)
        could = _tell_statistics(serving, counters)
        if is_writable and not could:
            _log.warning("%s cannot be written: whimbrel top will not show this server", serving.statistics)
        is_writable = could


def _tell_statistics(serving: Serving, counters: Counters) -> bool:
    """Tell how it goes; False where the file cannot be written."""
    told = statistics.gathered(counters, time.time())
    if serving.supervised:
        print_json({"counts": _counted(told), "serial": told.serial})
    try:
        if serving.statistics is not None:
            statistics.write(serving.statistics, told)
    except OSError:
        return False
    return True


def _counted(told: Statistics) -> dict[str, float]:
    """Return what the control process adds up: counts since the start, by kind and, behind a blank, what of it."""
    counts: dict[str, float] = {
        "known": told.known,
        "slipped": told.slipped,
        "denied": told.denied,
        "seconds": told.seconds,
    }
    labelled: dict[str, dict[str, int]] = {
        "queries": told.queries,
        "rcode": told.rcodes,
        "code": told.codes,
        "dropped": told.dropped,
        "cookie": told.cookies,
        "time": {f"{time_bound(place):.9f}": count for place, count in told.times.items()},
    }
    for kind, counted in labelled.items():
        counts |= {f"{kind} {what}": count for what, count in counted.items()}
    return counts
