"""`whimbrel hosts`: who was seen."""

from datetime import datetime
from pathlib import Path

import click

from whimbrel.cli.options import data_option, json_option, now_option, table_options
from whimbrel.cli.output import Column, print_rows, ranked
from whimbrel.pipeline.views import host_rows, network_rows, within

_EPILOG = """\b
Examples:
  whimbrel hosts --sort spam_messages --limit 10
  whimbrel hosts --network 192.0.2.0/24
  whimbrel hosts --listed --json
  whimbrel hosts --by-network
"""

_HOST_COLUMNS = (
    Column("host", "host"),
    Column("spam_messages", "spam", number=True),
    Column("ham_messages", "ham", number=True),
    Column("unknown_messages", "unknown", number=True),
    Column("listed", "code", number=True),
    Column("days", "days", number=True),
    Column("last_seen", "last seen"),
    Column("first_seen", "first seen"),
    Column("infections", "infected", number=True),
    Column("rdns", "name", cuttable=True),
)
_NETWORK_COLUMNS = (
    Column("network", "network"),
    Column("hosts", "hosts", number=True),
    Column("spam_hosts", "spamming", number=True),
    Column("spam_messages", "spam", number=True),
    Column("ham_messages", "ham", number=True),
    Column("spam_share", "spam share", number=True),
)
_SORTS = ("spam_messages", "ham_messages", "unknown_messages", "infections", "days", "first_seen", "last_seen", "host")


@click.command(epilog=_EPILOG)
@click.option("--network", metavar="CIDR", help="Only hosts in this network.")
@click.option("--listed", is_flag=True, help="Only hosts that are listed, themselves or through their network.")
@click.option("--by-network", is_flag=True, help="A row a network (/24, IPv6 /48) instead, most spamming hosts first.")
@table_options("spam_messages", _SORTS)
@now_option
@data_option
@json_option
def command(
    network: str | None,
    listed: bool,
    by_network: bool,
    sort: str,
    ascending: bool,
    limit: int,
    now: datetime,
    data_dir: Path,
    as_json: bool,
) -> None:
    """List the hosts seen (an IPv4 address or an IPv6 /64), with what each sent and when."""
    keep = within(network)
    if by_network:
        networks = [row for row in network_rows(data_dir, now) if keep(row["network"])]
        print_rows(networks[: limit or None], _NETWORK_COLUMNS, as_json=as_json, title="Networks", total=len(networks))
        return
    rows = [row for row in host_rows(data_dir, now) if keep(row["host"]) and (row["listed"] or not listed)]
    shown = ranked(rows, sort, "host", ascending=ascending, limit=limit)
    print_rows(shown, _HOST_COLUMNS, as_json=as_json, title="Hosts", total=len(rows))
