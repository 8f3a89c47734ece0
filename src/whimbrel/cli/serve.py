"""`whimbrel serve`: answers over DNS."""

import logging
import os
from datetime import datetime
from pathlib import Path

import click
import msgspec

from whimbrel.cli.guarding import guard_options
from whimbrel.cli.logs import log_options, set_up
from whimbrel.cli.options import Instant, data_option, json_option, public_keys
from whimbrel.cli.serving import (
    Serving,
    answer,
    clock_from,
    endpoints,
    listen_option,
    statistics_option,
    until_told,
    workers_option,
)
from whimbrel.errors import ConfigError
from whimbrel.model.endpoint import Endpoint, strangers
from whimbrel.model.transfer import transfer_settings
from whimbrel.nameserver import GuardSettings, ServerSettings, adopt, bind
from whimbrel.nameserver.current import CurrentSnapshot
from whimbrel.nameserver.privileges import become
from whimbrel.pipeline.places import snapshot_path, statistics_path

_log = logging.getLogger(__name__)

_EPILOG = """\b
Examples:
  whimbrel serve --listen 127.0.0.1:5300
  whimbrel serve --listen 192.0.2.53:53 --listen [2001:db8::53]:53 --snapshot /srv/mirror/list.snapshot
  dig @127.0.0.1 -p 5300 2.0.0.127.bl.example A
"""


@click.command(epilog=_EPILOG)
@listen_option
@click.option(
    "--snapshot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The list to answer from [list.snapshot in the store].",
)
@click.option(
    "--trust-key",
    "trusted",
    metavar="KEY or FILE",
    multiple=True,
    help="Take only lists signed by this key: a line of `whimbrel key export`, or a file of them; may be repeated.",
)
@click.option(
    "--transfer-keys",
    default="",
    metavar="FILE",
    help="The keys that sign zone transfers, a line each: hmac-sha256:name:secret; wants --transfer-to.",
)
@click.option(
    "--transfer-to",
    "transfer_to",
    metavar="PREFIX",
    multiple=True,
    help="Who may ask for a transfer, with a key: an address or a network; may be repeated.",
)
@click.option(
    "--notify",
    metavar="[KEY@]ADDRESS[:PORT]",
    multiple=True,
    help="A secondary that is told of each new list, signed with KEY; may be repeated.",
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
@click.option("--user", metavar="NAME", help="Become this user once the sockets are open, where root starts it.")
@workers_option
@guard_options
@statistics_option
@log_options
@click.option("--now", type=Instant(), help="Let the server's clock begin here: for a list of old mail.")
@data_option
@json_option
def command(
    listen: tuple[Endpoint, ...],
    snapshot: Path | None,
    trusted: tuple[str, ...],
    transfer_keys: str,
    transfer_to: tuple[str, ...],
    notify: tuple[str, ...],
    descriptors: tuple[int, ...],
    supervised: bool,
    user: str | None,
    guards: GuardSettings,
    statistics: Path | None,
    workers: int,
    log_format: str,
    log_level: str,
    now: datetime | None,
    data_dir: Path,
    as_json: bool,
) -> None:
    """Answer DNS queries (UDP and TCP) from the snapshot until Ctrl-C, taking up new ones as they are published."""
    set_up(log_format, log_level)
    path = snapshot or snapshot_path(data_dir)
    settings = ServerSettings(
        snapshot=path,
        listen=endpoints(listen),
        trusted=public_keys(trusted),
        guards=guards,
        workers=workers,
        transfers=transfer_settings(transfer_keys, transfer_to, notify),
    )
    sockets = adopt(descriptors) if descriptors else None
    if sockets is not None:
        settings = msgspec.structs.replace(settings, listen=tuple(each.endpoint for each in sockets))
    if user is not None:
        sockets = sockets or bind(settings.listen, settings.beside)
        become(user)
    _check_demo(settings)
    if os.geteuid() == 0 and strangers(settings.listen):
        _log.warning("strangers are answered by root; name a user that may do nothing else: --user NAME")
    serving = Serving(
        settings=settings,
        clock=clock_from(now),
        sockets=sockets,
        as_json=as_json,
        supervised=supervised,
        statistics=statistics or statistics_path(path),
    )
    until_told(lambda stop: answer(serving, stop))


def _check_demo(settings: ServerSettings) -> None:
    """Raise ConfigError where a demo's list, whose addresses belong to others now, would be served to strangers."""
    asked = strangers(settings.listen)
    if asked and CurrentSnapshot(settings.snapshot, lambda: 0.0, settings.trusted).snapshot.zone.demo:
        raise ConfigError(
            f"{settings.snapshot} is a demo's list of old mail; it is served on 127.0.0.1 or ::1 only, "
            f"not on {asked[0].address}"
        )
