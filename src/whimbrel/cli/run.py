"""`whimbrel run`: the whole service."""

import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from whimbrel.cli.logs import set_up
from whimbrel.cli.options import Instant, config_option, data_option, json_option, settings_file
from whimbrel.cli.output import counted, print_json
from whimbrel.cli.starting import take_memory_from_the_c_library
from whimbrel.errors import StoreError
from whimbrel.model.transfer import transfer_settings
from whimbrel.pipeline.config import Config, load
from whimbrel.pipeline.places import statistics_path

if TYPE_CHECKING:
    from whimbrel.pipeline.running.supervisor import Running, Tools

_EPILOG = """\b
Examples:
  whimbrel run --config /etc/whimbrel/whimbrel.toml
  whimbrel run --once
Settings, metrics, health and signals are explained in docs/running.md.
"""


@click.command(epilog=_EPILOG)
@config_option
@click.option("--once", is_flag=True, help="Take in what is there, decide, publish, and end; serve nothing.")
@click.option("--now", type=Instant(), help="Let the clock begin here: for replaying old mail.")
@data_option
@json_option
@click.pass_context
def command(
    context: click.Context, config_file: Path | None, once: bool, now: datetime | None, data_dir: Path, as_json: bool
) -> None:
    """Watch where mail arrives, read it, decide, publish the list, answer over DNS: all of it, until told to end.

    Settings come from one file; see `whimbrel config show`. SIGTERM or Ctrl-C end it in order, SIGHUP makes it read its
    settings again.
    """
    path, data_told = settings_file(context, config_file, data_dir)

    def read() -> Config:
        config = load(path, os.environ, data_told).config
        _check_transfers(config)
        return config

    config = read()
    take_memory_from_the_c_library(os.environ)
    set_up(config.log.format, config.log.level)
    ahead = timedelta(0) if now is None else now - datetime.now(UTC)

    def clock() -> datetime:
        return datetime.now(UTC) + ahead

    if once:
        _once(config, clock, as_json=as_json, is_told=now is not None)
        return
    from whimbrel.pipeline.running.notify import Notifier  # noqa: PLC0415 - takes half a second, which --help must not
    from whimbrel.pipeline.running.supervisor import Supervisor  # noqa: PLC0415

    Supervisor(config, _tools(read, clock, as_json=as_json, is_told=now is not None), Notifier(os.environ)).run()


def _once(config: Config, clock: Callable[[], datetime], *, as_json: bool, is_told: bool) -> None:
    """Make a single pass; raises StoreError where a step of it failed."""
    from whimbrel.pipeline.running.cycle import once  # noqa: PLC0415 - as above

    done = once(config, clock, is_told=is_told)
    if done.fault is not None:
        raise StoreError(f"{done.fault}; what was read stays read, the same command goes on from there")
    if as_json:
        print_json({key: value for key, value in done._asdict().items() if key != "fault"})
        return
    observations = counted(done.observations, "observation")
    click.echo(
        f"{counted(done.messages, 'message')} read, {observations}, {done.decided:,} decided; "
        f"{done.in_force:,} listed, snapshot {done.serial}"
    )


def _check_transfers(config: Config) -> None:
    """Raise ConfigError or StoreError where the keys of transfers cannot be had: a name server would find out late."""
    settings = transfer_settings(config.serve.transfer_keys, config.serve.transfer_to, config.serve.notify)
    if settings is not None:
        from whimbrel.nameserver.transfer import read_keys  # noqa: PLC0415 - for those who give transfers

        read_keys(settings)


def _transfer_options(config: Config) -> list[str]:
    options = ["--transfer-keys", config.serve.transfer_keys] if config.serve.transfer_keys else []
    options += [text for each in config.serve.transfer_to for text in ("--transfer-to", each)]
    return options + [text for each in config.serve.notify for text in ("--notify", each)]


def _tools(read: Callable[[], Config], clock: Callable[[], datetime], *, as_json: bool, is_told: bool) -> "Tools":
    from whimbrel.cli.guarding import guard_arguments  # noqa: PLC0415 - as above
    from whimbrel.nameserver import bind  # noqa: PLC0415
    from whimbrel.pipeline.running.supervisor import Tools  # noqa: PLC0415

    def serve(config: Config, snapshot: Path, descriptors: Sequence[int]) -> Sequence[str]:
        program = "from whimbrel.cli import main; main()"
        level = "warning" if config.log.level == "info" else config.log.level  # it tells of each of many snapshots
        options = [
            "--data",
            config.store.data,
            "--snapshot",
            str(snapshot),
            "--log-format",
            config.log.format,
            "--log-level",
            level,
        ]
        options += [text for each in descriptors for text in ("--fd", str(each))]
        options += ["--workers", str(config.serve.workers)]
        options += [*guard_arguments(config.serve), "--statistics", str(statistics_path(snapshot))]
        options += _transfer_options(config)
        options += ["--now", clock().isoformat()] if is_told else []
        return [sys.executable, "-c", program, "serve", "--supervised", *options]

    def running(where: "Running") -> None:
        listening = [endpoint._asdict() for endpoint in where.listening]
        metrics = None if where.metrics is None else where.metrics._asdict()
        if as_json:
            pids = {"pid": os.getpid(), "name_server": where.name_server}
            print_json({"listening": listening, "metrics": metrics, **pids})
            return
        places = " and ".join(map(str, where.listening)) or "nowhere"
        pages = f"; metrics and health on http://{where.metrics}" if where.metrics else ""
        click.echo(f"running: answering on {places}{pages}; Ctrl-C ends")

    return Tools(load=read, bind=bind, command=serve, set_up_log=set_up, clock=clock, is_told=is_told, running=running)
