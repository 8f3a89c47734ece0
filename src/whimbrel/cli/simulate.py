"""`whimbrel simulate`: observations of a world with planted truth."""

import sys
from contextlib import nullcontext
from pathlib import Path

import click

from whimbrel.cli.output import print_json

_EPILOG = """\b
Examples:
  whimbrel simulate worlds/demo.toml --out demo.jsonl
  whimbrel simulate worlds/demo.toml --set odds_ratio=1 --seed 7 | whimbrel observe -
  whimbrel simulate worlds/demo.toml --truth
  whimbrel simulate worlds/many-pairs.toml --out pairs.jsonl --truth > truth.jsonl
  whimbrel simulate worlds/linked-churn.toml --out churn.jsonl --leases leases.txt

Settings are explained in docs/worlds.md. All addresses and AS numbers are private ones: nobody's."""


@click.command("simulate", epilog=_EPILOG)
@click.argument("world_file", metavar="WORLD.toml", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Equal seeds, equal worlds.")
@click.option("--set", "changes", metavar="KEY=VALUE", multiple=True, help="Change a setting; may be repeated.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write here, not to standard output.")
@click.option(
    "--truth",
    "wants_truth",
    is_flag=True,
    help="Print what is true of each pair as JSON lines; observations go to --out only.",
)
@click.option("--as-table", type=click.Path(path_type=Path, dir_okay=False), help="Also write who announces what here.")
@click.option(
    "--leases", type=click.Path(path_type=Path, dir_okay=False), help="Also write who held which address here."
)
def command(
    world_file: Path,
    seed: int,
    changes: tuple[str, ...],
    out: Path | None,
    as_table: Path | None,
    leases: Path | None,
    *,
    wants_truth: bool,
) -> None:
    """Make observations of a simulated world with planted truth.

    They are written as Observation v1, one JSON object a line, ready for `whimbrel observe`.
    """
    # Arrow is slow to import, and --help needs none.
    from whimbrel import worlds  # noqa: PLC0415
    from whimbrel.worlds import batches, read_world, to_lines, truth  # noqa: PLC0415

    world = read_world(world_file, changes)
    for path, lines in ((as_table, worlds.as_table), (leases, worlds.leases)):
        if path is not None:
            with path.open("w", encoding="utf-8") as file:
                file.writelines(lines(world, seed))
    if wants_truth:
        for row in truth(world):
            print_json(row)
        if out is None:
            return
    with out.open("wb") if out else nullcontext(sys.stdout.buffer) as file:
        for batch in batches(world, seed):
            file.write(to_lines(batch))
