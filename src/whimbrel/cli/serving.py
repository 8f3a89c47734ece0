"""What the commands share that answer over DNS: where to listen, by which clock, and how they end."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

import click
import msgspec

from whimbrel.cli.output import print_json
from whimbrel.model.endpoint import Endpoint, parse_endpoint
from whimbrel.nameserver import Bound, Counters, ServerSettings, serve

Clock = Callable[[], float]
_Function = TypeVar("_Function", bound=Callable[..., object])

_DNS_PORT = 53
_REPORT_SECONDS = 1.0  # Prometheus asks every 15 s or so; a name server that is silent for ten of these hangs
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
    """What is served, and for whom: `supervised` for `whimbrel run`, `as_json` for another program, else for people."""

    settings: ServerSettings
    clock: Clock
    sockets: list[Bound] | None = None
    as_json: bool = False
    supervised: bool = False


async def answer(serving: Serving, stop: asyncio.Event) -> None:
    """Serve until `stop`; say where at the start, and how many queries there were at the end.

    One who is supervised tells it each second, as JSON, and ends with its standard input.
    """
    counters = Counters()
    reporting = None
    if serving.supervised:
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _stop_at_the_end, stop)
        reporting = asyncio.create_task(_report(counters))
    await serve(
        serving.settings,
        stop=stop,
        ready=lambda listening: _tell(serving, listening),
        clock=serving.clock,
        counters=counters,
        sockets=serving.sockets,
    )
    if reporting is not None:
        reporting.cancel()
        print_json(_counted(counters))
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


async def _report(counters: Counters) -> None:
    while True:
        await asyncio.sleep(_REPORT_SECONDS)
        print_json(_counted(counters))


def _counted(counters: Counters) -> dict[str, object]:
    """Return what the control process is told: counts since the start, and the serial that is answered from."""
    rcodes = {f"rcode {code}": count for code, count in counters.by_rcode.items()}
    serial = None if counters.current is None else counters.current.snapshot.serial
    counts = {"udp": counters.udp, "tcp": counters.tcp, "dropped": counters.dropped} | rcodes
    return {"counts": counts, "serial": serial}
