"""`whimbrel serve`: answers over DNS."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path

import click
import msgspec

from whimbrel.cli.logs import log_options, set_up
from whimbrel.cli.options import Instant, data_option, json_option
from whimbrel.cli.output import print_json
from whimbrel.errors import ConfigError
from whimbrel.model.endpoint import Endpoint, parse_endpoint
from whimbrel.nameserver import Bound, Counters, ServerSettings, adopt, serve
from whimbrel.nameserver.current import CurrentSnapshot
from whimbrel.pipeline.places import snapshot_path

_EPILOG = """\b
Examples:
  whimbrel serve --listen 127.0.0.1:5300
  whimbrel serve --listen 192.0.2.53:53 --listen [2001:db8::53]:53 --snapshot /srv/mirror/list.snapshot
  dig @127.0.0.1 -p 5300 2.0.0.127.bl.example A
"""

_DNS_PORT = 53
_REPORT_SECONDS = 1.0  # Prometheus asks every 15 s or so; a name server that is silent for ten of these hangs


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


@click.command(epilog=_EPILOG)
@click.option(
    "--listen",
    type=_Listen(),
    multiple=True,
    help="Where to answer, UDP and TCP; may be repeated; port 0: a free one [127.0.0.1:5300 and [::1]:5300].",
)
@click.option(
    "--snapshot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The list to answer from [list.snapshot in the store].",
)
@click.option(
    "--fd",
    "descriptors",
    type=click.IntRange(min=3),
    multiple=True,
    help="Answer on this open socket instead of --listen: of each endpoint UDP, then TCP.",
)
@click.option(
    "--supervised", is_flag=True, help="Print JSON counts each second, and end when standard input does: for `run`."
)
@log_options
@click.option("--now", type=Instant(), help="Let the server's clock begin here: for a list of old mail.")
@data_option
@json_option
def command(
    listen: tuple[Endpoint, ...],
    snapshot: Path | None,
    descriptors: tuple[int, ...],
    supervised: bool,
    log_format: str,
    log_level: str,
    now: datetime | None,
    data_dir: Path,
    as_json: bool,
) -> None:
    """Answer DNS queries (UDP and TCP) from the snapshot until Ctrl-C, taking up new ones as they are published."""
    set_up(log_format, log_level)
    settings = ServerSettings(
        snapshot=snapshot or snapshot_path(data_dir),
        listen=listen or (Endpoint("127.0.0.1", 5300), Endpoint("::1", 5300)),
    )
    offset_seconds = 0.0 if now is None else now.timestamp() - time.time()

    def clock() -> float:
        return time.time() + offset_seconds

    def ready(endpoints: tuple[Endpoint, ...]) -> None:
        if as_json or supervised:
            print_json({"listening": [endpoint._asdict() for endpoint in endpoints]})
        else:
            places = " and ".join(str(endpoint) for endpoint in endpoints)
            click.echo(f"answering on {places} from {settings.snapshot}; Ctrl-C ends")

    sockets = adopt(descriptors) if descriptors else None
    if sockets is not None:
        settings = msgspec.structs.replace(settings, listen=tuple(each.endpoint for each in sockets))
    _check_demo(settings)
    asyncio.run(_until_told(_Serving(settings, sockets, clock, ready, supervised=supervised)))


def _check_demo(settings: ServerSettings) -> None:
    """Raise ConfigError where a demo's list, whose addresses belong to others now, would be served to strangers."""
    strangers = [endpoint for endpoint in settings.listen if not ip_address(endpoint.address).is_loopback]
    if strangers and CurrentSnapshot(settings.snapshot, lambda: 0.0).snapshot.zone.demo:
        raise ConfigError(
            f"{settings.snapshot} is a demo's list of old mail; it is served on 127.0.0.1 or ::1 only, "
            f"not on {strangers[0].address}"
        )


class _Serving(msgspec.Struct):
    """What is served, how, and for whom."""

    settings: ServerSettings
    sockets: list[Bound] | None
    clock: Callable[[], float]
    ready: Callable[[tuple[Endpoint, ...]], None]
    supervised: bool


async def _until_told(serving: _Serving) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    counters = Counters()
    reporting = None
    if serving.supervised:
        loop.add_reader(sys.stdin.fileno(), _stop_at_the_end, stop)
        reporting = asyncio.create_task(_report(counters))
    await serve(
        serving.settings,
        stop=stop,
        ready=serving.ready,
        clock=serving.clock,
        counters=counters,
        sockets=serving.sockets,
    )
    if reporting is not None:
        reporting.cancel()
        print_json(_counted(counters))
        return
    click.echo(f"{counters.udp:,} UDP and {counters.tcp:,} TCP queries, {counters.dropped:,} not answered", err=True)


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
