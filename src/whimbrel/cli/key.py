"""`whimbrel key`: the keys that sign the list, and those that recipients are hashed with."""

from datetime import datetime
from pathlib import Path
from typing import cast

import click

from whimbrel.cli.options import Instant, data_option, json_option, now_option
from whimbrel.cli.output import Column, print_json, print_rows
from whimbrel.errors import ConfigError
from whimbrel.pipeline import keys
from whimbrel.pipeline.keys import KINDS, KeyPlace, Kind, Shown

_EPILOG = """\b
Examples:
  whimbrel key new signing
  whimbrel key export > whimbrel.pub
  whimbrel key rotate signing --until 2027-01-01
  whimbrel key retire 64b1c2d3e4f50617
  whimbrel key sign list.snapshot --file /media/key/signing.key
"""

_COLUMNS = (
    Column("kind", "kind"),
    Column("id", "id"),
    Column("state", "state"),
    Column("until", "until"),
    Column("public", "public key", cuttable=True),
)


@click.group(epilog=_EPILOG)
def command() -> None:
    """Make, exchange and show keys: `signing` (whose list it is) and `recipients` (who got mail, hashed)."""


_kind = click.argument("kind", type=click.Choice(KINDS))
_file = click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file of signing keys [signing.key in the store].",
)


@command.command()
@_kind
@_file
@now_option
@data_option
@json_option
def new(kind: str, file: Path | None, now: datetime, data_dir: Path, as_json: bool) -> None:
    """Make the first key of a kind."""
    place = KeyPlace.of(cast("Kind", kind), data_dir, file)
    _print_one(keys.make(place, now), place.path, as_json=as_json)


@command.command()
@_kind
@click.option("--until", type=Instant(), help="When the older signing keys stop to sign [when they are retired].")
@_file
@now_option
@data_option
@json_option
def rotate(kind: str, until: datetime | None, file: Path | None, now: datetime, data_dir: Path, as_json: bool) -> None:
    """Make a new key beside the older ones.

    It is in use from now on; older signing keys sign beside it until they end or are retired.
    """
    place = KeyPlace.of(cast("Kind", kind), data_dir, file)
    _print_one(keys.rotate(place, now, until), place.path, as_json=as_json)


@command.command()
@click.argument("key_id", metavar="ID")
@_file
@now_option
@data_option
@json_option
def retire(key_id: str, file: Path | None, now: datetime, data_dir: Path, as_json: bool) -> None:
    """Remove an older key and its secret."""
    del now
    kind = keys.retire(_places(data_dir, file), key_id)
    if as_json:
        print_json({"kind": kind, "id": key_id, "state": "retired", "until": None, "public": None})
    else:
        click.echo(f"the {kind} key {key_id} is retired, and its secret removed")


@command.command("list")
@_file
@now_option
@data_option
@json_option
def list_(file: Path | None, now: datetime, data_dir: Path, as_json: bool) -> None:
    """List the keys; secrets are never shown."""
    rows = [each._asdict() for each in keys.shown(_places(data_dir, file), now)]
    print_rows(rows, _COLUMNS, as_json=as_json, title="Keys", total=len(rows))


@command.command()
@click.argument("key_id", metavar="[ID]", required=False)
@_file
@now_option
@data_option
@json_option
def export(key_id: str | None, file: Path | None, now: datetime, data_dir: Path, as_json: bool) -> None:
    """Print the public halves of signing keys.

    A line each, of the keys in use or of the one named: what mirrors are given.
    """
    place = KeyPlace.of("signing", data_dir, file)
    found = [each for each in keys.shown([place], now) if each.id == key_id or (not key_id and each.state == "signs")]
    if not found:
        raise ConfigError(f"no such signing key in {place.path}; see them with: whimbrel key list")
    for each in found:
        if as_json:
            print_json(each._asdict())
        else:
            click.echo(each.public)


@command.command()
@click.argument("snapshot", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Where to write it [in its place].")
@_file
@now_option
@data_option
@json_option
def sign(snapshot: Path, out: Path | None, file: Path | None, now: datetime, data_dir: Path, as_json: bool) -> None:
    """Sign a snapshot that was published elsewhere."""
    signers = keys.sign(snapshot, KeyPlace.of("signing", data_dir, file), now, out)
    if as_json:
        print_json({"path": str(out or snapshot), "signed_by": signers})
    else:
        click.echo(f"{out or snapshot}: signed by {', '.join(signers)}")


def _places(data_dir: Path, file: Path | None) -> list[KeyPlace]:
    signing = KeyPlace.of("signing", data_dir, file)
    return [signing] if file else [signing, KeyPlace.of("recipients", data_dir)]


def _print_one(made: Shown, path: Path, *, as_json: bool) -> None:
    if as_json:
        print_json(made._asdict())
        return
    click.echo(f"the {made.kind} key {made.id} is in {path}: keep this file secret, and a copy of it safe")
    if made.public:
        click.echo(f"its public half, for mirrors: {made.public}")
