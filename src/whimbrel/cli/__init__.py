"""The command line: one thin file a command; it parses options, calls `pipeline`, and prints.

In: arguments.  Out: text for people, or JSON lines (`--json`) for machines, on standard output; progress and errors on
standard error.  Deliberately absent: any work of its own.  Read `commands.py` for the list of commands.
"""

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Run the command line: see `commands.main`."""
    # Reader processes load what their parent's script loads, which is this module, and have no use for commands.
    from whimbrel.cli import commands  # noqa: PLC0415

    commands.main(arguments)
