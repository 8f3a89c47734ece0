"""`whimbrel serve`: answers over DNS."""

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path

import click

from whimbrel.cli.options import Instant, data_option, json_option
from whimbrel.cli.output import print_json
from whimbrel.errors import ConfigError
from whimbrel.model.endpoint import Endpoint, parse_endpoint
from whimbrel.nameserver import Counters, ServerSettings, serve
from whimbrel.nameserver.current import CurrentSnapshot
from whimbrel.pipeline.places import snapshot_path

_EPILOG = """\b
Examples:
  whimbrel serve --listen 127.0.0.1:5300
  whimbrel serve --listen 192.0.2.53:53 --listen [2001:db8::53]:53 --snapshot /srv/mirror/list.snapshot
  dig @127.0.0.1 -p 5300 2.0.0.127.bl.example A
"""

_DNS_PORT = 53


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
@click.option("--now", type=Instant(), help="Let the server's clock begin here: for a list of old mail.")
@data_option
@json_option
def command(
    listen: tuple[Endpoint, ...],
    snapshot: Path | None,
    now: datetime | None,
    data_dir: Path,
    as_json: bool,
) -> None:
    """Answer DNS queries (UDP and TCP) from the snapshot until Ctrl-C, taking up new ones as they are published."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    settings = ServerSettings(
        snapshot=snapshot or snapshot_path(data_dir),
        listen=listen or (Endpoint("127.0.0.1", 5300), Endpoint("::1", 5300)),
    )
    offset_seconds = 0.0 if now is None else now.timestamp() - time.time()

    def clock() -> float:
        return time.time() + offset_seconds

    def ready(endpoints: tuple[Endpoint, ...]) -> None:
        if as_json:
            print_json({"listening": [endpoint._asdict() for endpoint in endpoints]})
        else:
            places = " and ".join(str(endpoint) for endpoint in endpoints)
            click.echo(f"answering on {places} from {settings.snapshot}; Ctrl-C ends")

    _check_demo(settings)
    asyncio.run(_until_told(settings, clock, ready))


def _check_demo(settings: ServerSettings) -> None:
    """Raise ConfigError where a demo's list, whose addresses belong to others now, would be served to strangers."""
    strangers = [endpoint for endpoint in settings.listen if not ip_address(endpoint.address).is_loopback]
    if strangers and CurrentSnapshot(settings.snapshot, lambda: 0.0).snapshot.zone.demo:
        raise ConfigError(
            f"{settings.snapshot} is a demo's list of old mail; it is served on 127.0.0.1 or ::1 only, "
            f"not on {strangers[0].address}"
        )


async def _until_told(
    settings: ServerSettings, clock: Callable[[], float], ready: Callable[[tuple[Endpoint, ...]], None]
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    counters = Counters()
    await serve(settings, stop=stop, ready=ready, clock=clock, counters=counters)
    click.echo(f"{counters.udp:,} UDP and {counters.tcp:,} TCP queries, {counters.dropped:,} not answered", err=True)
