"""`whimbrel forget`: erasure of what names one, and the end of terms."""

from datetime import datetime
from pathlib import Path

import click

from whimbrel.cli.options import Instant, check_ahead, data_option, json_option, now_option
from whimbrel.cli.output import counted, print_json
from whimbrel.errors import ConfigError
from whimbrel.pipeline.forget import end_terms, forget

_EPILOG = """\b
Examples:
  whimbrel forget 192.0.2.1 --why "objection of 3 May"
  whimbrel forget joe@example.org
  whimbrel forget --before 2026-01-01
"""


@click.command(epilog=_EPILOG)
@click.argument("target", required=False)
@click.option("--before", type=Instant(), metavar="DAY", help="Delete the evidence of all days before this one.")
@click.option("--why", default="erasure was asked for", show_default=True, help="The reason, without the person.")
@click.option("--by", default="operator", show_default=True, help="Who decided.")
@now_option
@data_option
@json_option
def command(
    target: str | None,
    before: datetime | None,
    why: str,
    by: str,
    now: datetime,
    data_dir: Path,
    as_json: bool,
) -> None:
    """Forget TARGET: an address (evidence, listing and history name it no more) or a recipient's mail address.

    History stays whole: a mark takes the target's place. It cannot be undone; publish afterwards.
    """
    if (target is None) == (before is None):
        raise click.UsageError("name a TARGET, or a day with --before", click.get_current_context())
    check_ahead(data_dir, now)
    if before is not None:
        if before > now:
            raise ConfigError(f"--before {before:%Y-%m-%d} lies ahead, and would delete all evidence there is")
        done = end_terms(data_dir, before.date(), now)
    else:
        done = forget(data_dir, str(target), now, by=by, why=why)
    if as_json:
        print_json(done._asdict())
        return
    if done.event is None:
        click.echo("nothing of it is stored")
        return
    if before is not None:
        click.echo(f"{counted(done.observations, 'row')} of evidence deleted; entered in the log as {done.event}")
        return
    observations, facts = counted(done.observations, "observation"), counted(done.facts, "fact")
    click.echo(
        f"{observations} and {facts} of {counted(done.days, 'day')} written anew without it; "
        f"in the log it is {done.event}; publish, for a snapshot of before may still hold it"
    )
