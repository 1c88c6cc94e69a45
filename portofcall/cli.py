"""The ``portofcall`` command: what an operator does besides running a gateway."""

import argparse
import os
import sys
from collections.abc import Sequence

from portofcall import __version__
from portofcall.commands import check, ticket

#: Each has ``add_arguments(subparsers)``, which sets ``run``: from the parsed arguments to the exit status.
_COMMANDS = (check, ticket)

#: The exit status when nobody reads what is said: 128 + SIGPIPE, as shells have it. No command's own answer.
UNREAD = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: of the command line; None means the process's own.

    Returns:
        The exit status; 2 where the command line makes no sense, `UNREAD` where standard output was closed.
    """
    parser = argparse.ArgumentParser(
        prog="portofcall", description="For the operator of a gateway. `twistd portofcall` runs one."
    )
    parser.add_argument("--version", action="version", version=f"portofcall {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_arguments(subparsers)
    args = parser.parse_args(arguments)
    try:
        status: int = args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at exit, and would complain there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    return status
