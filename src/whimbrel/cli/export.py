"""`whimbrel export`: the list for other programs."""

import sys
from datetime import datetime
from pathlib import Path

import click

from whimbrel.cli.options import data_option, json_option, now_option
from whimbrel.cli.output import counted, print_json
from whimbrel.model.listing import Code
from whimbrel.pipeline.export import export, export_to, read
from whimbrel.publishing.exports import FORMATS

_EPILOG = """\b
Examples:
  whimbrel export plain
  whimbrel export ip4trie --out /var/lib/rbldns/bl4
  whimbrel export rpz --code 4 --code 9 --out /var/lib/unbound/whimbrel.rpz
  whimbrel export nftables | nft -f -
  whimbrel export misp --out /srv/www/feed

\b
Formats:
""" + "\n".join(f"  {name:9} {form.consumer}" for name, form in FORMATS.items())


@click.command(epilog=_EPILOG)
@click.argument("name", metavar="FORMAT", type=click.Choice(list(FORMATS)))
@click.option("--out", type=click.Path(path_type=Path), help="Where to write it: a file, of misp a folder.")
@click.option(
    "--snapshot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The list to export [list.snapshot in the store].",
)
@click.option(
    "--code", "codes", multiple=True, type=click.IntRange(2, 10), help="Only with this return code; may be repeated."
)
@click.option("--zone", metavar="NAME", help="The zone to export [the list's main one].")
@click.option("--force", is_flag=True, help="Export a demo's list of old mail, too.")
@now_option
@data_option
@json_option
def command(
    name: str,
    out: Path | None,
    snapshot: Path | None,
    codes: tuple[int, ...],
    zone: str | None,
    force: bool,
    now: datetime,
    data_dir: Path,
    as_json: bool,
) -> None:
    """Write the published list in the FORMAT of another program, to standard output or a file."""
    unknown = set(codes) - set(Code)
    if unknown:
        known = ", ".join(str(code.value) for code in Code)
        raise click.BadParameter(f"{min(unknown)} is no return code; there are {known}", param_hint="--code")
    if as_json and out is None:
        raise click.UsageError("--json tells what was written where; give --out, or see the format jsonl")
    content = read(data_dir, now, snapshot=snapshot, codes=[Code(code) for code in codes], force=force, zone=zone)
    if out is None:
        export_to(content, name, sys.stdout.buffer)
        return
    done = export(content, name, out)
    if as_json:
        print_json(done._asdict() | {"path": str(done.path)})
        return
    entries = counted(done.entries, "entry", "entries")
    click.echo(
        f"{done.path}: {done.format} of zone {done.zone}, serial {done.serial}, {entries} at "
        f"{done.at:%Y-%m-%d %H:%M} UTC, {done.bytes:,} bytes" + (", a demo" if done.demo else "")
    )
