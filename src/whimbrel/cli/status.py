"""`whimbrel status`: what the store holds."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from whimbrel.cli.options import data_option, json_option, now_option
from whimbrel.cli.output import counted, print_json
from whimbrel.pipeline.views import status

_EPILOG = """\b
Examples:
  whimbrel status
  whimbrel status --json --data /var/lib/whimbrel
"""


@click.command(epilog=_EPILOG)
@now_option
@data_option
@json_option
def command(now: datetime, data_dir: Path, as_json: bool) -> None:
    """Say what the store holds, how far it is decided, whom it trusts, and what is published."""
    told = status(data_dir, now)
    if as_json:
        print_json(told)
        return
    for name, value in _lines(told):
        click.echo(f"{name:<13} {value}")


def _lines(told: dict[str, Any]) -> list[tuple[str, str]]:
    evidence = told["evidence"]
    lines = [("store", told["data"] + (", a demo: its list is served on loopback only" if told["demo"] else ""))]
    for kind in ("observations", "facts"):
        counts = evidence[kind]
        days = "" if counts["first_day"] is None else f", {counts['first_day']} to {counts['last_day']}"
        size = f"{counts['bytes'] / 1e6:,.1f} MB in {counted(counts['files'], 'file')}"
        lines.append((kind, f"{counts['rows']:,}{days}, {size}"))
    if evidence["superseded"]:
        lines.append(("corrected", counted(evidence["superseded"], "observation")))
    if evidence["staged_chunks"]:
        lines.append(("staged", f"{evidence['staged_chunks']:,} chunks of an interrupted run; run it again to finish"))
    lines += [("sensor", _sensor(sensor)) for sensor in told["sensors"]]
    lines.append(("ledger", _ledger(told["ledger"])))
    lines.append(("snapshot", _snapshot(told["snapshot"])))
    return lines


def _sensor(sensor: dict[str, Any]) -> str:
    trust = sensor["trust"]
    text = f"{sensor['sensor']}, {sensor['seen']:,} seen"
    if trust is None:
        return text
    told, inferred = trust["networks"] + trust["names"], [one["network"] for one in trust["inferred"]]
    text += f"; own servers told: {', '.join(told)}" if told else ""
    return text + (f"; own servers inferred: {', '.join(inferred)}" if inferred else "")


def _ledger(ledger: dict[str, Any] | None) -> str:
    if ledger is None:
        return "nothing decided yet"
    return (
        f"{ledger['listed']:,} listed; {counted(ledger['events'], 'event')} of {counted(ledger['targets'], 'target')}; "
        f"rules {ledger['rule_version']}; decided up to {ledger['decided_until']:%Y-%m-%d %H:%M}"
    )


def _snapshot(snapshot: dict[str, Any] | None) -> str:
    if snapshot is None:
        return "none yet; write it with: whimbrel publish"
    if "problem" in snapshot:
        return str(snapshot["problem"])
    left = snapshot["expires_in_seconds"] / 3600
    ends = f"expires in {left:,.1f} h" if left > 0 else f"expired {-left:,.1f} h ago; publish anew"
    signed = f"signed by {' and '.join(snapshot['signatures'])}" if snapshot["signatures"] else "not signed"
    entries = counted(snapshot["entries"], "entry", "entries")
    if snapshot["changes"]:
        entries += f" and {counted(snapshot['changes'], 'change')} since"
    return f"{snapshot['zone']}, serial {snapshot['serial']}, {entries}, {signed}, {ends}"
