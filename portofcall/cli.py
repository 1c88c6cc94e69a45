"""The ``portofcall`` command: clients of a gateway, and tools for its operator."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

from portofcall import __version__

#: The commands, and the module of each in `portofcall.commands`. It has ``add_arguments(subparsers)``, which
#: sets ``run``: a function of the parsed arguments that returns the exit status. Only the module of the
#: command that is run is imported, because start-up time counts.
_COMMANDS = {
    "connect": "connect",
    "forward": "forward",
    "ping": "ping",
    "banner": "banner",
    "ssh-config": "ssh_config",
    "check": "check",
    "ticket": "ticket",
    "tunnels": "tunnels",
    "kill": "kill",
}

#: The exit status when standard output was closed: 128 + SIGPIPE, as in shells. No command returns it itself.
UNREAD = 141
#: Is set while a shell asks for completions (argcomplete); no command may run then.
_COMPLETION = "_ARGCOMPLETE"


class _Parser(argparse.ArgumentParser):
    """A parser whose commands may have an exit status of their own for an invalid command line."""

    usage_status = 2

    def error(self, message: str) -> NoReturn:
        """Exit with the usage and what is wrong."""
        self.print_usage(sys.stderr)
        self.exit(self.usage_status, f"{self.prog}: error: {message}\n")


def make_parser(arguments: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Make a parser with all commands.

    Args:
        arguments: a command line; if its first word is a command, the parser has no other.
    """
    parser = _Parser(
        prog="portofcall",
        description="Clients of a gateway, and tools for its operator; `twistd portofcall` runs one.",
    )
    parser.add_argument("--version", action="version", version=f"portofcall {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    named = [name for name in arguments[:1] if name in _COMMANDS]
    for name in named or _COMMANDS:
        command: Any = import_module(f"portofcall.commands.{_COMMANDS[name]}")
        command.add_arguments(subparsers)
        status = getattr(command, "USAGE_STATUS", _Parser.usage_status)
        subparsers.choices[name].usage_status = status
        parser.usage_status = status if named else _Parser.usage_status
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: the command line; None means the process's own.

    Returns:
        The exit status, `UNREAD` if standard output was closed. For an invalid command line it is 1 with the
        client's commands, and 2 with others.
    """
    if _COMPLETION in os.environ:
        # Imported here: nothing else needs it.
        from portofcall.commands.completion import complete  # noqa: PLC0415

        return complete(make_parser(os.environ.get("COMP_LINE", "").split()[1:]))
    arguments = sys.argv[1:] if arguments is None else arguments
    args = make_parser(arguments).parse_args(arguments)
    try:
        status = args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at exit, and would complain there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    return int(status)
