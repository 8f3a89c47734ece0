"""`whimbrel campaigns`: what is sent."""

from datetime import datetime
from pathlib import Path

import click

from whimbrel.cli.options import data_option, json_option, now_option, table_options
from whimbrel.cli.output import Column, print_rows, ranked
from whimbrel.pipeline.views import campaign_rows

_EPILOG = """\b
Examples:
  whimbrel campaigns --limit 10
  whimbrel campaigns --domain example.com
  whimbrel campaigns --least 5 --sort hosts --json
"""

_COLUMNS = (
    Column("campaign", "campaign"),
    Column("messages", "messages", number=True),
    Column("hosts", "hosts", number=True),
    Column("spam", "spam", number=True),
    Column("ham", "ham", number=True),
    Column("first_seen", "first seen"),
    Column("last_seen", "last seen"),
    Column("basis", "joined by"),
    Column("url_domains", "advertises", cuttable=True),
)
_SORTS = ("messages", "hosts", "spam", "ham", "first_seen", "last_seen", "campaign")


@click.command(epilog=_EPILOG)
@click.option("--domain", help="Only campaigns that most often show this domain.")
@click.option("--least", type=click.IntRange(min=1), default=2, show_default=True, help="Messages at least.")
@table_options("messages", _SORTS)
@now_option
@data_option
@json_option
def command(
    domain: str | None,
    least: int,
    sort: str,
    ascending: bool,
    limit: int,
    now: datetime,
    data_dir: Path,
    as_json: bool,
) -> None:
    """List the campaigns: messages from one template or lineage, by shared URLs, attachments or text."""
    rows = [
        row
        for row in campaign_rows(data_dir, now)
        if row["messages"] >= least and (domain is None or domain.lower() in row["url_domains"])
    ]
    shown = ranked(rows, sort, "campaign", ascending=ascending, limit=limit)
    print_rows(shown, _COLUMNS, as_json=as_json, title="Campaigns", total=len(rows))
