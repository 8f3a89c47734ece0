"""`whimbrel publish`: the list out."""

from datetime import datetime, timedelta
from pathlib import Path

import click

from whimbrel.cli.options import data_option, json_option, now_option
from whimbrel.cli.output import print_json
from whimbrel.pipeline.publish import publish

_EPILOG = """\b
Examples:
  whimbrel publish
  whimbrel publish --zone bl.example.org --ns ns1.example.org --ns ns2.example.org --mailbox hostmaster.example.org
  whimbrel publish --out /srv/mirror/list.snapshot --valid-hours 6
"""

# A name server whose list is older than this answers SERVFAIL: long enough for one missed night, and a day to notice.
_VALID_HOURS = 48.0
_MOST_HOURS = 87_600.0  # ten years: nobody should answer from a list that old


@click.command(epilog=_EPILOG)
@click.option("--zone", default="bl.example", show_default=True, help="The name under which addresses are asked.")
@click.option("--ns", "servers", multiple=True, default=("localhost",), show_default=True, help="A name server's name.")
@click.option("--mailbox", help="Who runs the zone, as a domain name [hostmaster.ZONE].")
@click.option(
    "--valid-hours",
    type=click.FloatRange(min=0.01, max=_MOST_HOURS),
    default=_VALID_HOURS,
    show_default=True,
    help="How long name servers may answer from it.",
)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Where to write it [list.snapshot in the store]."
)
@click.option(
    "--signing-key",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The keys that sign it [signing.key in the store, if there is one].",
)
@now_option
@data_option
@json_option
def command(
    zone: str,
    servers: tuple[str, ...],
    mailbox: str | None,
    valid_hours: float,
    out: Path | None,
    signing_key: Path | None,
    now: datetime,
    data_dir: Path,
    as_json: bool,
) -> None:
    """Write the snapshot that name servers serve; a running `whimbrel serve` takes it up by itself."""
    done = publish(
        data_dir,
        now,
        zone=zone,
        servers=servers,
        mailbox=mailbox,
        valid=timedelta(hours=valid_hours),
        out=out,
        signing_key=signing_key,
    )
    if as_json:
        print_json(done._asdict() | {"path": str(done.path)})
        return
    click.echo(
        f"{done.path}: zone {done.zone}, serial {done.serial}, {done.listings:,} listings, {done.bytes:,} bytes, "
        f"valid until {done.expires:%Y-%m-%d %H:%M} UTC"
        + (f", signed by {' and '.join(done.signed_by)}" if done.signed_by else ", not signed")
        + (", a demo" if done.demo else "")
    )
