"""The command line: one thin file a command; it parses options, calls `pipeline`, and prints.

In: arguments.  Out: text for people, or JSON lines (`--json`) for machines, on standard output; progress and errors on
standard error.  Deliberately absent: any work of its own.  Read `commands.py` for the list of commands.
"""

from whimbrel.cli.commands import main

__all__ = ["main"]
