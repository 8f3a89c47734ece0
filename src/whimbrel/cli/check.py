"""`whimbrel check`: is the store whole?"""

import sys
from datetime import datetime
from pathlib import Path

import click

from whimbrel.cli.options import data_option, json_option, now_option
from whimbrel.cli.output import print_json
from whimbrel.pipeline.checking import check, is_sound

_EPILOG = """\b
Examples:
  whimbrel check
  whimbrel check --json --data /backups/whimbrel/20260101T030000.000Z
"""


@click.command(epilog=_EPILOG)
@now_option
@data_option
@json_option
def command(now: datetime, data_dir: Path, as_json: bool) -> int:
    """Read all of a store, beside a running one too, and say what is wrong with it: 0 sound, 1 not."""
    findings = check(data_dir, now)
    sound = is_sound(findings)
    if as_json:
        print_json({"data": str(data_dir), "sound": sound, "findings": [each._asdict() for each in findings]})
    else:
        for each in findings:
            click.echo(f"{each.grade}: {each.place}: {each.problem}\n    {each.mend}")
        click.echo(f"{data_dir} is {'sound' if sound else 'not sound'}")
    sys.stdout.flush()
    return 0 if sound else 1
