"""The ``portofcall`` command: tools for the operator of a gateway."""

import argparse
import os
import sys
from collections.abc import Sequence

from portofcall import __version__
from portofcall.commands import check, kill, ticket, tunnels

#: Each has ``add_arguments(subparsers)``, which sets ``run``: a function of the parsed arguments that returns
#: the exit status.
_COMMANDS = (check, ticket, tunnels, kill)

#: The exit status when standard output was closed: 128 + SIGPIPE, as in shells. No command returns it itself.
UNREAD = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: the command line; None means the process's own.

    Returns:
        The exit status; 2 for an invalid command line, `UNREAD` if standard output was closed.
    """
    parser = argparse.ArgumentParser(
        prog="portofcall", description="Tools for the operator of a gateway; `twistd portofcall` runs one."
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
