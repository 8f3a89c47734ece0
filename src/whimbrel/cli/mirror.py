"""`whimbrel mirror`: a list from elsewhere, believed by its signature, kept here and answered from."""

import asyncio
import logging
import threading
from datetime import datetime
from pathlib import Path

import click

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
from whimbrel.errors import SnapshotError, UpstreamError
from whimbrel.model.endpoint import Endpoint, strangers
from whimbrel.nameserver import GuardSettings, ServerSettings
from whimbrel.pipeline.places import snapshot_path, statistics_path
from whimbrel.publishing.fetching import overlay_source_of, source_of
from whimbrel.publishing.mirror import Mirror

_EPILOG = """\b
Examples:
  whimbrel mirror https://lists.example.org/list.snapshot --key whimbrel.pub
  whimbrel mirror /srv/rsync/ --key whimbrel.pub --listen 192.0.2.53:53 --data /var/lib/whimbrel
  whimbrel mirror https://lists.example.org/ --key old.pub --key new.pub --no-serve
"""

# A list is published every few minutes, and an unchanged one costs a few hundred bytes to ask for.
_EVERY_SECONDS = 30.0

_log = logging.getLogger(__name__)


@click.command(epilog=_EPILOG)
@click.argument("source")
@click.option(
    "--key",
    "trusted",
    metavar="KEY or FILE",
    multiple=True,
    required=True,
    help="Take only lists signed by this key: a line of `whimbrel key export`, or a file of them; may be repeated.",
)
@click.option(
    "--every",
    "every_seconds",
    metavar="SECONDS",
    type=click.FloatRange(min=0.01, max=86_400),
    default=_EVERY_SECONDS,
    show_default=True,
    help="How often to look for a new list.",
)
@click.option("--no-serve", is_flag=True, help="Keep the list, and leave answering to others.")
@listen_option
@click.option(
    "--snapshot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to keep the list [list.snapshot in the store, which needs nothing else].",
)
@workers_option
@guard_options
@statistics_option
@log_options
@click.option("--now", type=Instant(), help="Let the mirror's clock begin here: for a list of old mail.")
@data_option
@json_option
def command(
    source: str,
    trusted: tuple[str, ...],
    every_seconds: float,
    no_serve: bool,
    listen: tuple[Endpoint, ...],
    snapshot: Path | None,
    guards: GuardSettings,
    statistics: Path | None,
    workers: int,
    log_format: str,
    log_level: str,
    now: datetime | None,
    data_dir: Path,
    as_json: bool,
) -> None:
    """Keep a copy of a list that SOURCE publishes, and answer DNS queries from it, until Ctrl-C.

    SOURCE is a folder, a file, or an http(s):// URL.  Only a newer list that a key signed replaces the one kept.
    """
    set_up(log_format, log_level)
    keys, clock = public_keys(trusted), clock_from(now)
    path = snapshot or snapshot_path(data_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    settings = ServerSettings(snapshot=path, listen=endpoints(listen), trusted=keys, guards=guards, workers=workers)
    takes_demo = no_serve or not strangers(settings.listen)
    mirror = Mirror(source_of(source), path, keys, clock, takes_demo=takes_demo, overlays=overlay_source_of(source))
    _first_look(mirror)

    async def run(stop: asyncio.Event) -> None:
        following = _Following(mirror, every_seconds, stop)
        if no_serve:
            click.echo(f"keeping {path}; Ctrl-C ends", err=True)
            await stop.wait()
        else:
            serving = Serving(
                settings=settings, clock=clock, as_json=as_json, statistics=statistics or statistics_path(path)
            )
            await answer(serving, stop)
        following.check()

    until_told(run)


def _first_look(mirror: Mirror) -> None:
    """Fetch a list to begin with; where that fails, what was kept before will do, if there is any."""
    try:
        found = mirror.look()
    except (UpstreamError, SnapshotError) as error:
        held = mirror.held()
        if held is None:
            raise
        _log.warning("%s; going on with snapshot %d", error, held.serial)
    else:
        if found is not None:
            _log.info("snapshot %d fetched", found.serial)


class _Following:
    """Follows the source in a thread, which may be left in a slow transfer: what is kept is always whole."""

    def __init__(self, mirror: Mirror, every_seconds: float, stop: asyncio.Event) -> None:
        self._failed: BaseException | None = None
        loop = asyncio.get_running_loop()

        def follow() -> None:
            try:
                mirror.follow(every_seconds, threading.Event())
            except BaseException as error:  # noqa: BLE001 - a defect of ours, raised in `check`
                self._failed = error
                loop.call_soon_threadsafe(stop.set)

        threading.Thread(target=follow, daemon=True).start()

    def check(self) -> None:
        """Raise what ended the following, if anything did: a mirror that never changes again must not run on."""
        if self._failed is not None:
            raise self._failed
