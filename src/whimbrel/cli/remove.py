"""`whimbrel remove`: a listing's end, asked for by a person."""

from datetime import datetime
from pathlib import Path

import click
import msgspec

from whimbrel.cli.options import check_ahead, data_option, json_option, now_option
from whimbrel.cli.output import print_json
from whimbrel.pipeline.people import Removal, remove

_EPILOG = """\b
Examples:
  whimbrel remove 192.0.2.1 --why "the machine was cleaned"
  whimbrel remove 192.0.2.1 --why "ticket 4711" --by abuse@example.net
The answer may be passed on as it is: it names neither sensors nor recipients.
"""


@click.command(epilog=_EPILOG)
@click.argument("target")
@click.option("--why", required=True, help="The reason, for the log.")
@click.option("--by", default="operator", show_default=True, help="Who asks.")
@now_option
@data_option
@json_option
def command(target: str, why: str, by: str, now: datetime, data_dir: Path, as_json: bool) -> None:
    """Ask for the removal of TARGET (an address or network) from the list; publish afterwards.

    It works at once for a first listing. What was seen before counts no more; listed again, the term is twice as long.
    """
    check_ahead(data_dir, now)
    done = remove(data_dir, target, now, by=by, why=why)
    if as_json:
        print_json(msgspec.to_builtins(done._asdict()))
        return
    click.echo(f"{done.target}: {done.outcome}; {done.reason}")
    for line in _lines(done):
        click.echo(f"  {line}")


def _lines(done: Removal) -> list[str]:
    since = f" since {done.since:%Y-%m-%d}" if done.since else ""
    times = "once" if done.times_listed == 1 else f"{done.times_listed} times"
    lines = [f"it was listed as {done.listed_as}{since}, {times} in all"]
    if done.listed_through:
        lines.insert(0, f"it is still listed through {done.listed_through}; ask for the removal of that too")
    for name, counts in (("seen", (*done.by_label, *done.by_kind)), ("days", done.by_day)):
        if counts:
            lines.append(f"{name}: " + ", ".join(f"{count.name} {count.count:,}" for count in counts))
    if done.families:
        lines.append("worms: " + ", ".join(done.families))
    if done.names:
        lines.append("it called itself " + ", ".join(done.names))
    return lines
