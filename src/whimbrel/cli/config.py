"""`whimbrel config`: the settings."""

import os
from pathlib import Path

import click

from whimbrel.cli.options import config_option, data_option, json_option, settings_file
from whimbrel.cli.output import Column, print_json, print_rows
from whimbrel.errors import ConfigError
from whimbrel.pipeline.config import in_toml, load, mistakes

_EPILOG = """\b
Examples:
  whimbrel config check /etc/whimbrel/whimbrel.toml
  whimbrel config show
  whimbrel config show --json --config whimbrel.toml
Every setting is explained in docs/running.md; docs/whimbrel.toml is an example.
"""

_COLUMNS = (
    Column("setting", "setting"),
    Column("value", "value", folds=True),
    Column("origin", "from"),
    Column("meaning", "meaning", folds=True),
)


@click.command(epilog=_EPILOG)
@click.argument("what", type=click.Choice(["check", "show"]))
@click.argument("file", required=False, type=click.Path(path_type=Path))
@config_option
@data_option
@json_option
@click.pass_context
def command(
    context: click.Context, what: str, file: Path | None, config_file: Path | None, data_dir: Path, as_json: bool
) -> None:
    """Check a settings file, or show each setting with its value, where that came from, and what it means."""
    path, data_told = settings_file(context, file or config_file, data_dir)
    if what == "check":
        _check(path, as_json=as_json)
        return
    loaded = load(path, os.environ, data_told)
    rows = [
        {
            "setting": each.key,
            "value": each.value if as_json else in_toml(each.value),
            "origin": each.origin,
            "meaning": each.meaning,
        }
        for each in loaded.settings
    ]
    title = f"Settings of {path}" if path else "Settings; there is no settings file"
    print_rows(rows, _COLUMNS, as_json=as_json, title=title, total=len(rows))


def _check(path: Path | None, *, as_json: bool) -> None:
    if path is None:
        raise ConfigError("there is no settings file to check; name it, as in: whimbrel config check whimbrel.toml")
    found = mistakes(path, os.environ)
    for each in found:
        if as_json:
            print_json({"file": str(path), "line": each.line, "setting": each.key, "problem": each.text})
        else:
            click.echo(f"{path}: {each}")
    if found:
        raise ConfigError(f"{path}: {len(found)} {'mistake' if len(found) == 1 else 'mistakes'}; nothing runs by it")
    if not as_json:
        click.echo(f"{path}: in order")
