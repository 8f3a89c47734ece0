"""`whimbrel backup`: one moment of a live store, copied."""

from pathlib import Path

import click

from whimbrel.cli.options import data_option, json_option
from whimbrel.cli.output import counted, print_json
from whimbrel.pipeline.backup import back_up

_EPILOG = """\b
Examples:
  whimbrel backup /backups/whimbrel
  whimbrel backup /backups/whimbrel --keep 14 --without-keys
  whimbrel restore /backups/whimbrel --data restored
"""


@click.command(epilog=_EPILOG)
@click.argument("goal", metavar="DEST", type=click.Path(path_type=Path, file_okay=False))
@click.option("--without-keys", is_flag=True, help="Leave out signing.key and recipients.key: keep them elsewhere.")
@click.option("--link", is_flag=True, help="Link the store's files instead of copying them, on one file system.")
@click.option(
    "--keep",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Backups to keep in DEST, older ones are removed; 0: all.",
)
@data_option
@json_option
def command(goal: Path, without_keys: bool, link: bool, keep: int, data_dir: Path, as_json: bool) -> None:
    """Copy all of a store, which may be in use, into a new folder in DEST.

    Files that an earlier backup there has are not copied again.
    """
    done = back_up(data_dir, goal, keys=not without_keys, link=link, keep=keep)
    if as_json:
        print_json(done._asdict() | {"path": str(done.path)})
        return
    click.echo(
        f"{done.path}: {counted(done.files, 'file')}, {done.copied:,} of them new ({done.copied_bytes / 1e6:,.1f} MB)"
    )
    if not done.ledger:
        click.echo("no ledger is in it: nothing was decided yet, or a database server has it (run pg_dump there)")
    if done.keys:
        click.echo(f"secret keys are in it ({', '.join(done.keys)}): keep it as safe as the store")
    else:
        click.echo("no key is in it: keep recipients.key and signing.key elsewhere")
    if done.removed:
        click.echo(f"{done.removed:,} older backups removed")
