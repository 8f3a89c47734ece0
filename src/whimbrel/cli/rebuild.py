"""`whimbrel rebuild`: the list and the working state, made again from what was recorded."""

from pathlib import Path

import click

from whimbrel.cli.options import data_option, json_option
from whimbrel.cli.output import counted, print_json
from whimbrel.cli.progress import Progress
from whimbrel.pipeline.rebuild import Rebuilt, rebuild

_EPILOG = """\b
Examples:
  whimbrel rebuild
  whimbrel rebuild --write
It ends with 1, and the first event that differs, where evidence and ledger do not agree.
"""


@click.command(epilog=_EPILOG)
@click.option("--write", is_flag=True, help="Put what was rebuilt into the ledger where it differs from what is there.")
@data_option
@json_option
def command(write: bool, data_dir: Path, as_json: bool) -> None:
    """Rebuild the list from the log, and decide all evidence again, run by run, as it stood at each.

    Without --write nothing is changed: it says whether all is as recorded.
    """
    with Progress("rebuilding", "observation", shown=not as_json) as progress:
        done = rebuild(data_dir, write=write, progress=lambda items, total: progress(items, items, total))
    if as_json:
        print_json(done._asdict())
        return
    click.echo(f"by {counted(done.events, 'event')}, {counted(done.listings, 'target')} ever listed: {_list(done)}")
    observations = counted(done.observations, "observation")
    click.echo(
        f"{observations} decided again in {counted(done.again, 'run')}, every event as recorded"
        + (f"; {counted(done.carried, 'run')} taken as recorded" if done.carried else "")
    )
    click.echo(f"the working state {_state(done)}")


def _list(done: Rebuilt) -> str:
    if done.list_same:
        return "the list is the same"
    return "the list was not the same and has been written anew" if done.written else _NOT_SAME.format("list")


def _state(done: Rebuilt) -> str:
    if done.state_same:
        return "is the same"
    return "was not the same and has been written anew" if done.written else _NOT_SAME.format("state")


_NOT_SAME = "is not the same: the {}'s table was changed by something else; mend it with --write"
