"""How results are printed: a table that fits the terminal for people, JSON lines for machines."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

import click
import msgspec

if TYPE_CHECKING:
    from whimbrel.pipeline.decide import Decided

Row = Mapping[str, object]

_CUT_TO = 12  # letters that a column is cut to at the most before another is left out
_GAP = 2  # blanks between columns
_PIPE_WIDTH = 120  # of a table that goes to a file or a pipe


class Column(NamedTuple):
    """A column of a printed table: the row's key, the heading, whether its values are numbers, whether it may be cut.

    Where a terminal is too narrow, what may be cut is cut, then columns are left out, the last first.  What `folds`
    goes on in the next line there, and is as wide as it must be where there is no terminal.
    """

    key: str
    heading: str
    number: bool = False
    cuttable: bool = False
    folds: bool = False


def counted(count: int, noun: str, nouns: str = "") -> str:
    """Return a number with what is counted, by default with an s where it is not one: `1 listing`, `2,000 listings`."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


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
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    cells = [[_cell(row.get(column.key)) for column in columns] for row in rows]
    needed = [max(len(column.heading), *(len(line[i]) for line in cells), 1) for i, column in enumerate(columns)]
    # Both are given, for with one of them Rich takes a terminal that calls itself dumb for one of 80 columns.
    width, height = shutil.get_terminal_size()
    if not sys.stdout.isatty():
        whole = sum(needed) + _GAP * (len(needed) - 1)
        width = max(_PIPE_WIDTH, whole) if any(column.folds for column in columns) else _PIPE_WIDTH
    console = Console(file=sys.stdout, highlight=False, width=width, height=height)
    widths = _fitted(needed, [column.cuttable or column.folds for column in columns], console.width)
    shown = f"{len(rows)} of {total}" if len(rows) < total else f"{total}"
    table = Table(title=f"{title} ({shown})", title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column, width in zip(columns, widths, strict=False):
        justify: Literal["left", "right"] = "right" if column.number else "left"
        overflow: Literal["fold", "ellipsis"] = "fold" if column.folds else "ellipsis"
        table.add_column(column.heading, justify=justify, no_wrap=not column.folds, overflow=overflow, width=width)
    for line in cells:
        table.add_row(*map(escape, line[: len(widths)]))
    console.print(table)


def _fitted(needed: Sequence[int], cuttable: Sequence[bool], room: int) -> list[int]:
    """Return the widths of as many columns as fit: as needed, or cut, and the last ones left out."""
    for count in range(len(needed), 0, -1):
        widths = list(needed[:count])
        over = sum(widths) + _GAP * (count - 1) - room
        for index in range(count):
            cut = min(over, widths[index] - _CUT_TO) if cuttable[index] else 0
            if cut > 0:
                widths[index] -= cut
                over -= cut
        if over <= 0:
            return widths
    return [room]


def ranked(rows: Sequence[Row], sort: str, name: str, *, ascending: bool, limit: int) -> list[Row]:
    """Return the first `limit` rows (0: all) by one column, ties by name, and what has no value last."""
    named = sorted(rows, key=lambda row: str(row[name]))
    known = [row for row in named if row[sort] is not None]
    ordered = sorted(known, key=lambda row: row[sort], reverse=not ascending)  # type: ignore[arg-type, return-value]
    return [*ordered, *(row for row in named if row[sort] is None)][: limit or None]


def print_decided(decided: "Decided") -> None:
    """Print what a run of decisions did."""
    click.echo(
        f"{counted(decided.decided, 'observation')} decided by profile {decided.profile}: "
        f"{counted(decided.listed, 'target')} listed, {decided.ended:,} ended"
    )
    if decided.decided and not decided.listed and decided.profile == "shared":
        click.echo(
            "profile shared lists only what three sensors agree on; a list for your own servers, from what they "
            "received: --profile own in a new --data"
        )
    if decided.listed and not decided.in_force:
        click.echo(
            "none of these listings is in force any more; look back with --now, as in: whimbrel listings --now DAY"
        )
    if decided.waiting:
        click.echo(f"{decided.waiting:,} were learned after --now and wait for a later run")


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return str(value)


def _encode(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    msg = f"cannot print {type(value).__name__} as JSON"
    raise TypeError(msg)
