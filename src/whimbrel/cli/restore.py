"""`whimbrel restore`: a store put back."""

from pathlib import Path

import click

from whimbrel.cli.options import data_option, json_option
from whimbrel.cli.output import print_json
from whimbrel.pipeline.restore import restore

_EPILOG = """\b
Examples:
  whimbrel restore /backups/whimbrel
  whimbrel restore /backups/whimbrel/20260101T030000.000Z --data restored
"""


@click.command(epilog=_EPILOG)
@click.argument("source", metavar="SRC", type=click.Path(path_type=Path, file_okay=False))
@click.option("--force", is_flag=True, help="Move a store that is there aside, and put the backup in its place.")
@data_option
@json_option
def command(source: Path, force: bool, data_dir: Path, as_json: bool) -> None:
    """Verify a backup (the newest in SRC, or SRC itself) and put it in the place of the store."""
    done = restore(source, data_dir, force=force)
    if as_json:
        paths = {name: None if path is None else str(path) for name, path in done._asdict().items() if name in _PATHS}
        print_json(done._asdict() | paths)
        return
    click.echo(f"{done.data}: restored as of {done.at:%Y-%m-%d %H:%M:%S} UTC, from {done.source}")
    if done.replaced is not None:
        click.echo(f"what was there before is in {done.replaced}: delete it when you are sure")
    if not done.ledger:
        click.echo(
            "no ledger was in it: if a database server had it, restore it there (pg_restore), then: whimbrel check"
        )
    if not done.keys:
        click.echo("no key was in it: put recipients.key and signing.key back from where you keep them")


_PATHS = ("data", "source", "replaced")
