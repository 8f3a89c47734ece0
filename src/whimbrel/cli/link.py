"""`whimbrel link`: one family and one campaign, with everything a sceptic asks for."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from whimbrel.cli.options import data_option, json_option, now_option, outside_files, outside_options
from whimbrel.cli.output import print_json
from whimbrel.errors import ConfigError

if TYPE_CHECKING:
    from whimbrel.analysis.links.explain import Explanation

_EPILOG = """\b
Examples:
  whimbrel link sobig C0217f882e6332672
  whimbrel link family-01 campaign-001 --picture pair.svg
  whimbrel link family-01 campaign-001 --json
  whimbrel link family-01 campaign-001 --as-table prefixes.txt --as-table-first
"""

_CLAIMS = {
    "L1": "they are seen on the same hosts",
    "L2": "hosts infected by the family send the campaign",
    "L3": "the campaign is sent by the family's mail engine",
    "L4": "one party is behind both",
}


@click.command(epilog=_EPILOG)
@click.argument("family")
@click.argument("campaign")
@click.option(
    "--picture",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.svg|png",
    help="Also draw it: effects, negative controls, evidence over time.",
)
@outside_options
@now_option
@data_option
@json_option
def command(
    family: str,
    campaign: str,
    picture: Path | None,
    as_tables: tuple[Path, ...],
    as_table_first: bool,
    leases: Path | None,
    now: datetime,
    data_dir: Path,
    as_json: bool,
) -> None:
    """Test one FAMILY against one CAMPAIGN, asked about alone, and show everything behind the verdicts."""
    from whimbrel.pipeline.link import link  # noqa: PLC0415  --help needs no statistics

    if picture is not None and picture.suffix not in {".svg", ".png"}:
        raise ConfigError(f"{picture}: a picture is .svg or .png; name it so")
    files = outside_files(as_tables, leases, as_table_first=as_table_first)
    told = link(data_dir, now, family, campaign, files=files)
    if picture is not None:
        _draw(told, picture)
    if as_json:
        print_json(msgspec.to_builtins(told))
        return
    for line in _lines(told):
        click.echo(line)
    if picture is not None:
        click.echo(f"picture: {picture}")


def _lines(told: "Explanation") -> list[str]:
    lines = []
    for row in told.verdicts:
        lines.append(f"{row['claim']} ({_CLAIMS[row['claim']]}): {row['verdict']}{_figures(row)}")
        lines += [f"     {reason}" for reason in row["reasons"]]
    lines.append(
        "effects: odds ratio with 95 % interval, e, Gamma*; sendings by the family, and expected without a link"
    )
    lines += [
        f"  {effect.arm if effect.sensor is None else '  at ' + effect.sensor:<16} {effect.odds_ratio:6.2f} "
        f"({effect.odds_ratio_low:.2f}-{effect.odds_ratio_high:.2f})  e {_e(effect.log_e)}  Gamma* {effect.gamma:.2f}  "
        f"{effect.sent} sent, {effect.expected:.1f} expected, {effect.tables:,} tables"
        for effect in told.effects
        if effect.tables
    ]
    lines.append(_controls(told))
    lines.append("confounders: the odds ratio if hosts were compared without regard to it")
    lines += [f"  {each.part:<10} {each.odds_ratio_without:6.2f}  ({each.why})" for each in told.confounders]
    lines.append("what would overturn it:")
    return lines + [f"  {each}" for each in told.overturned_by]


def _figures(row: dict[str, Any]) -> str:
    if row["odds_ratio"] is None:
        return ""
    return (
        f"; {row['words']} (probability {row['probability']:.2f}); odds ratio {row['odds_ratio']:.2f} "
        f"({row['odds_ratio_low']:.2f}-{row['odds_ratio_high']:.2f}), e = {row['e_value']:.3g}, "
        f"Gamma* = {row['gamma']:.2f}; {row['units']:,} units, {row['windows']} windows"
    )


def _controls(told: "Explanation") -> str:
    if told.controls_z is None or told.controls_threshold is None:
        return f"negative controls: {len(told.controls)}, too few to compare with"
    passed = "passed" if told.controls_z > told.controls_threshold else "NOT passed: e counts as 0"
    return (
        f"negative controls: {len(told.controls)} families; z = {told.controls_z:.1f}, "
        f"needed {told.controls_threshold:.1f}: {passed}"
    )


def _e(log_e: float) -> str:
    return f"10^{log_e / 2.302585:.1f}"


def _draw(told: "Explanation", path: Path) -> None:
    from whimbrel.analysis.links.picture import picture  # noqa: PLC0415  as above

    drawn = picture(told)
    if path.suffix == ".svg":
        path.write_text(drawn, encoding="utf-8")
        return
    try:
        import resvg_py  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415  an extra
    except ImportError:
        raise ConfigError(
            f"{path}: PNG needs the extra `pictures` (pip install 'whimbrel[pictures]'); or name it .svg"
        ) from None
    path.write_bytes(bytes(resvg_py.svg_to_bytes(svg_string=drawn)))
