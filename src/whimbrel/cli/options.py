"""Options that several commands share, so that they are spelled and explained once."""

import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from whimbrel.errors import ConfigError

if TYPE_CHECKING:
    from whimbrel.pipeline.link import Files
    from whimbrel.wire.snapshot import PublicKey

_Function = TypeVar("_Function", bound=Callable[..., object])


class Instant(click.ParamType[datetime]):
    """A UTC time: RFC 3339, or a date alone for its midnight."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the time, or fail with what would have been right."""
        if isinstance(value, datetime):
            return value
        try:
            at = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a time; write 2002-07-27 or 2002-07-27T12:00:00Z", param, ctx)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def public_keys(given: Iterable[str]) -> "tuple[PublicKey, ...]":
    """Return public keys, each given as its line or as a file with one a line; raises ConfigError."""
    from whimbrel.wire.snapshot import PublicKey  # noqa: PLC0415  only two commands have keys

    found: list[PublicKey] = []
    for text in given:
        if " " in text.strip():
            found.append(PublicKey.parse(text))
            continue
        try:
            found += map(PublicKey.parse, _key_lines(Path(text)))
        except ConfigError as error:
            raise ConfigError(f"{text}: {error}") from None
    return tuple(found)


def _key_lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(f"no public key, and no file of them that can be read: {error.strerror}") from None
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        raise ConfigError("holds no public key; write one there with: whimbrel key export")
    return lines


CONFIG_VARIABLE = "WHIMBREL_CONFIG"


def data_option(function: _Function) -> _Function:
    """Add `--data DIR`: where the store is, by the option, else `WHIMBREL_DATA`, else the settings file's word."""
    return click.option(
        "--data",
        "data_dir",
        type=click.Path(path_type=Path, file_okay=False),
        envvar="WHIMBREL_DATA",
        default="whimbrel-data",
        show_default=True,
        callback=_data_dir,
        help="The folder of the store (or set WHIMBREL_DATA).",
    )(function)


def _data_dir(context: click.Context, option: click.Parameter, value: Path) -> Path:
    """Return the data folder of the settings file that the environment names, where nobody named a folder.

    Commands that read settings anyway are left alone: these take the data folder from there.
    """
    del option
    named = os.environ.get(CONFIG_VARIABLE)
    reads_settings = any(each.name == "config_file" for each in context.command.params)
    if (
        not named
        or reads_settings
        or context.get_parameter_source("data_dir") is not click.core.ParameterSource.DEFAULT
    ):
        return value
    from whimbrel.pipeline.config import load  # noqa: PLC0415 - for those who have settings

    return Path(load(Path(named), os.environ).config.store.data)


def config_option(function: _Function) -> _Function:
    """Add `--config FILE`: the settings file."""
    return click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar=CONFIG_VARIABLE,
        help="The settings file (or set WHIMBREL_CONFIG) [whimbrel.toml in the store, if it is there].",
    )(function)


def settings_file(context: click.Context, named: Path | None, data_dir: Path) -> tuple[Path | None, Path | None]:
    """Return the settings file, if there is one, and the data folder, if the command line names it.

    What `WHIMBREL_DATA` says is left to the settings, which know it as their own variable.
    """
    from whimbrel.pipeline.config import CONFIG_FILE  # noqa: PLC0415 - for three commands only

    default = data_dir / CONFIG_FILE
    told = context.get_parameter_source("data_dir") is click.core.ParameterSource.COMMANDLINE
    return named or (default if default.exists() else None), data_dir if told else None


def json_option(function: _Function) -> _Function:
    """Add `--json`: for machines."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")(function)


def now_option(function: _Function) -> _Function:
    """Add `--now TIME`: the time it is taken to be."""
    return click.option(
        "--now",
        type=Instant(),
        default=lambda: datetime.now(UTC),
        show_default="the clock",
        help="Take this to be the present, and ignore what was learned later: for replaying old mail.",
    )(function)


def check_clock(data_dir: Path, now: datetime) -> None:
    """Raise StoreError where the machine's clock, which nobody corrected with `--now`, is behind what was decided."""
    from whimbrel.pipeline import clock  # noqa: PLC0415 - for commands that decide

    if click.get_current_context().get_parameter_source("now") is not click.core.ParameterSource.COMMANDLINE:
        clock.check_clock(data_dir, now)


def check_ahead(data_dir: Path, now: datetime) -> None:
    """Raise ConfigError where `--now` is ahead of the machine's clock and of what was decided."""
    from whimbrel.pipeline import clock  # noqa: PLC0415 - for commands that decide

    clock.check_ahead(data_dir, now, datetime.now(UTC))


def deciding_options(function: _Function) -> _Function:
    """Add `--profile`: by which policy a new store decides."""
    return click.option(
        "--profile",
        type=click.Choice(["shared", "own"]),
        help="Policy of a new store: shared (a list for strangers: three sensors must agree; the default) or own "
        "(a list for your own servers, from what they received).",
    )(function)


def table_options(default_sort: str, sorts: tuple[str, ...]) -> Callable[[_Function], _Function]:
    """Add `--sort COLUMN`, `--ascending` and `--limit N`, for a command that prints a table."""

    def decorate(function: _Function) -> _Function:
        limit = click.option(
            "--limit", type=click.IntRange(min=0), default=20, show_default=True, help="Rows at most; 0 for all."
        )
        ascending = click.option("--ascending", is_flag=True, help="Smallest first.")
        sort = click.option("--sort", type=click.Choice(sorts), default=default_sort, show_default=True, help="Order.")
        return sort(ascending(limit(function)))

    return decorate


def outside_options(function: _Function) -> _Function:
    """Add `--as-table FILE`, `--as-table-first` and `--leases FILE`, for `outside_files`."""
    file = click.Path(path_type=Path, dir_okay=False)
    leases = click.option("--leases", type=file, help="Who held which address when: lines `host since until [holder]`.")
    first = click.option(
        "--as-table-first", is_flag=True, help="Where a table knows a host it counts, whatever observations say."
    )
    table = click.option(
        "--as-table",
        "as_tables",
        type=file,
        multiple=True,
        help="AS or prefixes (text or MMDB), for hosts of which no observation says them; may be repeated.",
    )
    return table(first(leases(function)))


def outside_files(as_tables: tuple[Path, ...], leases: Path | None, *, as_table_first: bool) -> "Files":
    """Return the files that `outside_options` name; what is to be said of them goes to standard error."""
    from whimbrel.pipeline.link import Files  # noqa: PLC0415  --help needs no statistics

    if as_table_first and not as_tables:
        raise ConfigError("--as-table-first without a table; name one with --as-table FILE")
    return Files(as_tables, leases, as_table_first, lambda text: click.echo(text, err=True))
