"""The ``portofcall`` command: what an operator does besides running a gateway."""

import argparse
from collections.abc import Sequence

from portofcall import __version__, check_command, ticket_command

#: Each has ``add_arguments(subparsers)``, which sets ``run``: from the parsed arguments to the exit status.
_COMMANDS = (check_command, ticket_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: of the command line; None means the process's own.

    Returns:
        The exit status; 2 where the command line makes no sense.
    """
    parser = argparse.ArgumentParser(
        prog="portofcall", description="For the operator of a gateway. `twistd portofcall` runs one."
    )
    parser.add_argument("--version", action="version", version=f"portofcall {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_arguments(subparsers)
    args = parser.parse_args(arguments)
    status: int = args.run(args)
    return status
