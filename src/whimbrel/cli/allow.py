"""`whimbrel allow`: what is never listed, by a person's word."""

from datetime import datetime
from pathlib import Path

import click
import msgspec

from whimbrel.cli.options import check_ahead, data_option, json_option, now_option
from whimbrel.cli.output import Column, print_json, print_rows
from whimbrel.pipeline.people import allow, allowances, end_allowance

_EPILOG = """\b
Examples:
  whimbrel allow
  whimbrel allow 192.0.2.0/24 --owner "Example Mail Ltd" --why "a large provider; its abuse desk answers"
  whimbrel allow 192.0.2.0/24 --end --why "sold"
"""

_COLUMNS = (
    Column("target", "target"),
    Column("owner", "owner", cuttable=True),
    Column("since", "since"),
    Column("why", "why", cuttable=True),
)


@click.command(epilog=_EPILOG)
@click.argument("target", required=False)
@click.option("--owner", help="Whose it is.")
@click.option("--why", help="The reason, for the log.")
@click.option("--end", is_flag=True, help="Let it be listed again when it gives reason to.")
@now_option
@data_option
@json_option
def command(
    target: str | None,
    owner: str | None,
    why: str | None,
    end: bool,
    now: datetime,
    data_dir: Path,
    as_json: bool,
) -> None:
    """Never list TARGET (an address or network): a listing in force ends at once. Alone: list what is allowed."""
    if target is None:
        if owner or why or end:
            raise click.UsageError("name the TARGET", click.get_current_context())
        rows = [msgspec.structs.asdict(allowed) for allowed in allowances(data_dir)]
        print_rows(rows, _COLUMNS, as_json=as_json, title="Allowed", total=len(rows))
        return
    if why is None or (owner is None) != end:
        needed = "--end needs --why, and no --owner" if end else "say whose it is and why: --owner NAME --why TEXT"
        raise click.UsageError(needed, click.get_current_context())
    check_ahead(data_dir, now)
    if owner is None:
        events = end_allowance(data_dir, target, now, why=why)
    else:
        events = allow(data_dir, target, now, owner=owner, why=why)
    told, *ended = events
    if as_json:
        print_json({"target": told.target, "owner": told.actor, "since": told.at, "why": told.why})
        return
    click.echo(f"{told.target} is {told.change}, {told.actor}: {told.why}")
    for event in ended:
        click.echo(f"  {event.target} is listed no more")
