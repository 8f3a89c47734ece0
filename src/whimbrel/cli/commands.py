"""The list of commands, loaded when called, and the one place where an error becomes a line and an exit code."""

import errno
import gc
import importlib
import os
import sys

import click

from whimbrel import __version__
from whimbrel.cli.starting import decline_pandas, start_no_threads_for_algebra
from whimbrel.errors import WhimbrelError

# Name -> what it does.  Each lives in the module of its name, imported only when it is called: the evidence engine
# alone costs more start-up time than `--help` may take.
COMMANDS = {
    "ingest": "Read mail from files, folders, archives or standard input.",
    "observe": "Read observations, one JSON object a line.",
    "why": "Say whether a target is listed, as what, and on what evidence.",
    "hosts": "List the hosts seen, with their history.",
    "campaigns": "List the campaigns found.",
    "listings": "List what is on the blocklist.",
    "links": "Test which families of worms and which campaigns are connected.",
    "link": "Test one family and one campaign, and show everything behind the verdict.",
    "status": "Say what the store holds.",
    "remove": "Ask for the removal of a listing: free, and at once for a first one.",
    "allow": "Never list a network; alone: list what is allowed.",
    "forget": "Forget an address or a recipient, or all days whose term is over.",
    "rebuild": "Make list and working state again from what was recorded, and compare.",
    "publish": "Write the snapshot that name servers serve.",
    "export": "Write the list for other programs: rbldnsd, RPZ, firewalls, Postfix, STIX, MISP.",
    "serve": "Answer DNS queries from the snapshot.",
    "top": "Show a running name server: queries, answers, drops, who asks.",
    "mirror": "Keep a signed list that others publish, and answer from it.",
    "key": "Make, exchange and show the keys that sign the list, and those that hash recipients.",
    "check": "Read all of a store and say what is wrong with it.",
    "run": "Watch, read, decide, publish and answer, until told to end.",
    "config": "Check a settings file, or show the settings.",
    "backup": "Copy a store, as it is at one moment, while it is in use.",
    "restore": "Put a store back from a backup.",
    "simulate": "Make observations of a simulated world with planted truth.",
}

# Commands make millions of small values that live on and none in cycles; at Python's own threshold (700 of them) a
# third of a ledger commit and a sixth of the policy's time went to looking for cycles (measured, 26,592 decisions).
_GC_THRESHOLD = 100_000

# Marks a command line that has its process to itself, and may set up what lasts for all of it.
_OWN_PROCESS = object()

INTERRUPTED_EXIT_CODE = 130  # 128 + SIGINT, the shells' convention
USAGE_EXIT_CODE = 2


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"whimbrel.cli.{cmd_name}").command
        if ctx.find_root().obj is _OWN_PROCESS:
            decline_pandas(cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: whimbrel ingest MAIL --label spam; whimbrel hosts; whimbrel publish; whimbrel serve.",
)
@click.version_option(__version__, prog_name="whimbrel")
@click.pass_context
def _whimbrel(context: click.Context) -> None:
    """Whimbrel turns mail into evidence and evidence into answers.

    Who sends spam, what they send, and a blocklist in which every entry explains itself.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 wrong option or input, 130 interrupted."""
    gc.set_threshold(_GC_THRESHOLD)
    if arguments is not None:  # called by a program, which goes on
        sys.exit(_run(arguments))
    start_no_threads_for_algebra(os.environ)
    code = _run(arguments)
    sys.stderr.flush()
    # Not by way of the interpreter's end: there, now and then, a thread of an engine's own outlives what it works on
    # and aborts a command that has done its work.  Stores are closed when a command returns.
    os._exit(code)


def _run(arguments: list[str] | None) -> int:
    try:
        code = _whimbrel.main(
            arguments, prog_name="whimbrel", standalone_mode=False, obj=None if arguments is not None else _OWN_PROCESS
        )
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):
        # The reader (a pager, `head`) has gone; whatever is still buffered has nowhere to go.  Click makes a SystemExit
        # of it, and of nothing else here.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (WhimbrelError, click.ClickException, click.Abort, KeyboardInterrupt, OSError) as error:
        text, code = _told(error)
        print("whimbrel:", " ".join(text.split()), file=sys.stderr)  # noqa: T201  the command line's own error line
    return code if isinstance(code, int) else 0


def _told(error: BaseException) -> tuple[str, int]:
    """Return the line and the exit code for an error that the user can mend."""
    match error:
        case WhimbrelError():
            return str(error), error.exit_code
        case click.UsageError():
            hint = f" (try: {error.ctx.command_path} --help)" if error.ctx else ""
            return error.format_message() + hint, USAGE_EXIT_CODE
        case click.ClickException():
            return error.format_message(), error.exit_code
        case OSError():
            return _os_error(error), 1
    return "interrupted; the same command goes on where this one stopped", INTERRUPTED_EXIT_CODE


def _os_error(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{where}the disk is full; free some room and run the same command again: nothing accepted is lost"
    return f"{where}{error.strerror or error}"
