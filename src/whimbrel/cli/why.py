"""`whimbrel why`: the reasons."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click
import msgspec

from whimbrel.cli.options import data_option, json_option, now_option
from whimbrel.cli.output import print_json
from whimbrel.listings.explain import Count, Explanation
from whimbrel.pipeline.why import why

_EPILOG = """\b
Examples:
  whimbrel why 192.0.2.1
  whimbrel why 2001:db8::1 --json
  whimbrel why 192.0.2.0/24
  whimbrel why example.com
The JSON form is published as docs/why.schema.json.
"""

# Days and history lines that fit a screen; --json has them all.
_LINES = 8


@click.command(epilog=_EPILOG)
@click.argument("target")
@now_option
@data_option
@json_option
def command(target: str, now: datetime, data_dir: Path, as_json: bool) -> None:
    """Say whether TARGET (address, network, domain or hash) is listed, as what, until when, and on what evidence."""
    told = why(data_dir, target, now)
    if as_json:
        print_json(msgspec.to_builtins(told))
        return
    click.echo(told.sentence)
    for name, value in _lines(told):
        click.echo(f"  {name:<13} {value}")
    for example in told.examples:
        said = f" as {example.helo}" if example.helo else ""
        campaign = f", campaign {example.campaign}" if example.campaign else ""
        click.echo(
            f"  example       {_time(example.seen_at)} {example.label} {example.kind} at {example.sensor}{said}"
            f"{campaign}; recipients: {example.recipients}"
        )
    for change in told.history[-_LINES:]:
        whose = "" if change.target == told.target else f" {change.target}"
        click.echo(f"  history       {_time(change.at)} {change.change}{whose}: {change.why} ({change.actor})")


def _lines(told: Explanation) -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    if told.code is not None and told.since is not None and told.until is not None:
        again = "" if told.times_listed < 2 else f", listed {told.times_listed} times in all"
        lines += [
            ("answer", f"{told.code}, role {told.role}{again}"),
            ("since, until", f"{_time(told.since)}, {_time(told.until)}; next review then"),
        ]
    lines.append(("scope", told.scope))
    if told.probability_legitimate is not None:
        figures = f"P(legitimate) {told.probability_legitimate:.2g}, listed at {told.q:g} or below"
        if told.score is not None and told.prior_logit is not None:
            figures += f"; score {told.score:.1f}, prior logit {told.prior_logit:.1f}"
        lines.append(("probability", figures))
    counts = (
        ("labels", told.by_label),
        ("kinds", told.by_kind),
        ("sensors", told.by_sensor),
        ("days", told.by_day[-_LINES:]),
    )
    lines += [(name, _counts(values)) for name, values in counts if values]
    lines += [(name, ", ".join(values[:_LINES])) for name, values in _names(told) if values]
    return [*lines, ("rules", f"{told.rule_version}, profile {told.profile}"), ("removal", told.removal)]


def _names(told: Explanation) -> tuple[tuple[str, Sequence[str]], ...]:
    return ("campaigns", told.campaigns), ("families", told.families)


def _counts(counts: Sequence[Count]) -> str:
    return ", ".join(f"{count.name} {count.count:,}" for count in counts)


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M")
