"""How results are printed: a table that fits the terminal for people, JSON lines for machines."""

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import click
import msgspec

if TYPE_CHECKING:
    from whimbrel.pipeline.decide import Decided

Row = Mapping[str, object]


class Column(NamedTuple):
    """A column of a printed table: the row's key, the heading, and whether its values are numbers."""

    key: str
    heading: str
    number: bool = False


def print_json(value: object) -> None:
    """Print one JSON object on a line of its own."""
    click.echo(msgspec.json.encode(value, enc_hook=_encode))


def print_rows(rows: Sequence[Row], columns: Sequence[Column], *, as_json: bool, title: str, total: int) -> None:
    """Print rows as JSON lines (every key), or as a table of the given columns under a title that counts them."""
    if as_json:
        for row in rows:
            print_json(row)
        return
    from rich.console import Console  # noqa: PLC0415  a tenth of a second that only tables should cost
    from rich.table import Table  # noqa: PLC0415

    shown = f"{len(rows)} of {total}" if len(rows) < total else f"{total}"
    table = Table(title=f"{title} ({shown})", title_justify="left", box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(
            column.heading,
            justify="right" if column.number else "left",
            no_wrap=True,
            overflow="ellipsis",
            # The first column names the row; it is the last to be cut.
            min_width=15 if index == 0 else None,
        )
    for row in rows:
        table.add_row(*(_cell(row.get(column.key)) for column in columns))
    Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 120).print(table)


def ranked(rows: Sequence[Row], sort: str, name: str, *, ascending: bool, limit: int) -> list[Row]:
    """Return the first `limit` rows (0: all) by one column, ties by name, and what has no value last."""
    named = sorted(rows, key=lambda row: str(row[name]))
    known = [row for row in named if row[sort] is not None]
    ordered = sorted(known, key=lambda row: row[sort], reverse=not ascending)  # type: ignore[arg-type, return-value]
    return [*ordered, *(row for row in named if row[sort] is None)][: limit or None]


def print_decided(decided: "Decided") -> None:
    """Print what a run of decisions did."""
    click.echo(
        f"{decided.decided:,} observations decided by profile {decided.profile}: "
        f"{decided.listed:,} targets listed, {decided.ended:,} ended"
    )
    if decided.waiting:
        click.echo(f"{decided.waiting:,} were learned after --now and wait for a later run")


def _cell(value: object) -> str:
    from rich.markup import escape  # noqa: PLC0415

    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return escape(", ".join(str(item) for item in value))
    return escape(str(value))


def _encode(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    msg = f"cannot print {type(value).__name__} as JSON"
    raise TypeError(msg)
