"""`whimbrel links`: which families and campaigns are connected."""

import csv
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from whimbrel.cli.options import (
    data_option,
    json_option,
    now_option,
    outside_files,
    outside_options,
    table_options,
)
from whimbrel.cli.output import Column, print_rows, ranked

_EPILOG = """\b
Examples:
  whimbrel links
  whimbrel links --matrix
  whimbrel links --claim L2 --verdict linked --json
  whimbrel links --family sobig --csv > sobig.csv
  whimbrel links --as-table ip2asn-v4.tsv --leases leases.txt
What the words mean, and what is not claimed: docs/link.md.
"""

_COLUMNS = (
    Column("family", "family"),
    Column("campaign", "campaign"),
    Column("claim", "claim"),
    Column("verdict", "verdict"),
    Column("words", "it is"),
    Column("odds_ratio", "odds ratio", number=True),
    Column("odds_ratio_low", "low", number=True),
    Column("odds_ratio_high", "high", number=True),
    Column("e_value", "e", number=True),
    Column("gamma", "Gamma*", number=True),
    Column("units", "units", number=True),
    Column("reasons", "why", cuttable=True),
)
_SORTS = ("e_value", "odds_ratio", "probability", "units", "family", "campaign")
_VERDICTS = ("linked", "strongly linked", "evidence against", "insufficient data", "not assessed")
_MARKS = {"linked": "linked", "strongly linked": "STRONG", "evidence against": "against", "insufficient data": "?"}
_NO_PAIR = (
    "no pair to judge: it takes an infected host and a campaign that five hosts sent, in weeks that are over; what one "
    "pair lacks: whimbrel link FAMILY CAMPAIGN"
)


@click.command(epilog=_EPILOG)
@click.option("--family", help="Only this family.")
@click.option("--campaign", help="Only this campaign.")
@click.option(
    "--claim",
    type=click.Choice(["L1", "L2", "L3", "L4", "all"]),
    default="L2",
    show_default=True,
    help="L1: seen on the same hosts. L2: hosts infected by the family send the campaign. L3, L4: not assessed.",
)
@click.option("--verdict", type=click.Choice(_VERDICTS), help="Only this verdict.")
@click.option("--matrix", is_flag=True, help="A table of families by campaigns: verdict and odds ratio.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a heading line.")
@outside_options
@table_options("e_value", _SORTS)
@now_option
@data_option
@json_option
def command(
    family: str | None,
    campaign: str | None,
    claim: str,
    verdict: str | None,
    matrix: bool,
    as_csv: bool,
    as_tables: tuple[Path, ...],
    as_table_first: bool,
    leases: Path | None,
    sort: str,
    ascending: bool,
    limit: int,
    now: datetime,
    data_dir: Path,
    as_json: bool,
) -> None:
    """Test every family of worms against every campaign: are they connected?

    A verdict is linked, strongly linked, evidence against, or insufficient data, with its reason.
    """
    from whimbrel.pipeline.link import links  # noqa: PLC0415  --help needs no statistics

    files = outside_files(as_tables, leases, as_table_first=as_table_first)
    wanted = {"family": family, "campaign": campaign, "verdict": verdict, "claim": None if claim == "all" else claim}
    table = links(data_dir, now, files=files)
    if not table.num_rows:
        click.echo(_NO_PAIR, err=True)
    rows = [row for row in table.to_pylist() if all(value in (None, row[name]) for name, value in wanted.items())]
    shown = ranked(rows, sort, "campaign", ascending=ascending, limit=limit)
    if as_csv:
        _print_csv(shown)
    elif matrix and not as_json:
        _print_matrix(rows)
    else:
        print_rows(shown, _COLUMNS, as_json=as_json, title="Families and campaigns", total=len(rows))


def _print_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    from whimbrel.analysis.links.columns import VERDICTS  # noqa: PLC0415  as above

    writer = csv.DictWriter(sys.stdout, VERDICTS.names)
    writer.writeheader()
    for row in rows:
        writer.writerow({**row, "reasons": "; ".join(row["reasons"])})


def _print_matrix(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print families down and campaigns across; a cell has the verdict and the odds ratio."""
    campaigns = sorted({row["campaign"] for row in rows})
    lines: dict[str, dict[str, object]] = {}
    for row in rows:
        ratio = "" if row["odds_ratio"] is None else f" {row['odds_ratio']:.1f}"
        lines.setdefault(row["family"], {"family": row["family"]})[row["campaign"]] = (
            _MARKS.get(row["verdict"], "-") + ratio
        )
    columns = [Column("family", "family"), *(Column(name, name) for name in campaigns)]
    families = [lines[name] for name in sorted(lines)]
    print_rows(
        families, columns, as_json=False, title="Verdict and odds ratio (?: insufficient data)", total=len(lines)
    )
