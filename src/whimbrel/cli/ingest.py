"""`whimbrel ingest`: mail in."""

import os
from datetime import datetime
from pathlib import Path

import click
import msgspec

from whimbrel.cli.options import check_clock, data_option, deciding_options, json_option, now_option
from whimbrel.cli.output import counted, print_decided, print_json
from whimbrel.cli.progress import Progress
from whimbrel.pipeline.ingest import Asked, Ingested, ingest
from whimbrel.sensors.boundary import Inferred, parse_trust

_EPILOG = """\b
Examples:
  whimbrel ingest ~/Maildir --sensor mx1
  whimbrel ingest spam.mbox.gz --label spam --trust 192.0.2.0/24 --trust mx.example.org
  whimbrel ingest corpus/ --labels corpus/full/index --jobs 4
  zcat archive.mbox.gz | whimbrel ingest - --label ham
"""

# Places left out that are named one by one; the others are counted.
_SKIPPED_SHOWN = 5


@click.command(epilog=_EPILOG)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--sensor", default="mail", show_default=True, help="Who received this mail: a name of your choice.")
@click.option(
    "--label",
    type=click.Choice(["spam", "ham", "unknown"]),
    default="unknown",
    show_default=True,
    help="What this mail is, where --labels does not say.",
)
@click.option("--labels", metavar="FILE", help="An index of lines `label path`, relative to its folder, as TREC's.")
@click.option(
    "--trust",
    multiple=True,
    metavar="CIDR|HOST",
    help="One of our own relays, by address, network or name; may be repeated. Without it they are inferred.",
)
@click.option("--jobs", type=click.IntRange(min=1), default=os.cpu_count() or 1, help="Reader processes [one a core].")
@deciding_options
@click.option("--demo", is_flag=True, help="Mark the store: old mail, whose list is served on loopback only.")
@now_option
@data_option
@json_option
def command(
    paths: tuple[str, ...],
    sensor: str,
    label: str,
    labels: str | None,
    trust: tuple[str, ...],
    jobs: int,
    profile: str | None,
    demo: bool,
    now: datetime,
    data_dir: Path,
    as_json: bool,
) -> None:
    """Read mail, work out who sent it and what belongs together, and decide what is listed.

    PATH is an mbox file, a maildir, a message, a folder of them, an archive (tar, zip) or a compressed file (gz, bz2,
    xz, zst) of these, or - for standard input. What has been read already is not read again: after an interruption
    the same command goes on where it stopped.
    """
    check_clock(data_dir, now)
    asked = Asked(
        data_dir=data_dir,
        paths=paths,
        now=now,
        sensor=sensor,
        label=label,  # type: ignore[arg-type]  # click has checked it
        labels=labels,
        trust=parse_trust(trust) if trust else None,
        jobs=jobs,
        profile=profile,
        demo=demo,
    )
    with Progress("reading", "message", shown=not as_json) as progress:
        done = ingest(asked, progress)
    if as_json:
        print_json(_as_json(done))
    else:
        _print(done)


def _as_json(done: Ingested) -> dict[str, object]:
    settled = done.settled._asdict()
    settled["trust"] = {sensor: msgspec.to_builtins(trust) for sensor, trust in done.settled.trust.items()}
    return {
        "read": done.read,
        "abandoned": done.abandoned,
        "skipped": [{"place": place, "why": why} for place, why in done.skipped],
        **settled,
        **done.analysed._asdict(),
        **done.decided._asdict(),
    }


def _print(done: Ingested) -> None:
    settled = done.settled
    click.echo(f"{settled.messages:,} new messages, {settled.observed:,} with a connecting client and a time")
    if settled.known:
        click.echo(f"{settled.known:,} more were copies of deliveries known already (same trace line, same content)")
        if done.read:
            click.echo("  what each was labelled first stays its label")
    if done.labelled == "unknown" and settled.observed:
        click.echo("mail without a label weighs nothing in decisions; say what it is with --label or --labels")
    for why, count in sorted(settled.unobserved.items(), key=lambda item: (-item[1], item[0])):
        click.echo(f"  {count:,} without: {why}")
    if done.abandoned:
        click.echo(f"  {done.abandoned:,} could not be read (defect `abandoned`): only that they came is kept")
    for place, why in done.skipped[:_SKIPPED_SHOWN]:
        click.echo(f"  left out: {place} ({why})")
    if len(done.skipped) > _SKIPPED_SHOWN:
        click.echo(f"  left out: {len(done.skipped) - _SKIPPED_SHOWN:,} more places (--json names them)")
    for sensor, trust in settled.trust.items():
        if trust.networks or trust.names:
            click.echo(f"own servers behind sensor {sensor}, as told: {', '.join(trust.networks + trust.names)}")
        elif trust.inferred:
            click.echo(f"own servers behind sensor {sensor}, inferred; if one is wrong, tell them with --trust:")
            for server in trust.inferred:
                click.echo(f"  {_inferred(server)}")
    if settled.corrected:
        click.echo(f"{settled.corrected:,} earlier observations corrected: their client is another by this trust")
    click.echo(f"{done.analysed.campaigns_changed:,} campaigns new or changed")
    print_decided(done.decided)


def _inferred(server: Inferred) -> str:
    ground = {"own name": "its name is ours", "forwards": "it forwards to us", "pool": "one of our provider's"}
    return (
        f"{server.network} {server.name} ({ground[server.ground]}: {counted(server.chains, 'message')}, "
        f"{server.share:.1%}, on {server.days} days, from {server.fan_in} networks)"
    )
