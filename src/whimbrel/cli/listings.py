"""`whimbrel listings`: what is on the list."""

from datetime import datetime
from pathlib import Path

import click

from whimbrel.cli.options import Instant, data_option, json_option, now_option, table_options
from whimbrel.cli.output import Column, print_rows, ranked
from whimbrel.pipeline.views import listing_rows, within

_EPILOG = """\b
Examples:
  whimbrel listings --limit 0
  whimbrel listings --code 4 --network 192.0.2.0/24
  whimbrel listings --now 2002-07-27 --json
  whimbrel listings --at 2026-01-31T12:00:00Z
"""

_COLUMNS = (
    Column("target", "target"),
    Column("code", "code", number=True),
    Column("meaning", "listed as", cuttable=True),
    Column("since", "since"),
    Column("until", "until"),
    Column("times_listed", "times", number=True),
    Column("probability_legitimate", "P(legit)", number=True),
)
_SORTS = ("since", "until", "target", "code", "times_listed", "probability_legitimate")


@click.command(epilog=_EPILOG)
@click.option("--code", type=click.IntRange(2, 10), help="Only with this return code (the N of 127.0.0.N).")
@click.option("--network", metavar="CIDR", help="Only targets in this network.")
@click.option("--at", type=Instant(), help="The list of a past moment, as it was published then.")
@table_options("since", _SORTS)
@now_option
@data_option
@json_option
def command(
    code: int | None,
    network: str | None,
    at: datetime | None,
    sort: str,
    ascending: bool,
    limit: int,
    now: datetime,
    data_dir: Path,
    as_json: bool,
) -> None:
    """List what is on the blocklist; `whimbrel why TARGET` tells the reasons for one."""
    keep = within(network)
    rows = [row for row in listing_rows(data_dir, now, at) if keep(row["target"]) and code in (None, row["code"])]
    shown = ranked(rows, sort, "target", ascending=ascending, limit=limit)
    print_rows(shown, _COLUMNS, as_json=as_json, title=f"Listings at {at or now:%Y-%m-%d %H:%M} UTC", total=len(rows))
