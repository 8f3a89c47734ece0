"""What the commands share that answer over DNS: where to listen, to whom a demo may answer, and how they end."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from ipaddress import ip_address
from typing import TypeVar

import click

from whimbrel.cli.output import print_json
from whimbrel.nameserver import Counters, Endpoint, ServerSettings, serve

Clock = Callable[[], float]
_Function = TypeVar("_Function", bound=Callable[..., object])

_DNS_PORT = 53
_DEFAULT = (Endpoint("127.0.0.1", 5300), Endpoint("::1", 5300))


class _Listen(click.ParamType[Endpoint]):
    name = "address:port"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Endpoint:
        if isinstance(value, Endpoint):
            return value
        text = str(value)
        bare = text.startswith("[") or text.count(":") < 2  # an IPv6 address with a port stands in brackets
        address, _, port = text.rpartition(":") if bare and ":" in text.rpartition("]")[2] else (text, "", "")
        try:
            return Endpoint(str(ip_address(address.strip("[]"))), int(port) if port else _DNS_PORT)
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


def strangers(listen: Iterable[Endpoint]) -> list[Endpoint]:
    """Return the endpoints that others than this machine can ask."""
    return [endpoint for endpoint in listen if not ip_address(endpoint.address).is_loopback]


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


async def answer(settings: ServerSettings, clock: Clock, stop: asyncio.Event, *, as_json: bool) -> None:
    """Serve until `stop`; say where at the start, and how many queries there were at the end."""

    def ready(listening: tuple[Endpoint, ...]) -> None:
        if as_json:
            print_json({"listening": [endpoint._asdict() for endpoint in listening]})
        else:
            places = " and ".join(map(_written, listening))
            click.echo(f"answering on {places} from {settings.snapshot}; Ctrl-C ends")

    counters = Counters()
    await serve(settings, stop=stop, ready=ready, clock=clock, counters=counters)
    click.echo(f"{counters.udp:,} UDP and {counters.tcp:,} TCP queries, {counters.dropped:,} not answered", err=True)


def _written(endpoint: Endpoint) -> str:
    address = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
    return f"{address}:{endpoint.port}"
