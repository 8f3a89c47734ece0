"""`whimbrel publish`: the list out."""

import os
from datetime import datetime, timedelta
from pathlib import Path

import click

from whimbrel.cli.options import config_option, data_option, json_option, now_option, settings_file
from whimbrel.cli.output import counted, print_json
from whimbrel.pipeline.config import load
from whimbrel.pipeline.places import keep_snapshot_at
from whimbrel.pipeline.publish import publish

_EPILOG = """\b
Examples:
  whimbrel publish
  whimbrel publish --config /etc/whimbrel/whimbrel.toml
  whimbrel publish --zone bl.example.org --ns ns1.example.org --ns ns2.example.org --mailbox hostmaster.example.org
  whimbrel publish --out /srv/mirror/list.snapshot --valid-hours 6
"""

_MOST_HOURS = 87_600.0  # ten years: nobody should answer from a list that old


@click.command(epilog=_EPILOG)
@click.option("--zone", show_default="publish.zone", help="The name under which addresses are asked.")
@click.option("--ns", "servers", multiple=True, show_default="publish.servers", help="A name server's name.")
@click.option("--mailbox", show_default="publish.mailbox", help="Who runs the zone, as a domain name.")
@click.option(
    "--valid-hours",
    type=click.FloatRange(min=0.01, max=_MOST_HOURS),
    show_default="publish.valid_hours",
    help="How long name servers may answer from it.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    show_default="publish.snapshot",
    help="Where to write it.",
)
@click.option(
    "--signing-key",
    type=click.Path(path_type=Path, dir_okay=False),
    show_default="publish.signing_key",
    help="The keys that sign it.",
)
@config_option
@now_option
@data_option
@json_option
@click.pass_context
def command(
    context: click.Context,
    zone: str | None,
    servers: tuple[str, ...],
    mailbox: str | None,
    valid_hours: float | None,
    out: Path | None,
    signing_key: Path | None,
    config_file: Path | None,
    now: datetime,
    data_dir: Path,
    as_json: bool,
) -> None:
    """Write the snapshot that name servers serve; a running `whimbrel serve` takes it up by itself.

    What no option says is as the settings say that `whimbrel run` goes by.
    """
    path, data_told = settings_file(context, config_file, data_dir)
    config = load(path, os.environ, data_told).config
    settings, store = config.publish, Path(config.store.data)
    done = publish(
        store,
        now,
        zone=zone or settings.zone,
        servers=servers or settings.servers,
        mailbox=mailbox or settings.mailbox or None,
        valid=timedelta(hours=valid_hours or settings.valid_hours),
        out=out or _file(settings.snapshot),
        signing_key=signing_key or _file(settings.signing_key),
    )
    if out is None and settings.snapshot:
        keep_snapshot_at(store, done.path)
    if as_json:
        print_json(done._asdict() | {"path": str(done.path)})
        return
    listings = counted(done.listings, "listing")
    click.echo(
        f"{done.path}: zone {done.zone}, serial {done.serial}, {listings}, {done.bytes:,} bytes, "
        f"valid until {done.expires:%Y-%m-%d %H:%M} UTC"
        + (f", signed by {' and '.join(done.signed_by)}" if done.signed_by else ", not signed")
        + (", a demo" if done.demo else "")
    )


def _file(written: str) -> Path | None:
    """Return the file that a setting names; an empty one names none."""
    return Path(written) if written else None
