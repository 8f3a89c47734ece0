"""`whimbrel observe`: observations that others made, in."""

from datetime import datetime
from pathlib import Path

import click

from whimbrel.cli.options import check_clock, data_option, deciding_options, json_option, now_option
from whimbrel.cli.output import print_decided, print_json
from whimbrel.cli.progress import Progress
from whimbrel.pipeline.observe import observe

_EPILOG = """\b
Examples:
  whimbrel observe sinkhole.jsonl
  whimbrel observe feed.jsonl.gz --max-errors 100
  echo '{"seen_at":"2026-01-31T12:00:00Z","sensor":"mx1","host":"192.0.2.1","kind":"message","label":"spam"}' |
    whimbrel observe -
The keys of a line: docs/observation.md; as a JSON schema: docs/observation.schema.json.
"""


@click.command(epilog=_EPILOG)
@click.argument("file")
@click.option(
    "--max-errors", type=click.IntRange(min=0), default=0, show_default=True, help="Bad lines to report and leave out."
)
@deciding_options
@now_option
@data_option
@json_option
def command(
    file: str,
    max_errors: int,
    profile: str | None,
    now: datetime,
    data_dir: Path,
    as_json: bool,
) -> None:
    """Read observations from FILE (- for standard input), one JSON object a line; compressed files are fine.

    With more than --max-errors bad lines nothing of the file is kept.
    """
    check_clock(data_dir, now)
    with Progress("reading", "observation", shown=not as_json) as progress:
        done = observe(
            data_dir,
            file,
            now,
            profile=profile,
            max_errors=max_errors,
            on_error=lambda error: click.echo(f"{file}: {error}", err=True),
            progress=progress,
        )
    if as_json:
        print_json(
            {"new": done.new, "known": done.known, "errors": done.errors}
            | done.analysed._asdict()
            | done.decided._asdict()
        )
        return
    click.echo(f"{done.new:,} new observations, {done.known:,} known already, {done.errors:,} bad lines left out")
    print_decided(done.decided)
